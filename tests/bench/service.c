/*
 * The service behind every tunnel that is measured: one thread, epoll, as
 * little work as possible. `GET /N` answers N bytes, a body that is sent is
 * read and answered with its length. No HTTP server: it knows our probe only.
 *
 *   bench_service PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK (256u * 1024u)
#define HEAD_MAX (16u * 1024u)
#define ANSWER_MAX 256u
#define EVENTS 64
#define BACKLOG 4096

struct peer {
    int fd;
    bool waits_to_write;
    size_t head_len;
    uint64_t body_left; /* of the request, still to be read */
    uint64_t out_left;  /* of the answer's body, still to be written */
    size_t answer_len;
    size_t answer_sent;
    char answer[ANSWER_MAX];
    char *head; /* while one is being read */
};

static char block[BLOCK];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void peer_free(struct peer *p)
{
    close(p->fd);
    free(p->head);
    free(p);
}

static void peer_watch(int poll, struct peer *p, bool waits_to_write)
{
    struct epoll_event event = {
        .events = waits_to_write ? EPOLLOUT : EPOLLIN,
        .data.ptr = p,
    };

    if (p->waits_to_write != waits_to_write) {
        p->waits_to_write = waits_to_write;
        epoll_ctl(poll, EPOLL_CTL_MOD, p->fd, &event);
    }
}

/* False: the connection is over. */
static bool peer_write(int poll, struct peer *p)
{
    while (p->answer_sent < p->answer_len || p->out_left > 0) {
        size_t head = p->answer_len - p->answer_sent;
        size_t body = p->out_left < BLOCK ? (size_t)p->out_left : BLOCK;
        struct iovec parts[2] = {
            { p->answer + p->answer_sent, head },
            { block, body },
        };
        ssize_t sent = writev(p->fd, parts, 2);

        if (sent < 0) {
            peer_watch(poll, p, true);
            return errno == EAGAIN || errno == EINTR;
        }
        head = (size_t)sent < head ? (size_t)sent : head;
        p->answer_sent += head;
        p->out_left -= (size_t)sent - head;
    }
    peer_watch(poll, p, false);
    return true;
}

static bool peer_answer(int poll, struct peer *p, uint64_t body)
{
    p->answer_len = (size_t)snprintf(
        p->answer, sizeof(p->answer),
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        "Content-Length: %" PRIu64 "\r\n\r\n",
        body);
    p->answer_sent = 0;
    p->out_left = body;
    return peer_write(poll, p);
}

/* An upgrade is answered, and then nothing more comes. */
static bool peer_upgrade(int poll, struct peer *p)
{
    p->answer_len = (size_t)snprintf(
        p->answer, sizeof(p->answer),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    p->answer_sent = 0;
    p->out_left = 0;
    return peer_write(poll, p);
}

static bool peer_head(int poll, struct peer *p)
{
    char *end = strstr(p->head, "\r\n\r\n");
    const char *path = strchr(p->head, '/');
    const char *length;
    size_t extra;

    if (end == NULL || path == NULL) {
        return p->head_len < HEAD_MAX;
    }
    end[2] = '\0';
    extra = p->head_len - (size_t)(end + 4 - p->head);
    p->head_len = 0;
    length = strcasestr(p->head, "\r\ncontent-length:");
    if (length != NULL) {
        p->body_left = strtoull(length + 17, NULL, 10) - extra;
        return p->body_left > 0 || peer_answer(poll, p, 0);
    }
    if (strcasestr(p->head, "\r\nupgrade:") != NULL) {
        return peer_upgrade(poll, p);
    }
    return peer_answer(poll, p, strtoull(path + 1, NULL, 10));
}

static bool peer_read(int poll, struct peer *p)
{
    ssize_t len;

    if (p->body_left > 0) {
        len = read(p->fd, block, BLOCK);
        if (len <= 0) {
            return len < 0 && errno == EAGAIN;
        }
        p->body_left -= (uint64_t)len;
        return p->body_left > 0 || peer_answer(poll, p, 0);
    }
    if (p->head == NULL) {
        p->head = malloc(HEAD_MAX + 1);
        if (p->head == NULL) {
            return false;
        }
    }
    len = read(p->fd, p->head + p->head_len, HEAD_MAX - p->head_len);
    if (len <= 0) {
        return len < 0 && errno == EAGAIN;
    }
    p->head_len += (size_t)len;
    p->head[p->head_len] = '\0';
    return peer_head(poll, p);
}

static void accept_all(int poll, int listener)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = p };
        int one = 1;

        if (p == NULL) {
            die("calloc");
        }
        p->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int one = 1;
    struct sockaddr_in here = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&here, sizeof(here)) != 0 ||
        listen(fd, BACKLOG) != 0) {
        die("listen");
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS] = { { .events = EPOLLIN } };
    int poll = epoll_create1(0);
    int listener;

    if (argc != 2) {
        fprintf(stderr, "usage: bench_service PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(block, 'x', sizeof(block));
    listener = listen_on((uint16_t)atoi(argv[1]));
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &events[0]);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            struct peer *p = events[i].data.ptr;

            if (p == NULL) {
                accept_all(poll, listener);
            } else if (!(p->waits_to_write ? peer_write(poll, p)
                                           : peer_read(poll, p))) {
                peer_free(p);
            }
        }
    }
}
