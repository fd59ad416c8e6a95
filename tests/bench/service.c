/*
 * The service behind every tunnel that is measured: one thread, epoll, as
 * little work as possible. `GET /N` answers N bytes, a body that is sent is
 * read and answered with its length, and `GET /tokens/N` gives events without
 * end, one each 20 ms, as a language model does; they say when they were sent.
 * No HTTP server: it knows our probe only.
 *
 *   bench_service PORT [KEPT]
 *
 * KEPT: how many bytes of an answer the kernel keeps at most; else it decides.
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
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256u * 1024u)
#define HEAD_MAX (16u * 1024u)
#define ANSWER_MAX 256u
#define EVENTS 64
#define BACKLOG 4096
#define TALKERS_MAX 1024u
#define TICK_MS 1u
#define EVENT_TICKS 20u /* each talker's turn comes so often */
#define EVENT_MIN 60u   /* bytes of an event, growing by a step each time */
#define EVENT_STEP 37u
#define EVENT_SPREAD 141u

struct peer {
    int fd;
    struct service *service;
    bool is_talking;
    bool waits_to_write;
    size_t head_len;
    uint64_t body_left; /* of the request, still to be read */
    uint64_t out_left;  /* of the answer's body, still to be written */
    size_t answer_len;
    size_t answer_sent;
    char answer[ANSWER_MAX];
    char *head; /* while one is being read */
};

/* All its connections; those that get events, in the order of their turns. */
struct service {
    int poll;
    int clock;
    unsigned tick;
    unsigned events;
    size_t talking;
    struct peer *talkers[TALKERS_MAX];
};

static char block[BLOCK]; /* of answers */
static char sink[BLOCK];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void peer_free(struct peer *p)
{
    for (size_t i = 0; p->is_talking && i < TALKERS_MAX; i++) {
        if (p->service->talkers[i] == p) {
            p->service->talkers[i] = NULL;
            p->service->talking--;
        }
    }
    close(p->fd);
    free(p->head);
    free(p);
}

static void peer_watch(struct peer *p, bool waits_to_write)
{
    struct epoll_event event = {
        .events = waits_to_write ? EPOLLOUT : EPOLLIN,
        .data.ptr = p,
    };

    if (p->waits_to_write != waits_to_write) {
        p->waits_to_write = waits_to_write;
        epoll_ctl(p->service->poll, EPOLL_CTL_MOD, p->fd, &event);
    }
}

/* False: the connection is over. */
static bool peer_write(struct peer *p)
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
            peer_watch(p, true);
            return errno == EAGAIN || errno == EINTR;
        }
        head = (size_t)sent < head ? (size_t)sent : head;
        p->answer_sent += head;
        p->out_left -= (size_t)sent - head;
    }
    peer_watch(p, false);
    return true;
}

static bool peer_answer(struct peer *p, uint64_t body)
{
    p->answer_len = (size_t)snprintf(
        p->answer, sizeof(p->answer),
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
        "Content-Length: %" PRIu64 "\r\n\r\n",
        body);
    p->answer_sent = 0;
    p->out_left = body;
    return peer_write(p);
}

/* An upgrade is answered, and then nothing more comes. */
static bool peer_upgrade(struct peer *p)
{
    p->answer_len = (size_t)snprintf(
        p->answer, sizeof(p->answer),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\n"
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    p->answer_sent = 0;
    p->out_left = 0;
    return peer_write(p);
}

/* Ticks only while someone gets events: nobody else is to feel them. */
static void service_wind(struct service *s)
{
    long every_ns = s->talking > 0 ? TICK_MS * 1000000L : 0;
    struct itimerspec every = {
        .it_interval.tv_nsec = every_ns,
        .it_value.tv_nsec = every_ns,
    };

    timerfd_settime(s->clock, 0, &every, NULL);
}

/* From now on it has its turn with the others, at times of its own. */
static bool peer_talk(struct peer *p)
{
    size_t turn = 0;

    while (turn < TALKERS_MAX && p->service->talkers[turn] != NULL) {
        turn++;
    }
    if (turn == TALKERS_MAX) {
        return false;
    }
    p->service->talkers[turn] = p;
    p->is_talking = true;
    if (p->service->talking++ == 0) {
        service_wind(p->service);
    }
    p->answer_len = (size_t)snprintf(
        p->answer, sizeof(p->answer),
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        "Cache-Control: no-store\r\nTransfer-Encoding: chunked\r\n\r\n");
    p->answer_sent = 0;
    return peer_write(p);
}

/* One event, a chunk of its own. */
static void peer_event(struct peer *p)
{
    struct timespec now;
    unsigned len = EVENT_MIN + p->service->events++ * EVENT_STEP % EVENT_SPREAD;
    char text[EVENT_MIN + EVENT_SPREAD + 16];
    int all;

    clock_gettime(CLOCK_MONOTONIC, &now);
    all = snprintf(text, sizeof(text),
                   "%x\r\ndata: @%010" PRIu64 "%06u%.*s\n\n\r\n", len,
                   (uint64_t)now.tv_sec, (unsigned)(now.tv_nsec / 1000),
                   (int)len - 25, block);
    if (write(p->fd, text, (size_t)all) != all) {
        shutdown(p->fd, SHUT_RDWR);
    }
}

static void service_tick(struct service *s)
{
    uint64_t ticks;

    if (read(s->clock, &ticks, sizeof(ticks)) != sizeof(ticks)) {
        return;
    }
    if (s->talking == 0) {
        service_wind(s);
    }
    for (; ticks > 0; ticks--, s->tick++) {
        for (size_t i = s->tick % EVENT_TICKS; i < TALKERS_MAX;
             i += EVENT_TICKS) {
            if (s->talkers[i] != NULL) {
                peer_event(s->talkers[i]);
            }
        }
    }
}

static bool peer_head(struct peer *p)
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
        return p->body_left > 0 || peer_answer(p, 0);
    }
    if (strcasestr(p->head, "\r\nupgrade:") != NULL) {
        return peer_upgrade(p);
    }
    if (strncmp(path, "/tokens/", 8) == 0) {
        return peer_talk(p);
    }
    return peer_answer(p, strtoull(path + 1, NULL, 10));
}

static bool peer_read(struct peer *p)
{
    ssize_t len;

    if (p->body_left > 0) {
        len = read(p->fd, sink, BLOCK);
        if (len <= 0) {
            return len < 0 && errno == EAGAIN;
        }
        p->body_left -= (uint64_t)len;
        return p->body_left > 0 || peer_answer(p, 0);
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
    return peer_head(p);
}

static void accept_all(struct service *s, int listener)
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
        p->service = s;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): epoll hands it back */
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &event);
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

/* Its connections inherit that. */
static void keep_little(int listener, const char *bytes)
{
    int size = (int)strtol(bytes, NULL, 10);

    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static void service_init(struct service *s, int listener)
{
    struct epoll_event accepts = { .events = EPOLLIN, .data.ptr = NULL };
    struct epoll_event ticks = { .events = EPOLLIN, .data.ptr = s };

    s->poll = epoll_create1(0);
    s->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    if (s->poll < 0 || s->clock < 0) {
        die("clock");
    }
    epoll_ctl(s->poll, EPOLL_CTL_ADD, listener, &accepts);
    epoll_ctl(s->poll, EPOLL_CTL_ADD, s->clock, &ticks);
}

int main(int argc, char **argv)
{
    static struct service service;
    struct epoll_event events[EVENTS];
    int listener;

    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: bench_service PORT [KEPT]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(block, 'x', sizeof(block));
    listener = listen_on((uint16_t)strtol(argv[1], NULL, 10));
    if (argc == 3) {
        keep_little(listener, argv[2]);
    }
    service_init(&service, listener);
    for (;;) {
        int count = epoll_wait(service.poll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            struct peer *p = events[i].data.ptr;

            if (p == NULL) {
                accept_all(&service, listener);
            } else if (events[i].data.ptr == &service) {
                service_tick(&service);
            } else if (!(p->waits_to_write ? peer_write(p) : peer_read(p))) {
                peer_free(p);
            }
        }
    }
}
