/*
 * Each place has an address of its own, 127.0.3.N, because the relay counts
 * and paces connections by address. A connection is kept as long as HTTP
 * allows, so that heads and bodies of many exchanges stand behind each other.
 */
#include "tests/soak/visit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#define COMPLAINTS_MAX 20u

enum visit_outcome { VISIT_BLOCKED, VISIT_DONE, VISIT_LEAVES, VISIT_WRONG };

uint64_t visit_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void say(const struct visit *v, const char *what, const char *why)
{
    if (v->swarm->wrong + v->swarm->failed <= COMPLAINTS_MAX) {
        fprintf(stderr, "visitor: exchange %" PRIu64 " (%s) %s: %s\n",
                v->number, v->plan.method, what, why);
    }
}

static enum visit_outcome wrong(struct visit *v, const char *why)
{
    v->swarm->wrong++;
    say(v, "is wrong", why);
    return VISIT_WRONG;
}

static enum visit_outcome failed(struct visit *v, const char *why)
{
    v->swarm->failed++;
    say(v, "failed", why);
    return VISIT_WRONG;
}

/* A socket on its way to the relay, with TLS to begin on it. */
static void connect_place(struct visit *v)
{
    struct sockaddr_in from = { .sin_family = AF_INET };
    struct epoll_event event = { .events =
                                     EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP,
                                 .data.ptr = v };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    from.sin_addr.s_addr = htonl(0x7f000301 + v->index);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        connect(fd, (struct sockaddr *)&v->swarm->relay,
                sizeof(v->swarm->relay)) != 0 ||
        !channel_tune(fd)) {
        perror("connect");
        exit(1);
    }
    v->ch = (struct channel){ .fd = fd, .ssl = SSL_new(v->swarm->tls) };
    if (v->ch.ssl == NULL || SSL_set_fd(v->ch.ssl, fd) != 1 ||
        SSL_set_tlsext_host_name(v->ch.ssl, v->swarm->host) != 1 ||
        SSL_set1_host(v->ch.ssl, v->swarm->host) != 1 ||
        epoll_ctl(v->swarm->poll, EPOLL_CTL_ADD, fd, &event) != 0) {
        fprintf(stderr, "visitor: no TLS connection can be made\n");
        exit(1);
    }
    SSL_set_connect_state(v->ch.ssl);
    v->state = VISIT_HANDSHAKE;
}

static struct body_cut cut_of(const struct visit *v, bool is_up)
{
    struct body_cut cut = { .pattern = v->swarm->pattern,
                            .start = plan_start(v->number, is_up),
                            .len = is_up ? v->plan.up : v->plan.down,
                            .framing = BODY_LENGTH };
    bool chunked = is_up ? v->plan.up_chunked : v->plan.down_chunked;

    if (v->plan.kind == PLAN_SOCKET) {
        cut.framing = is_up ? BODY_SOCKET_MASKED : BODY_SOCKET;
    } else if (chunked) {
        cut.framing = BODY_CHUNKED;
    }
    return cut;
}

/* The request's head, and its body behind it. */
static void put_request(struct visit *v)
{
    bool has_body = v->plan.method[0] == 'P';
    struct body_cut cut = cut_of(v, true);
    char fields[256] = "";
    int len;

    v->up_sum[0] = '\0';
    if (v->plan.kind == PLAN_SOCKET) {
        snprintf(fields, sizeof(fields),
                 "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    } else if (has_body && v->plan.kind == PLAN_EXCHANGE) {
        body_sum(&cut, v->up_sum);
        snprintf(fields, sizeof(fields), "X-Sum: %s\r\n", v->up_sum);
    }
    len = snprintf((char *)v->out_bytes, VISIT_BLOCK,
                   "%s /%" PRIu64 " HTTP/1.1\r\nHost: %s\r\n%s%s",
                   v->plan.method, v->number, v->swarm->host, fields,
                   v->plan.visitor_closes && v->plan.kind != PLAN_SOCKET
                       ? "Connection: close\r\n"
                       : "");
    v->out_len = (size_t)len;
    v->out_at = 0;
    memset(&v->out, 0, sizeof(v->out));
    v->out.is_done = true;
    if (has_body || v->plan.kind == PLAN_SOCKET) {
        body_out_begin(&v->out, &cut);
    }
    if (has_body && v->plan.up_chunked) {
        snprintf(fields, sizeof(fields), "Transfer-Encoding: chunked\r\n\r\n");
    } else if (has_body) {
        snprintf(fields, sizeof(fields), "Content-Length: %" PRIu64 "\r\n\r\n",
                 v->plan.up);
    } else {
        snprintf(fields, sizeof(fields), "\r\n");
    }
    memcpy(v->out_bytes + v->out_len, fields, strlen(fields));
    v->out_len += strlen(fields);
}

void visit_begin(struct visit *v)
{
    struct swarm *s = v->swarm;

    if (s->begun >= s->wanted && visit_now_us() >= s->until_us) {
        channel_close(&v->ch, true);
        v->state = VISIT_IDLE;
        s->busy--;
        return;
    }
    v->number = s->next++;
    v->plan = plan_of(s->seed, v->number);
    s->begun += v->plan.kind == PLAN_EXCHANGE;
    v->begun_us = visit_now_us();
    v->head_len = 0;
    v->has_head = false;
    put_request(v);
    if (v->ch.fd < 0) {
        connect_place(v);
    } else {
        v->state = VISIT_EXCHANGE;
    }
}

/* The answer's head came: is it the one to this request? */
static enum visit_outcome check_head(struct visit *v)
{
    bool is_socket = v->plan.kind == PLAN_SOCKET;
    bool is_head = strcmp(v->plan.method, "HEAD") == 0;
    struct body_cut cut = cut_of(v, false);
    char text[BODY_SUM_LEN + 1];
    char want[32];

    if (strncmp(v->head, is_socket ? "HTTP/1.1 101 " : "HTTP/1.1 200 ", 13) !=
        0) {
        v->head[strcspn(v->head, "\r")] = '\0';
        return wrong(v, v->head);
    }
    channel_field(v->head, "X-Got", text, sizeof(text));
    if (v->up_sum[0] != '\0' && strcmp(text, v->up_sum) != 0) {
        return wrong(v, "the service got another body");
    }
    channel_field(v->head, "Content-Length", text, sizeof(text));
    snprintf(want, sizeof(want), "%" PRIu64, v->plan.down);
    if (!is_socket && strcmp(text, v->plan.down_chunked ? "" : want) != 0) {
        return wrong(v, "another Content-Length than the service's");
    }
    channel_field(v->head, "Transfer-Encoding", text, sizeof(text));
    if (!is_socket && !is_head &&
        strcmp(text, v->plan.down_chunked ? "chunked" : "") != 0) {
        return wrong(v, "another Transfer-Encoding than the service's");
    }
    if (is_head) {
        cut.framing = BODY_LENGTH;
        cut.len = 0;
    }
    body_in_begin(&v->in, &cut);
    v->has_head = true;
    return VISIT_BLOCKED;
}

static enum visit_outcome feed(struct visit *v, const uint8_t *in, size_t len)
{
    while (len > 0 && !v->has_head) {
        if (v->head_len + 1 >= VISIT_HEAD_SIZE) {
            return wrong(v, "a head too long");
        }
        v->head[v->head_len++] = (char)*in;
        v->head[v->head_len] = '\0';
        len--;
        if (*in++ == '\n' && v->head_len >= 4 &&
            memcmp(v->head + v->head_len - 4, "\r\n\r\n", 4) == 0 &&
            check_head(v) == VISIT_WRONG) {
            return VISIT_WRONG;
        }
    }
    if (len > 0) {
        size_t used = body_in_take(&v->in, in, len);

        if (v->in.status == BODY_WRONG) {
            return wrong(v, v->in.why);
        } else if (used < len) {
            return wrong(v, "bytes behind the answer");
        }
    }
    return VISIT_BLOCKED;
}

/* The answer is whole: was its sum made of the same bytes? */
static enum visit_outcome check_sum(struct visit *v)
{
    char got[BODY_SUM_LEN + 1];
    char said[BODY_SUM_LEN + 1];

    if (v->plan.kind == PLAN_SOCKET || strcmp(v->plan.method, "HEAD") == 0) {
        return VISIT_DONE;
    }
    body_in_sum(&v->in, got);
    channel_field(v->head, "X-Sum", said, sizeof(said));
    if (strcmp(got, said) != 0) {
        return wrong(v, "the sum of the answer is another one");
    }
    return VISIT_DONE;
}

static bool is_out(const struct visit *v)
{
    return v->out.is_done && v->out_at == v->out_len;
}

static enum visit_outcome push(struct visit *v)
{
    while (!is_out(v)) {
        long sent;

        if (v->plan.kind == PLAN_CANCEL_UP && v->out.sent > v->plan.leave_at) {
            return VISIT_LEAVES;
        }
        if (v->out_at == v->out_len) {
            v->out_at = 0;
            v->out_len = body_out_fill(&v->out, v->out_bytes, VISIT_BLOCK);
        }
        sent = channel_write(&v->ch, v->out_bytes + v->out_at,
                             v->out_len - v->out_at);
        if (sent == CHANNEL_AGAIN) {
            break;
        } else if (sent <= 0) {
            return failed(v, "the connection broke while it was written to");
        }
        v->out_at += (size_t)sent;
    }
    return VISIT_BLOCKED;
}

static enum visit_outcome pull(struct visit *v)
{
    for (;;) {
        long got = channel_read(&v->ch, v->swarm->in, VISIT_BLOCK);
        enum visit_outcome outcome;

        if (got == CHANNEL_AGAIN) {
            return VISIT_BLOCKED;
        } else if (got <= 0) {
            return failed(v, got == CHANNEL_ENDED
                                 ? "the connection ended within it"
                                 : "the connection broke within it");
        }
        outcome = feed(v, v->swarm->in, (size_t)got);
        if (outcome != VISIT_BLOCKED) {
            return outcome;
        }
        if (v->plan.kind == PLAN_CANCEL_DOWN && v->has_head &&
            v->in.got >= v->plan.leave_at) {
            return VISIT_LEAVES;
        }
        if (v->has_head && v->in.status == BODY_DONE && is_out(v)) {
            return check_sum(v);
        }
    }
}

static void note(struct visit *v)
{
    struct swarm *s = v->swarm;

    s->done++;
    s->sockets += v->plan.kind == PLAN_SOCKET;
    s->bytes_up += v->plan.up;
    s->bytes_down += v->plan.method[0] == 'H' ? 0 : v->plan.down;
    if (v->plan.kind == PLAN_EXCHANGE && s->took_count < s->took_max) {
        s->took_us[s->took_count++] = (uint32_t)(visit_now_us() - v->begun_us);
    }
}

/* The exchange is over, well or not: the next one. */
static void finish(struct visit *v, enum visit_outcome outcome)
{
    char connection[16];

    channel_field(v->head, "Connection", connection, sizeof(connection));
    if (outcome == VISIT_DONE) {
        note(v);
        if (v->plan.visitor_closes || v->plan.kind == PLAN_SOCKET ||
            strcmp(connection, "close") == 0) {
            channel_close(&v->ch, true);
        }
    } else if (outcome == VISIT_LEAVES) {
        v->swarm->left_down += v->plan.kind == PLAN_CANCEL_DOWN;
        v->swarm->left_up += v->plan.kind == PLAN_CANCEL_UP;
        channel_close(&v->ch, (v->number & 1) != 0);
    } else {
        channel_close(&v->ch, false);
    }
    v->head[0] = '\0';
    visit_begin(v);
}

static enum visit_outcome go_on(struct visit *v)
{
    enum visit_outcome outcome;

    if (v->state == VISIT_HANDSHAKE) {
        int result = SSL_do_handshake(v->ch.ssl);
        int error = SSL_get_error(v->ch.ssl, result);

        if (result != 1) {
            return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE
                       ? VISIT_BLOCKED
                       : failed(v, "the handshake failed");
        }
        v->swarm->handshakes++;
        v->state = VISIT_EXCHANGE;
    }
    outcome = push(v);
    return outcome == VISIT_BLOCKED ? pull(v) : outcome;
}

void visit_turn(struct visit *v)
{
    while (v->state != VISIT_IDLE) {
        enum visit_outcome outcome = go_on(v);

        if (outcome == VISIT_BLOCKED) {
            return;
        }
        finish(v, outcome);
    }
}
