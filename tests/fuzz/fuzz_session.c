/*
 * Any bytes after the login, to either side: nothing crashes or leaks, and the
 * same events come whether the bytes come at once or one by one.
 * Input: one byte (bit 0: to the relay), then what the link delivers.
 */
#include <stdlib.h>

#include "proto/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define NOW_US 1000u

/* What happened, as one number. */
struct trace {
    uint64_t hash;
    enum err error;
    struct pool receive;
    struct pool sent;
};

static void trace_add(struct trace *t, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.*): session_step() sets them */
        t->hash = (t->hash ^ bytes[i]) * 0x100000001b3u;
    }
}

static void trace_event(struct trace *t, const struct session_event *event)
{
    uint32_t numbers[] = { (uint32_t)event->kind,
                           event->stream,
                           event->tunnel,
                           event->fin,
                           (uint32_t)event->head,
                           (uint32_t)event->code,
                           (uint32_t)event->bytes.len };

    trace_add(t, numbers, sizeof(numbers));
    trace_add(t, event->bytes.data, event->bytes.len);
}

static void put_out(struct session *s)
{
    while (session_output(s, 0, NOW_US).len > 0) {
    }
}

/* A relay with a stream that is open, or a client with a tunnel. */
static struct session *new_session(struct trace *t, bool is_relay)
{
    struct session_limits limits = {
        .window_first = 3000, .streams_max = 4, .tunnels_max = 2, .grace_s = 45
    };
    struct session_options o = { .role =
                                     is_relay ? SESSION_RELAY : SESSION_CLIENT,
                                 .own = limits,
                                 .peer = limits,
                                 .receive_pool = &t->receive,
                                 .sent_pool = &t->sent,
                                 .receive_max = RECEIVE_POOL_SESSION };
    struct frame_open open = { .tunnel = 1,
                               .kind = STREAM_HTTP,
                               .address = { .family = 4 },
                               .http_version = 11 };
    struct frame_bind bind = { .tunnel = 1 };
    struct session *s = session_new(&o, NOW_US);
    enum err error;
    uint32_t id;

    assert(s != NULL);
    session_link_up(s, 0, NOW_US);
    if (is_relay) {
        error = session_open(s, 0, &open, span_text("get"), false, &id);
    } else {
        error = session_bind(s, &bind);
    }
    assert(error == ERR_OK);
    put_out(s);
    return s;
}

static void react(struct session *s, const struct session_event *event)
{
    if (event->kind == EVENT_DATA) {
        session_consumed(s, event->stream, event->bytes.len);
    } else if (event->kind == EVENT_OPEN && event->open.kind == STREAM_HTTP &&
               session_write_head(s, event->stream, HEAD_FINAL,
                                  span_text("200"), true) != ERR_OK) {
        session_reset(s, event->stream, ERR_CANCEL);
    }
    put_out(s);
}

static struct trace feed(struct span in, size_t piece, bool is_relay)
{
    struct trace t = { .hash = 1 };
    struct session *s;

    pool_init(&t.receive, NULL, RECEIVE_POOL_SESSION);
    pool_init(&t.sent, NULL, SENT_LOG_RELAY);
    s = new_session(&t, is_relay);
    while (in.len > 0 && t.error == ERR_OK) {
        struct session_event event;
        size_t used;

        t.error = session_step(
            s, 0, NOW_US, span_of(in.data, in.len < piece ? in.len : piece),
            &used, &event);
        in = span_after(in, used);
        if (event.kind != EVENT_NONE) {
            trace_event(&t, &event);
            react(s, &event);
        }
        assert(t.receive.used < RECEIVE_POOL_SESSION);
    }
    assert(t.error == ERR_OK || session_why(s) != NULL);
    session_free(s);
    assert(t.receive.used == 0 && t.sent.used == 0);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    bool is_relay = len > 0 && (bytes[0] & 1) != 0;
    struct span in = span_of(bytes + (len > 0 ? 1 : 0), len > 0 ? len - 1 : 0);
    struct trace whole = feed(in, SIZE_MAX, is_relay);
    struct trace single = feed(in, 1, is_relay);

    assert(whole.hash == single.hash);
    assert(whole.error == single.error);
    return 0;
}
