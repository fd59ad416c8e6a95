/* Both ends of one exchange, see ends.h. */
#include "tests/net/ends.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 30
#define RECORD 16384u

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t ends_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t ends_number(const char *text)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        fprintf(stderr, "no number: %s\n", text);
        exit(2);
    }
    return value;
}

struct ends_place ends_place_of(char *const words[ENDS_PLACE_WORDS])
{
    return (struct ends_place){
        .network = words[0],
        .port = (uint16_t)ends_number(words[1]),
        .host = words[2],
        .host_port = (uint16_t)ends_number(words[3]),
        .name = strcmp(words[4], "-") == 0 ? NULL : words[4],
    };
}

static void wait_no_longer(int fd, time_t seconds)
{
    struct timeval limit = { .tv_sec = seconds };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

static void tune(int fd, const char *congestion)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (congestion != NULL &&
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion,
                   (socklen_t)strlen(congestion)) != 0) {
        die(congestion);
    }
}

/* A socket that listens in another network than ours. */
static int listen_there(const struct ends_place *place)
{
    struct sockaddr_in here = {
        .sin_family = AF_INET,
        .sin_port = htons(place->port),
        .sin_addr.s_addr = htonl(INADDR_ANY),
    };
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(place->network, O_RDONLY | O_CLOEXEC);
    int one = 1;
    int fd;

    if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0) {
        die(place->network);
    }
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setns(home, CLONE_NEWNET) != 0) {
        die("setns");
    }
    close(home);
    close(there);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    tune(fd, place->congestion);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) != 0 ||
        listen(fd, 1) != 0) {
        die("listen");
    }
    wait_no_longer(fd, PATIENCE_S);
    return fd;
}

static void start_tls(struct end *e, const char *name)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    if (tls == NULL || (e->ssl = SSL_new(tls)) == NULL) {
        die("SSL_new");
    }
    SSL_CTX_free(tls);
    SSL_set_mode(e->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
                             SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_verify(e->ssl, SSL_VERIFY_NONE, NULL);
    SSL_set_fd(e->ssl, e->fd);
    SSL_set_tlsext_host_name(e->ssl, name);
    if (SSL_connect(e->ssl) != 1) {
        die("SSL_connect");
    }
}

static void visit(const struct ends_place *place, struct end *e)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET,
        .sin_port = htons(place->host_port),
    };

    *e = (struct end){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    if (inet_pton(AF_INET, place->host, &to.sin_addr) != 1 || e->fd < 0) {
        die(place->host);
    }
    wait_no_longer(e->fd, PATIENCE_S);
    tune(e->fd, place->congestion);
    if (connect(e->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        die("connect");
    }
    if (place->name != NULL) {
        start_tls(e, place->name);
    }
}

ssize_t end_read(struct end *e, void *out, size_t size)
{
    int len;
    int error;

    if (e->ssl == NULL) {
        return read(e->fd, out, size);
    }
    len = SSL_read(e->ssl, out, (int)size);
    if (len > 0) {
        return len;
    }
    error = SSL_get_error(e->ssl, len);
    if (error == SSL_ERROR_ZERO_RETURN) {
        return 0;
    }
    errno = error == SSL_ERROR_WANT_READ ? EAGAIN : EIO;
    return -1;
}

ssize_t end_write(struct end *e, const void *data, size_t len)
{
    int sent;

    if (e->ssl == NULL) {
        return send(e->fd, data, len, MSG_NOSIGNAL);
    }
    sent = SSL_write(e->ssl, data, (int)(len < RECORD ? len : RECORD));
    if (sent > 0) {
        return sent;
    }
    errno = SSL_get_error(e->ssl, sent) == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

void end_close(struct end *e)
{
    SSL_free(e->ssl);
    close(e->fd);
}

static void say(struct end *e, const char *text)
{
    size_t len = strlen(text);

    if (end_write(e, text, len) != (ssize_t)len) {
        die("a head could not be sent");
    }
}

/* Up to the empty line; its first line must begin as |start|'s does; what comes
 * behind is left where it is. */
static void hear_head(struct end *e, const char *start)
{
    char head[ENDS_HEAD_MAX + 1];
    size_t len = 0;

    do {
        if (len == ENDS_HEAD_MAX || end_read(e, head + len, 1) != 1) {
            die("no head came");
        }
        head[++len] = '\0';
    } while (len < 4 || strcmp(head + len - 4, "\r\n\r\n") != 0);
    if (strncmp(head, start, strcspn(start, "\r")) != 0) {
        fprintf(stderr, "something else came than %s: %s", start, head);
        exit(1);
    }
}

static void do_not_block(struct end *e)
{
    if (fcntl(e->fd, F_SETFL, O_NONBLOCK) != 0) {
        die("fcntl");
    }
}

void ends_join(const struct ends_place *place, const char *request,
               const char *answer, struct end *visitor, struct end *service)
{
    char head[ENDS_HEAD_MAX];
    int listener = listen_there(place);

    visit(place, visitor);
    (void)snprintf(head, sizeof(head), "%sHost: %s\r\n\r\n", request,
                   place->name == NULL ? "localhost" : place->name);
    say(visitor, head);
    *service =
        (struct end){ .fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC) };
    if (service->fd < 0) {
        die("nobody came to the service");
    }
    close(listener);
    wait_no_longer(service->fd, PATIENCE_S);
    tune(service->fd, place->congestion);
    hear_head(service, request);
    if (answer != NULL) {
        say(service, answer);
        hear_head(visitor, "HTTP/1.1 ");
    }
    do_not_block(visitor);
    do_not_block(service);
}
