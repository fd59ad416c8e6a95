/*
 * The environment first, then one socket after the other; descriptors are made
 * close-on-exec and non-blocking, which they need not be yet.
 */
#include "common/activation.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_FD 3

static enum err wrong(struct activation *a, int fd, const char *why)
{
    (void)snprintf(a->why, sizeof(a->why), "descriptor %d %s", fd, why);
    return ERR_SETTINGS;
}

/* The whole number |text|, at most |most|; -1 it is none. */
static long number(const char *text, long most)
{
    char *end;
    long value;

    if (text[0] < '0' || text[0] > '9') {
        return -1;
    }
    errno = 0;
    value = strtol(text, &end, 10);
    return *end != '\0' || errno != 0 || value > most ? -1 : value;
}

/* The next of the names in |*list|, which stand between colons. */
static void take_name(const char **list, char out[ACTIVATION_NAME_MAX])
{
    size_t len = strcspn(*list, ":");

    (void)snprintf(out, ACTIVATION_NAME_MAX, "%.*s", (int)len, *list);
    *list += len;
    *list += **list == ':';
}

static bool has_option(int fd, int level, int option, int value)
{
    int is = -1;
    socklen_t size = sizeof(is);

    return getsockopt(fd, level, option, &is, &size) == 0 && is == value;
}

static enum err check(struct activation *a, struct activation_socket *s)
{
    socklen_t size = sizeof(s->at);
    int flags = fcntl(s->fd, F_GETFD);

    if (flags < 0 || fcntl(s->fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
        return wrong(a, s->fd, "is not open");
    }
    if (!has_option(s->fd, SOL_SOCKET, SO_TYPE, SOCK_STREAM) ||
        !has_option(s->fd, SOL_SOCKET, SO_ACCEPTCONN, 1)) {
        return wrong(a, s->fd,
                     "is no listening stream socket (a socket unit needs "
                     "ListenStream= and Accept=no)");
    }
    if (getsockname(s->fd, (struct sockaddr *)&s->at, &size) != 0 ||
        (s->at.ss_family != AF_INET && s->at.ss_family != AF_INET6)) {
        return wrong(a, s->fd, "is no socket of IPv4 or IPv6");
    }
    s->is_dual = s->at.ss_family == AF_INET6 &&
                 has_option(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    flags = fcntl(s->fd, F_GETFL);
    if (flags < 0 || fcntl(s->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
        return wrong(a, s->fd, "cannot be made non-blocking");
    }
    return ERR_OK;
}

static enum err take(struct activation *a, const char *fds, const char *names)
{
    long count = number(fds, ACTIVATION_SOCKETS_MAX);

    if (count < 0) {
        (void)snprintf(a->why, sizeof(a->why),
                       "LISTEN_FDS=%.20s: it must be a number up to %u", fds,
                       ACTIVATION_SOCKETS_MAX);
        return ERR_SETTINGS;
    }
    for (long i = 0; i < count; i++) {
        struct activation_socket *s = &a->sockets[i];

        s->fd = FIRST_FD + (int)i;
        take_name(&names, s->name);
        TRY(check(a, s));
        a->count++;
    }
    return ERR_OK;
}

enum err activation_take(struct activation *out)
{
    const char *fds = getenv("LISTEN_FDS");
    const char *pid = getenv("LISTEN_PID");
    const char *names = getenv("LISTEN_FDNAMES");
    enum err e = ERR_OK;

    *out = (struct activation){ .count = 0 };
    /* A process that was passed sockets may have left the variables to us. */
    if (fds != NULL && pid != NULL && number(pid, INT32_MAX) == getpid()) {
        e = take(out, fds, names == NULL ? "" : names);
    }
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDNAMES");
    return e;
}

void activation_close(struct activation *a)
{
    for (size_t i = 0; i < a->count; i++) {
        (void)close(a->sockets[i].fd);
    }
    a->count = 0;
}
