/* Two sessions joined in memory. */
#include "tests/support/pair.h"

#include <stdlib.h>

static const struct session_limits limits = { .window_first = WINDOW_FIRST,
                                              .streams_max =
                                                  STREAMS_MAX_DEFAULT,
                                              .tunnels_max = TUNNELS_MAX,
                                              .grace_s = 45 };

static void end_init(struct pair_end *end, enum session_role role,
                     uint32_t window, uint64_t receive_max)
{
    struct session_options o = { .role = role,
                                 .own = limits,
                                 .peer = limits,
                                 .receive_pool = &end->receive,
                                 .sent_pool = &end->sent,
                                 .receive_max = receive_max };

    *end = (struct pair_end){ .session = NULL };
    pool_init(&end->receive, NULL, 2 * receive_max);
    pool_init(&end->sent, NULL, SENT_LOG_RELAY);
    o.own.window_first = window;
    o.peer.window_first = window;
    end->session = session_new(&o, 1000);
    assert(end->session != NULL);
    session_link_up(end->session, 0, 1000);
}

void pair_init(struct pair *p, uint32_t window)
{
    pair_init_small(p, window, RECEIVE_POOL_SESSION);
}

void pair_init_small(struct pair *p, uint32_t window, uint64_t receive_max)
{
    *p = (struct pair){ .now_us = 1000 };
    end_init(&p->relay, SESSION_RELAY, window, receive_max);
    end_init(&p->client, SESSION_CLIENT, window, receive_max);
}

static void end_deinit(struct pair_end *end)
{
    session_free(end->session);
    assert(end->receive.used == 0 && end->sent.used == 0);
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        free(end->wires[i].bytes);
    }
}

void pair_deinit(struct pair *p)
{
    end_deinit(&p->relay);
    end_deinit(&p->client);
}

static void wire_add(struct pair_wire *w, struct span bytes)
{
    if (w->taken == w->len) {
        w->len = 0;
        w->taken = 0;
    }
    if (w->len + bytes.len > w->capacity) {
        w->capacity = (w->len + bytes.len) * 2;
        w->bytes = realloc(w->bytes, w->capacity);
        assert(w->bytes != NULL);
    }
    memcpy(w->bytes + w->len, bytes.data, bytes.len);
    w->len += bytes.len;
}

void pair_slot_send(struct pair *p, struct pair_end *from, unsigned slot,
                    size_t frames)
{
    bool is_told = false; /* the session knows what time it is */

    while (frames > 0) {
        bool has_output = session_has_output(from->session, slot);
        struct span frame = session_output(from->session, slot, p->now_us);

        if (frame.len == 0) {
            return;
        }
        assert(has_output || !is_told);
        is_told = true;
        if (p->watch != NULL) {
            p->watch(p->watch_arg, from, slot, frame);
        }
        wire_add(&from->wires[slot], frame);
        frames--;
    }
}

void pair_slot_cut(struct pair *p, unsigned slot)
{
    p->relay.wires[slot].taken = p->relay.wires[slot].len;
    p->client.wires[slot].taken = p->client.wires[slot].len;
}

size_t pair_slot_waiting(const struct pair_end *from, unsigned slot)
{
    return from->wires[slot].len - from->wires[slot].taken;
}

enum err pair_slot_step(struct pair *p, struct pair_end *to, unsigned slot,
                        size_t *len, struct session_event *event)
{
    struct pair_end *from = to == &p->relay ? &p->client : &p->relay;
    struct pair_wire *wire = &from->wires[slot];

    *event = (struct session_event){ .kind = EVENT_NONE };
    if (*len > pair_slot_waiting(from, slot)) {
        *len = pair_slot_waiting(from, slot);
    }
    while (*len > 0 && event->kind == EVENT_NONE) {
        struct span in = span_of(wire->bytes + wire->taken, *len);
        size_t used;

        TRY(session_step(to->session, slot, p->now_us, in, &used, event));
        assert(used > 0 && used <= *len);
        wire->taken += used;
        *len -= used;
    }
    return ERR_OK;
}

void pair_send(struct pair *p, struct pair_end *from, size_t frames)
{
    pair_slot_send(p, from, SLOT_EXPRESS, frames);
}

void pair_cut(struct pair *p)
{
    pair_slot_cut(p, SLOT_EXPRESS);
}

size_t pair_waiting(const struct pair_end *from)
{
    return pair_slot_waiting(from, SLOT_EXPRESS);
}

enum err pair_step(struct pair *p, struct pair_end *from, struct pair_end *to,
                   size_t *len, struct session_event *event)
{
    assert(from != to);
    return pair_slot_step(p, to, SLOT_EXPRESS, len, event);
}

bool pair_next(struct pair *p, struct pair_end *from, struct pair_end *to,
               struct session_event *event)
{
    size_t len;
    enum err error;

    pair_send(p, from, SIZE_MAX);
    len = pair_waiting(from);
    error = pair_step(p, from, to, &len, event);
    assert(error == ERR_OK);
    return event->kind != EVENT_NONE;
}

void pair_settle(struct pair *p)
{
    struct session_event event;
    bool has_more = true;

    while (has_more) {
        has_more = pair_next(p, &p->relay, &p->client, &event);
        has_more = pair_next(p, &p->client, &p->relay, &event) || has_more;
    }
}

struct frame_open pair_open(uint16_t tunnel)
{
    return (struct frame_open){
        .tunnel = tunnel,
        .kind = STREAM_HTTP,
        .visitor_conn = 7,
        .address = { .family = 4, .bytes = { 198, 51, 100, 7 }, .port = 4711 },
        .http_version = 11
    };
}

uint32_t pair_open_stream(struct pair *p)
{
    struct frame_open open = pair_open(1);
    uint32_t id = 0;
    enum err error =
        session_open(p->relay.session, 0, &open, span_text("x"), false, &id);

    assert(error == ERR_OK);
    return id;
}

void pair_bind(struct pair *p, uint16_t tunnel)
{
    struct frame_bind bind = { .tunnel = tunnel };
    struct session_event event;
    enum err error = session_bind(p->client.session, &bind);

    assert(error == ERR_OK);
    while (pair_next(p, &p->client, &p->relay, &event)) {
        assert(event.kind == EVENT_BIND && event.tunnel == tunnel);
    }
}
