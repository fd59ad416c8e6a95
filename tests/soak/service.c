/*
 * The service behind the soaked tunnel: one thread, epoll. It knows from a
 * request's number what must come and what to answer, and counts what came
 * otherwise. `GET /summary` says the counts.
 *
 *   soak_service SEED       prints "port N"
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/soak/body.h"
#include "tests/soak/channel.h"

#define BLOCK (64u * 1024u)
#define HEAD_SIZE (16u * 1024u)
#define EVENTS 64
#define COMPLAINTS_MAX 20u

enum peer_state { PEER_HEAD, PEER_BODY, PEER_ANSWER };

struct peer {
    struct channel ch;
    enum peer_state state;
    uint64_t number;
    struct plan plan;
    bool is_aside; /* no exchange of the plan */
    size_t head_len;
    char head[HEAD_SIZE];
    struct body_in in;
    struct body_out out;
    size_t out_len;
    size_t out_at;
    uint8_t out_bytes[BLOCK];
};

struct service {
    uint64_t seed;
    int poll;
    int listener;
    uint64_t answered, wrong, failed, sockets;
    uint64_t begun_down, begun_up, ended; /* cancelled exchanges */
    uint64_t peers;
    uint8_t in[BLOCK];
    uint8_t pattern[PLAN_PATTERN_LEN];
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static void complain(struct service *s, const struct peer *p, const char *why)
{
    s->wrong++;
    if (s->wrong <= COMPLAINTS_MAX) {
        fprintf(stderr, "service: exchange %" PRIu64 " (%s): %s\n", p->number,
                p->plan.method, why);
    }
}

static struct body_cut cut_of(const struct service *s, const struct peer *p,
                              bool is_up)
{
    bool chunked = is_up ? p->plan.up_chunked : p->plan.down_chunked;
    bool is_none = is_up && strcmp(p->plan.method, "GET") == 0;
    struct body_cut cut = { .pattern = s->pattern,
                            .start = plan_start(p->number, is_up),
                            .len = is_up ? p->plan.up : p->plan.down,
                            .framing = BODY_LENGTH };

    if (p->plan.kind == PLAN_SOCKET) {
        cut.framing = is_up ? BODY_SOCKET_MASKED : BODY_SOCKET;
    } else if (chunked && !is_none && strcmp(p->plan.method, "HEAD") != 0) {
        cut.framing = BODY_CHUNKED;
    }
    return cut;
}

static void put_head(struct peer *p, const char *head)
{
    p->out_len = strlen(head);
    p->out_at = 0;
    memcpy(p->out_bytes, head, p->out_len);
}

static void answer_summary(struct service *s, struct peer *p)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
             "{\"answered\": %" PRIu64 ", \"wrong\": %" PRIu64
             ", \"failed\": %" PRIu64 ", \"sockets\": %" PRIu64
             ", \"begun_down\": %" PRIu64 ", \"begun_up\": %" PRIu64
             ", \"ended\": %" PRIu64 ", \"peers\": %" PRIu64 "}\n",
             s->answered, s->wrong, s->failed, s->sockets, s->begun_down,
             s->begun_up, s->ended, s->peers - 1);
    put_head(p, text);
    p->is_aside = true;
    p->out.is_done = true;
    p->state = PEER_ANSWER;
}

/* The request is whole: answer it. */
static void answer(struct service *s, struct peer *p)
{
    struct body_cut cut = cut_of(s, p, false);
    char sum[BODY_SUM_LEN + 1] = "-";
    char got[BODY_SUM_LEN + 1];
    char said[BODY_SUM_LEN + 1];
    char framing[64] = "Transfer-Encoding: chunked";
    char text[1024];

    body_in_sum(&p->in, got);
    channel_field(p->head, "X-Sum", said, sizeof(said));
    if (said[0] != '\0' && strcmp(said, got) != 0) {
        complain(s, p, "the body is not the one its sum was made of");
    }
    if (p->plan.kind != PLAN_CANCEL_DOWN) {
        body_sum(&cut, sum);
    }
    if (!p->plan.down_chunked) {
        snprintf(framing, sizeof(framing), "Content-Length: %" PRIu64,
                 p->plan.down);
    }
    snprintf(text, sizeof(text),
             "HTTP/1.1 200 OK\r\nX-Got: %s\r\nX-Sum: %s\r\n%s%s\r\n\r\n", got,
             sum, p->plan.service_closes ? "Connection: close\r\n" : "",
             framing);
    put_head(p, text);
    body_out_begin(&p->out, &cut);
    p->out.is_done |= strcmp(p->plan.method, "HEAD") == 0;
    p->state = PEER_ANSWER;
}

/* The head is whole: what must come is known now. */
static bool begin(struct service *s, struct peer *p)
{
    struct body_cut up;
    size_t method_len = strcspn(p->head, " \r");
    char *end;

    if (strncmp(p->head, "GET /summary ", 13) == 0) {
        answer_summary(s, p);
        return true;
    }
    /* The client asks once which service this is. */
    if (strncmp(p->head, "GET /api/config ", 16) == 0) {
        put_head(p, "HTTP/1.1 404 Not Found\r\nConnection: close\r\n"
                    "Content-Length: 0\r\n\r\n");
        p->is_aside = true;
        p->state = PEER_ANSWER;
        return true;
    }
    p->number = strtoull(p->head + method_len + 2, &end, 10);
    if (strncmp(p->head + method_len, " /", 2) != 0 ||
        strncmp(end, " HTTP/1.1\r\n", 11) != 0) {
        complain(s, p, "a request line that nobody sent");
        return false;
    }
    p->plan = plan_of(s->seed, p->number);
    if (strlen(p->plan.method) != method_len ||
        memcmp(p->head, p->plan.method, method_len) != 0) {
        complain(s, p, "another method than was sent");
        return false;
    }
    s->begun_down += p->plan.kind == PLAN_CANCEL_DOWN;
    s->begun_up += p->plan.kind == PLAN_CANCEL_UP;
    up = cut_of(s, p, true);
    body_in_begin(&p->in, &up);
    p->state = PEER_BODY;
    if (p->plan.kind == PLAN_SOCKET) {
        struct body_cut down = cut_of(s, p, false);

        put_head(p, "HTTP/1.1 101 Switching Protocols\r\n"
                    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
                    "\r\n\r\n");
        body_out_begin(&p->out, &down);
    } else if (p->in.status == BODY_DONE) {
        answer(s, p);
    }
    return true;
}

static void reset(struct peer *p)
{
    p->state = PEER_HEAD;
    p->head_len = 0;
    p->out_len = p->out_at = 0;
    memset(&p->out, 0, sizeof(p->out));
    p->out.is_done = true;
}

/* |len| bytes came. False: the connection is to be closed. */
static bool feed(struct service *s, struct peer *p, const uint8_t *in,
                 size_t len)
{
    while (len > 0) {
        size_t used = 1;

        if (p->state == PEER_HEAD) {
            if (p->head_len + 1 >= HEAD_SIZE) {
                complain(s, p, "a head too long");
                return false;
            }
            p->head[p->head_len++] = (char)*in;
            p->head[p->head_len] = '\0';
            if (*in == '\n' && p->head_len >= 4 &&
                memcmp(p->head + p->head_len - 4, "\r\n\r\n", 4) == 0 &&
                !begin(s, p)) {
                return false;
            }
        } else if (p->state == PEER_BODY && p->in.status == BODY_MORE) {
            used = body_in_take(&p->in, in, len);
            if (p->in.status == BODY_WRONG) {
                complain(s, p, p->in.why);
                return false;
            }
            if (p->in.status == BODY_DONE && p->plan.kind != PLAN_SOCKET) {
                answer(s, p);
            }
        } else {
            complain(s, p, "more bytes than the request has");
            return false;
        }
        in += used;
        len -= used;
    }
    return true;
}

/* Write what there is. False: the connection is over. */
static bool push(struct service *s, struct peer *p)
{
    while (p->out_at < p->out_len || !p->out.is_done) {
        long sent;

        if (p->out_at == p->out_len) {
            p->out_at = 0;
            p->out_len = body_out_fill(&p->out, p->out_bytes, BLOCK);
        }
        sent = channel_write(&p->ch, p->out_bytes + p->out_at,
                             p->out_len - p->out_at);
        if (sent < 0) {
            return sent == CHANNEL_AGAIN;
        }
        p->out_at += (size_t)sent;
    }
    if (p->state == PEER_BODY && p->plan.kind == PLAN_SOCKET &&
        p->in.status == BODY_DONE) {
        s->sockets++;
        s->answered++;
        reset(p);
        return false;
    } else if (p->state == PEER_ANSWER) {
        bool closes = p->is_aside || p->plan.service_closes;

        s->answered += !p->is_aside;
        reset(p);
        return !closes;
    }
    return true;
}

/* The connection of |p| has ended, by itself or by us. */
static void peer_free(struct service *s, struct peer *p)
{
    if (p->state != PEER_HEAD && p->plan.kind >= PLAN_CANCEL_DOWN) {
        s->ended++;
    } else if (p->state != PEER_HEAD || p->head_len > 0) {
        s->failed++;
        fprintf(stderr, "service: exchange %" PRIu64 " (%s) was cut\n",
                p->number, p->plan.method);
    }
    s->peers--;
    channel_close(&p->ch, false);
    free(p);
}

static void turn(struct service *s, struct peer *p)
{
    long got = CHANNEL_AGAIN;

    do {
        if (!push(s, p)) {
            break;
        }
        got = channel_read(&p->ch, s->in, BLOCK);
        if (got == CHANNEL_AGAIN) {
            return;
        }
    } while (got > 0 && feed(s, p, s->in, (size_t)got));
    peer_free(s, p);
}

static void accept_all(struct service *s)
{
    int fd;

    while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
        struct peer *p = malloc(sizeof(*p));
        struct epoll_event event = {
            .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP, .data.ptr = p
        };

        if (p == NULL || !channel_tune(fd)) {
            die("accept");
        }
        p->ch = (struct channel){ .fd = fd };
        p->number = 0;
        p->plan = (struct plan){ .method = "?" };
        p->is_aside = false;
        reset(p);
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): epoll hands it back */
        s->peers++;
        if (epoll_ctl(s->poll, EPOLL_CTL_ADD, fd, &event) != 0) {
            die("epoll_ctl");
        }
    }
}

static void listen_on_any_port(struct service *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t len = sizeof(at);
    struct epoll_event event = { .events = EPOLLIN };

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->listener < 0 ||
        bind(s->listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
        listen(s->listener, SOMAXCONN) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&at, &len) != 0 ||
        epoll_ctl(s->poll, EPOLL_CTL_ADD, s->listener, &event) != 0) {
        die("listen");
    }
    printf("port %u\n", ntohs(at.sin_port));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct service s;

    if (argc != 2) {
        fprintf(stderr, "usage: soak_service SEED\n");
        return 2;
    }
    s.seed = strtoull(argv[1], NULL, 10);
    plan_pattern(s.seed, s.pattern);
    s.poll = epoll_create1(0);
    listen_on_any_port(&s);
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(s.poll, events, EVENTS, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                accept_all(&s);
            } else {
                turn(&s, events[i].data.ptr);
            }
        }
    }
}
