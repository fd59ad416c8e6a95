/*
 * Writes down where a program connects to, or tries: a line "ADDRESS:PORT" of
 * each IPv4 or IPv6 connect() into the file $CONNECTS, which must be there.
 * For LD_PRELOAD.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int connect_fn(int fd, const struct sockaddr *to, socklen_t len);

static void note(const struct sockaddr *to)
{
    const char *path = getenv("CONNECTS");
    char host[INET6_ADDRSTRLEN] = "?";
    char line[INET6_ADDRSTRLEN + 16];
    const void *address = &((const struct sockaddr_in *)to)->sin_addr;
    unsigned port = ntohs(((const struct sockaddr_in *)to)->sin_port);
    int fd, len;

    if (to->sa_family == AF_INET6) {
        address = &((const struct sockaddr_in6 *)to)->sin6_addr;
    }
    fd = path == NULL ? -1 : open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    (void)inet_ntop(to->sa_family, address, host, sizeof(host));
    len = snprintf(line, sizeof(line), "%s:%u\n", host, port);
    if (write(fd, line, (size_t)len) != len) {
        abort();
    }
    (void)close(fd);
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    static connect_fn *next;

    if (next == NULL) {
        /* ISO C knows no conversion from data to function. */
        *(void **)&next = dlsym(RTLD_NEXT, "connect");
    }
    if (to->sa_family == AF_INET || to->sa_family == AF_INET6) {
        note(to);
    }
    return next(fd, to, len);
}
