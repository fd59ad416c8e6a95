/* How an exchange is played and what each end may see of it. */
#include "tests/sim/exchange.h"

#include "tests/sim/watcher.h"

/* A prime period, so that a frame lost, doubled or moved never fits. */
#define PATTERN_LEN 65521u
#define BODY_MAX (600u * KIB)

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

/* |len| bytes that stand at |offset| of |e|'s |part|. */
static struct span pattern(const struct exchange *e, unsigned part,
                           size_t offset, size_t len)
{
    static uint8_t bytes[PATTERN_LEN + HEAD_MAX];
    size_t start = (offset + e->index * 7919u + part * 30011u) % PATTERN_LEN;

    if (bytes[0] == 0) {
        struct dice d;

        dice_init(&d, 1);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = i < PATTERN_LEN ? (uint8_t)(dice_roll(&d, 255) + 1)
                                       : bytes[i - PATTERN_LEN];
        }
    }
    check(len <= HEAD_MAX, "too much at once");
    return span_of(bytes + start, len);
}

enum { PART_UP = 1, PART_DOWN = 2, PART_HEADS = 3 };

/* The head block of |kind| in one direction. */
static struct span head_block(const struct exchange *e, bool is_up,
                              enum head_kind kind)
{
    unsigned part = PART_HEADS + 2 * (unsigned)kind + (is_up ? 1u : 0u);
    size_t len = 1 + (e->index * 131u + part * 17u) % 700u;

    if ((e->index + part) % 7 == 0) {
        len = HEAD_MAX - e->index % 7;
    } else if ((e->index + part) % 5 == 0) {
        len += 20 * KIB;
    }
    return pattern(e, part, 0, len);
}

static void plan_flow(struct exchange_flow *flow, struct dice *d)
{
    *flow = (struct exchange_flow){ .len = 0 };
    flow->len = dice_chance(d, 30) ? 0 : dice_size(d, BODY_MAX);
    flow->has_trailers = dice_chance(d, 10);
    flow->pace = (unsigned)dice_roll(d, 4);
}

void exchange_plan(struct exchange *e, unsigned index, uint16_t tunnel,
                   struct dice *d)
{
    *e = (struct exchange){ .index = index, .tunnel = tunnel };
    e->kind = dice_chance(d, 15) ? STREAM_RAW : STREAM_HTTP;
    plan_flow(&e->up, d);
    plan_flow(&e->down, d);
    e->up.is_head_written = true;
    if (e->kind == STREAM_RAW) {
        e->up.has_trailers = false;
        e->down.has_trailers = false;
        e->down.is_head_written = true;
        e->down.has_head = true;
    } else {
        e->down.informational =
            dice_chance(d, 20) ? 1 + (unsigned)dice_roll(d, 3) : 0;
    }
    if (dice_chance(d, 35)) {
        e->cut = (enum exchange_cut)(1 + dice_roll(d, 3));
        e->cut_at = dice_chance(d, 40) ? 0 : dice_size(d, BODY_MAX / 2);
    }
}

bool exchange_open(struct exchange *e, struct session *relay, unsigned slot)
{
    struct frame_open open = pair_open(e->tunnel);
    bool fin = e->up.len == 0 && !e->up.has_trailers && e->index % 3 != 0;
    struct span head = head_block(e, true, HEAD_REQUEST);
    enum err error;

    open.kind = e->kind;
    open.visitor_conn = e->index;
    e->slot = slot;
    error = session_open(relay, slot, &open, head, fin, &e->id);
    check(error == ERR_OK || error == ERR_LIMIT, "session_open failed");
    if (error == ERR_OK) {
        session_set_owner(relay, e->id, e);
        e->up.is_fin_written = fin;
        if (e->index % 5 == 0) {
            session_set_class(relay, e->id, CLASS_INTERACTIVE);
        }
    }
    return error == ERR_OK;
}

static void cut(struct exchange *e, enum exchange_end end, struct session *s,
                enum err code)
{
    session_reset(s, e->id, code);
    check(!session_has_stream(s, e->id), "a stream lives after its reset");
    e->is_cut = true;
    e->is_gone[end] = true;
}

static void write_body(struct exchange *e, struct exchange_flow *flow,
                       unsigned part, struct session *s, struct dice *d)
{
    size_t len = 1 + dice_size(d, FRAME_PAYLOAD_MAX - 1);
    size_t room = session_room(s, e->id);
    struct chunk *c;

    if (room == 0) {
        flow->is_paused = true;
        return;
    }
    len = len < flow->len - flow->written ? len : flow->len - flow->written;
    c = chunk_new(dice_chance(d, 50) ? FRAME_PAYLOAD_MAX : len);
    check(c != NULL, "no memory");
    memcpy(chunk_tail(c), pattern(e, part, flow->written, len).data, len);
    chunk_grow(c, len);
    flow->written += len;
    check(session_write_take(s, e->id, c) == ERR_OK, "a write failed");
}

static void write_some(struct exchange *e, bool is_up, struct session *s,
                       struct dice *d)
{
    struct exchange_flow *flow = is_up ? &e->up : &e->down;
    enum head_kind kind = HEAD_FINAL;
    bool fin = false;

    if (flow->is_fin_written || flow->is_paused) {
        return;
    }
    if (!flow->is_head_written) {
        if (flow->informational_written < flow->informational) {
            flow->informational_written++;
            kind = HEAD_INFORMATIONAL;
        } else {
            flow->is_head_written = true;
            fin = flow->len == 0 && !flow->has_trailers && e->index % 2 == 0;
        }
    } else if (flow->written < flow->len) {
        write_body(e, flow, is_up ? PART_UP : PART_DOWN, s, d);
        return;
    } else if (flow->has_trailers) {
        kind = HEAD_TRAILERS;
        fin = true;
    } else {
        flow->is_fin_written = true;
        check(session_write_fin(s, e->id) == ERR_OK, "FIN failed");
        return;
    }
    flow->is_fin_written = fin;
    check(session_write_head(s, e->id, kind, head_block(e, is_up, kind), fin) ==
              ERR_OK,
          "a head failed");
}

static void consume_some(struct exchange *e, struct exchange_flow *flow,
                         struct session *s, struct dice *d)
{
    size_t len = flow->held;

    if (flow->pace == 0) {
        len = 0;
    } else if (flow->pace < 3) {
        len = dice_size(d, flow->pace == 1 ? 3000 : 60000);
        len = len < flow->held ? len : flow->held;
    }
    flow->held -= len;
    session_consumed(s, e->id, len);
    if (dice_chance(d, 4)) {
        flow->pace = (unsigned)dice_roll(d, 4);
    }
}

static void maybe_cut(struct exchange *e, enum exchange_end end,
                      struct session *s)
{
    if (e->cut == CUT_BY_RELAY && end == END_RELAY &&
        e->up.written + e->down.got >= e->cut_at) {
        cut(e, end, s, ERR_CANCEL);
    } else if (e->cut == CUT_BY_CLIENT && end == END_CLIENT &&
               e->down.written + e->up.got >= e->cut_at) {
        cut(e, end, s, ERR_SERVICE_BROKE);
    } else if (e->cut == CUT_BY_STOP && end == END_CLIENT &&
               e->up.got >= e->cut_at) {
        session_stop(s, e->id);
    }
}

void exchange_act(struct exchange *e, enum exchange_end end, struct session *s,
                  struct dice *d)
{
    if (e->is_gone[end] || (end == END_CLIENT && !e->up.has_head)) {
        return;
    }
    consume_some(e, end == END_RELAY ? &e->down : &e->up, s, d);
    if (session_has_stream(s, e->id)) {
        write_some(e, end == END_RELAY, s, d);
        maybe_cut(e, end, s);
    }
}

void exchange_hurry(struct exchange *e)
{
    e->cut = CUT_NONE;
    e->up.pace = 3;
    e->down.pace = 3;
}

static void take_head(struct exchange *e, struct exchange_flow *flow,
                      bool is_up, const struct session_event *event)
{
    struct span want = head_block(e, is_up, event->head);

    check(span_equal(event->bytes, want), "a head's bytes are wrong");
    switch (event->head) {
    case HEAD_REQUEST:
        check(is_up && !flow->has_head, "OPEN twice");
        flow->has_head = true;
        check(event->open.visitor_conn == e->index, "OPEN of another");
        break;
    case HEAD_INFORMATIONAL:
        check(!flow->has_head, "an informational head after the final one");
        flow->informational_got++;
        break;
    case HEAD_FINAL:
        check(!flow->has_head, "two final heads");
        check(flow->informational_got == flow->informational,
              "informational heads are missing");
        flow->has_head = true;
        break;
    case HEAD_TRAILERS:
        check(flow->got == flow->len && !flow->got_trailers, "early trailers");
        flow->got_trailers = true;
        break;
    }
}

static void take_data(struct exchange *e, struct exchange_flow *flow,
                      bool is_up, const struct session_event *event)
{
    struct span want =
        pattern(e, is_up ? PART_UP : PART_DOWN, flow->got, event->bytes.len);

    check(flow->has_head, "DATA before the head");
    check(event->bytes.len == 0 || span_equal(event->bytes, want),
          "the bytes of a body are wrong");
    flow->got += event->bytes.len;
    flow->held += event->bytes.len;
}

void exchange_take(struct exchange *e, enum exchange_end end, struct session *s,
                   const struct session_event *event, struct dice *d)
{
    bool is_up = end == END_CLIENT;
    struct exchange_flow *flow = is_up ? &e->up : &e->down;

    check(!e->is_gone[end], "an event for a stream that is gone");
    check(!flow->has_fin || event->kind == EVENT_RESET ||
              event->kind == EVENT_STOP,
          "an event after FIN");
    if (event->kind == EVENT_RESET) {
        check(e->is_cut || event->code == ERR_REFUSED, "RESET from nowhere");
        e->is_cut = true;
        e->is_gone[end] = true;
        return;
    }
    if (event->kind == EVENT_STOP) {
        check(end == END_RELAY && !e->is_stopped, "a strange STOP");
        e->is_stopped = true;
        if (dice_chance(d, 50)) {
            cut(e, end, s, ERR_OK);
        }
        return;
    }
    if (event->kind == EVENT_DATA) {
        take_data(e, flow, is_up, event);
    } else {
        take_head(e, flow, is_up, event);
    }
    if (event->fin) {
        flow->has_fin = true;
        check(flow->got == flow->len, "FIN before the end of the body");
        check(flow->got_trailers == flow->has_trailers, "trailers are lost");
    }
}

void exchange_resume(struct exchange *e, enum exchange_end end)
{
    struct exchange_flow *flow = end == END_RELAY ? &e->up : &e->down;

    check(flow->is_paused, "writable, but nobody waits");
    flow->is_paused = false;
}

void exchange_drop(struct exchange *e, enum exchange_end end)
{
    e->is_cut = true;
    e->is_gone[end] = true;
}

bool exchange_is_over(const struct exchange *e, const struct session *relay,
                      const struct session *client)
{
    if (session_has_stream(relay, e->id) || session_has_stream(client, e->id)) {
        return false;
    }
    if (e->is_cut) {
        return true;
    }
    return e->up.has_fin && e->down.has_fin && e->up.held == 0 &&
           e->down.held == 0;
}
