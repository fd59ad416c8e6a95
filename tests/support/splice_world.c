/* Two splices between raw sockets. */
#include "tests/support/splice_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GOT_MAX (32u * MIB)
#define RECV_MAX (1u * MIB)
#define TURNS_MAX 200000u
#define TURNS_QUIET 30u
#define QUIET_US (10 * US_PER_MS)

/* --- raw ends -------------------------------------------------------------*/

/* Returns whether something moved. */
static bool peer_turn(struct splice_peer *p)
{
    bool moved = false;
    ssize_t n;

    if (p->to_send_len > 0) {
        n = send(p->fd, p->to_send, p->to_send_len, MSG_NOSIGNAL);
        if (n > 0) {
            p->to_send += n;
            p->to_send_len -= (size_t)n;
            moved = true;
        }
    }
    if (p->fd >= 0 && !p->is_deaf && !p->has_eof && !p->was_reset) {
        assert(p->got_len + 1 < GOT_MAX);
        size_t room = GOT_MAX - 1 - p->got_len;

        n = recv(p->fd, p->got + p->got_len, room < RECV_MAX ? room : RECV_MAX,
                 0);
        p->has_eof = n == 0;
        p->was_reset = n < 0 && errno != EAGAIN;
        if (n > 0) {
            p->got_len += (size_t)n;
            p->got[p->got_len] = '\0';
        }
        moved = moved || n >= 0;
    }
    return moved;
}

void splice_world_send(struct splice_peer *peer, const char *text, size_t len)
{
    assert(peer->to_send_len == 0);
    peer->to_send = text;
    peer->to_send_len = len;
}

void splice_world_say(struct splice_peer *peer, const char *text)
{
    splice_world_send(peer, text, strlen(text));
}

/* --- our sides ------------------------------------------------------------*/

static void on_side_splice(struct splice *s, enum splice_event event,
                           void *owner);

static void side_splice(struct splice_side *side)
{
    struct splice_options o = { .conn = side->conn,
                                .carrier = &side->carrier,
                                .parser = side->parser,
                                .on_event = on_side_splice,
                                .owner = side };

    side->splice = splice_new(&o);
    assert(side->splice != NULL);
    session_set_owner(side->end->session, side->stream, side);
    splice_set_stream(side->splice, side->stream);
}

void splice_world_finish(struct splice_side *side)
{
    splice_free(side->splice);
    side->splice = NULL;
}

/* The head that the splice has, on to the stream. */
static void side_pass_head(struct splice_side *side)
{
    static uint8_t block[HEAD_MAX];
    struct wire_writer w;
    enum err err;

    wire_writer_init(&w, block, sizeof(block));
    head_encode(&w, splice_head(side->splice));
    assert(wire_writer_done(&w));
    err = session_write_head(side->end->session, side->stream,
                             splice_head_kind(side->splice), wire_written(&w),
                             false);
    assert(err == ERR_OK);
    if (splice_head(side->splice)->status == 101) {
        splice_raw(side->splice);
    }
}

static void on_side_splice(struct splice *s, enum splice_event event,
                           void *owner)
{
    struct splice_side *side = owner;

    assert(s == side->splice);
    switch (event) {
    case SPLICE_HEAD:
        side->heads++;
        side_pass_head(side);
        break;
    case SPLICE_IN_END:
        side->in_end++;
        break;
    case SPLICE_BAD:
        side->bad++;
        break;
    case SPLICE_CUT:
        side->cut++;
        break;
    case SPLICE_RAW_END:
        side->raw_end++;
        break;
    case SPLICE_OUT_END:
        side->out_end++;
        break;
    }
    if (side->frees_at_once) {
        splice_world_finish(side);
    }
}

/* The edge's first step: the request's head, before there is a splice. */
static void edge_read(struct splice_side *side)
{
    static uint8_t block[HEAD_MAX];
    struct frame_open open = pair_open(1);
    struct span in = conn_input(side->conn);
    struct wire_writer w;
    enum h1_event event;
    size_t used;
    enum err err = h1_parser_step(side->parser, in, &used, &event);

    assert(err == ERR_OK);
    if (event == H1_HEAD) {
        const struct head *h = h1_parser_head(side->parser);

        side->is_upgrade = h->is_upgrade;
        side->is_head = span_equal(h->method, span_text("HEAD"));
        wire_writer_init(&w, block, sizeof(block));
        head_encode(&w, h);
        err = session_open(side->end->session, 0, &open, wire_written(&w),
                           false, &side->stream);
        assert(err == ERR_OK);
        side_splice(side);
        if (side->is_upgrade) {
            splice_hold(side->splice);
        }
    }
    conn_consume(side->conn, used);
    if (event == H1_HEAD) {
        splice_conn(side->splice, CONN_DATA);
    }
}

static void on_side_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct splice_side *side = owner;

    assert(c == side->conn);
    if (side->splice != NULL) {
        splice_conn(side->splice, event);
    } else if (side == &side->world->edge && event == CONN_DATA) {
        edge_read(side);
    }
}

/* --- the sessions' events -------------------------------------------------*/

static void local_open(struct splice_side *side,
                       const struct session_event *event)
{
    struct session_event rest = *event;
    struct h1_expect expect;
    const char *why;
    struct head h;
    enum err err = head_decode(event->bytes, &h, &why);

    assert(err == ERR_OK);
    side->stream = event->stream;
    side_splice(side);
    expect.is_head = span_equal(h.method, span_text("HEAD"));
    expect.is_upgrade = h.is_upgrade;
    h1_parser_expect(side->parser, &expect);
    err = splice_write_head(side->splice, &h, NULL);
    assert(err == ERR_OK);
    rest.kind = EVENT_HEAD;
    splice_data(side->splice, &rest);
}

static void side_take_head(struct splice_side *side,
                           const struct session_event *event)
{
    struct h1_response_to to = { .version = 11,
                                 .request_is_head = side->is_head };
    const char *why;
    struct head h;
    enum err err = head_decode(event->bytes, &h, &why);

    assert(err == ERR_OK);
    if (event->head == HEAD_TRAILERS) {
        err = splice_write_trailers(side->splice, &h);
    } else {
        err = splice_write_head(side->splice, &h, &to);
        if (h.status == 101) {
            splice_raw(side->splice);
        } else if (h.status >= 200 && side->is_upgrade) {
            splice_resume(side->splice);
        }
    }
    assert(err == ERR_OK);
    splice_data(side->splice, event);
}

static void side_event(struct splice_side *side,
                       const struct session_event *event)
{
    if (event->kind == EVENT_RESET) {
        side->reset = event->code;
    } else if (event->kind == EVENT_OPEN) {
        local_open(side, event);
    } else if (side->splice == NULL) {
        return;
    } else if (event->kind == EVENT_HEAD) {
        side_take_head(side, event);
    } else if (event->kind == EVENT_DATA) {
        splice_data(side->splice, event);
    } else if (event->kind == EVENT_STOP) {
        splice_discard(side->splice);
    }
}

static bool side_carry(struct splice_side *from, struct splice_side *to)
{
    struct session_event event;
    uint32_t stream;
    bool moved = false;
    struct splice_side *owner;

    while (pair_next(&from->world->pair, from->end, to->end, &event)) {
        side_event(to, &event);
        moved = true;
    }
    while ((owner = session_pop_writable(from->end->session, &stream)) !=
           NULL) {
        if (owner->splice != NULL) {
            splice_writable(owner->splice);
        }
        moved = true;
    }
    return moved;
}

/* --- the world ------------------------------------------------------------*/

static bool world_turn(struct splice_world *w)
{
    bool moved = false;

    moved |= peer_turn(&w->visitor);
    moved |= peer_turn(&w->service);
    w->pair.now_us = loop_now(&w->loop);
    uv_run(&w->loop.uv, UV_RUN_NOWAIT);
    moved |= side_carry(&w->edge, &w->local);
    moved |= side_carry(&w->local, &w->edge);
    return moved;
}

void splice_world_until(struct splice_world *w, const unsigned *what)
{
    unsigned turns = 0;

    while (*what == 0) {
        if (!world_turn(w)) {
            (void)usleep(50);
        }
        turns++;
        assert(turns <= TURNS_MAX);
    }
}

void splice_world_until_got(struct splice_world *w, struct splice_peer *peer,
                            size_t len)
{
    unsigned turns = 0;

    while (peer->got_len < len) {
        if (!world_turn(w)) {
            (void)usleep(50);
        }
        turns++;
        assert(turns <= TURNS_MAX);
    }
}

void splice_world_until_eof(struct splice_world *w, struct splice_peer *peer)
{
    unsigned turns = 0;

    while (!peer->has_eof) {
        if (!world_turn(w)) {
            (void)usleep(50);
        }
        turns++;
        assert(turns <= TURNS_MAX);
    }
}

void splice_world_settle(struct splice_world *w)
{
    unsigned quiet = 0;
    uint64_t moved_us = loop_now(&w->loop);

    /* Loopback is slow to deliver while other programs keep the cores. */
    while (quiet < TURNS_QUIET || loop_now(&w->loop) < moved_us + QUIET_US) {
        quiet++;
        if (world_turn(w)) {
            quiet = 0;
            moved_us = loop_now(&w->loop);
        }
        (void)usleep(100);
    }
}

/* A TCP connection over loopback: |fds[0]| ours, |fds[1]| the raw end. */
static void world_socket_pair(int fds[2])
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(a);
    int small = 64 * 1024;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int status =
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));

    status |= bind(listener, (struct sockaddr *)&a, sizeof(a));
    status |= listen(listener, 1);
    status |= getsockname(listener, (struct sockaddr *)&a, &len);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    status |= setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    status |= setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    status |= connect(fds[1], (struct sockaddr *)&a, sizeof(a));
    fds[0] = accept(listener, NULL, NULL);
    status |= setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    status |= fcntl(fds[1], F_SETFL, O_NONBLOCK);
    status |= close(listener);
    assert(status == 0 && fds[0] >= 0 && fds[1] >= 0);
}

static void side_open(struct splice_world *w, struct splice_side *side,
                      struct pair_end *end, struct splice_peer *peer)
{
    struct conn_options o = { .on_event = on_side_conn, .owner = side };
    int fds[2];
    enum err err;

    world_socket_pair(fds);
    peer->fd = fds[1];
    peer->got = calloc(1, GOT_MAX);
    side->world = w;
    side->end = end;
    side->carrier.session = end->session;
    side->parser = h1_parser_new(side == &w->edge ? H1_REQUESTS : H1_RESPONSES);
    err = conn_adopt(&w->loop, fds[0], &o, &side->conn);
    assert(err == ERR_OK && side->parser != NULL && peer->got != NULL);
}

static void on_world_timer(uv_timer_t *timer)
{
    (void)timer;
}

void splice_world_open(struct splice_world *w)
{
    enum err err;

    memset(w, 0, sizeof(*w));
    err = loop_open(&w->loop);
    assert(err == ERR_OK);
    uv_timer_init(&w->loop.uv, &w->alive);
    uv_timer_start(&w->alive, on_world_timer, 3600000, 0);
    pair_init(&w->pair, WINDOW_FIRST);
    pair_bind(&w->pair, 1);
    side_open(w, &w->edge, &w->pair.relay, &w->visitor);
    side_open(w, &w->local, &w->pair.client, &w->service);
}

static void side_close(struct splice_side *side, struct splice_peer *peer)
{
    splice_free(side->splice);
    conn_close(side->conn, 0);
    h1_parser_free(side->parser);
    if (peer->fd >= 0) {
        (void)close(peer->fd);
    }
    free(peer->got);
}

void splice_world_close(struct splice_world *w)
{
    side_close(&w->edge, &w->visitor);
    side_close(&w->local, &w->service);
    pair_deinit(&w->pair);
    uv_close((uv_handle_t *)&w->alive, NULL);
    loop_close(&w->loop);
}
