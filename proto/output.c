/*
 * The order of sending (PROTOCOL.md, "Order"). No payload is copied: a chunk
 * moves from its stream's queue into the sent log with its header in front.
 */
#include "proto/output.h"

#include "proto/unsent.h"

/* Past this even control frames are the peer's doing: it acknowledges none. */
#define SENT_LOG_HARD (SENT_LOG_SESSION + 4 * SENT_LOG_SLACK)

static uint64_t log_cost(const struct session *s)
{
    uint64_t cost = 0;

    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        cost += s->slots[i].log.cost;
    }
    return cost;
}

bool output_is_relay_full(const struct session *s)
{
    const struct pool *all = s->sent.parent;

    return all != NULL && all->used >= all->max;
}

enum sched_scope output_scope(const struct session *s)
{
    uint64_t cost = log_cost(s);

    if (cost >= SENT_LOG_SESSION + SENT_LOG_SLACK) {
        return SCHED_NOTHING;
    }
    if (cost >= SENT_LOG_SESSION ||
        (cost >= SENT_LOG_GUARANTEED && output_is_relay_full(s))) {
        return SCHED_HEADS_ONLY;
    }
    return SCHED_ALL;
}

bool output_is_urgent_on(const struct session *s, const struct slot *slot)
{
    return s->now_us < slot->urgent_us;
}

bool output_is_urgent(const struct session *s)
{
    return s->now_us < s->urgent_us;
}

/* output_scope(), and what is in flight on this link. What another link has
 * left unacknowledged does not stop this one altogether. */
static enum sched_scope slot_scope(const struct session *s,
                                   const struct slot *slot)
{
    enum sched_scope scope = SCHED_ALL;

    if (slot->log.cost >= SENT_LOG_GUARANTEED) {
        scope = output_scope(s);
    }

    if (scope == SCHED_ALL && output_is_urgent(s) &&
        flight_is_full(&slot->flight, &slot->log,
                       !output_is_urgent_on(s, slot))) {
        scope = SCHED_URGENT;
    }
    return scope;
}

/* |frame| is sent now. */
static struct span log_frame(struct session *s, struct slot *slot,
                             struct chunk *frame)
{
    sent_log_put(&slot->log, frame, s->now_us);
    flight_sent(&slot->flight, &slot->log,
                !sched_is_ready(&slot->sched, SCHED_ALL), s->now_us);
    if (log_cost(s) > SENT_LOG_HARD) {
        (void)session_fail(s, ERR_LIMIT, "the peer acknowledges nothing");
    }
    return chunk_span(frame);
}

/* WINDOW for the first stream that has one due; NULL when none has. */
static struct chunk *take_window(struct session *s, struct slot *slot)
{
    struct stream *st;

    while ((st = slot->grants.first) != NULL) {
        uint32_t due = window_grant_due(&st->window);
        struct frame_header header = { .stream = st->id,
                                       .len = sizeof(due),
                                       .type = FRAME_WINDOW };
        struct wire_writer w;
        struct chunk *c;

        stream_list_leave(st, LIST_GRANT);
        if (due == 0 || !session_may_grant(s, st)) {
            continue;
        }
        c = chunk_new(sizeof(due));
        if (c == NULL) {
            (void)session_fail(s, ERR_NOMEM, "no memory for a WINDOW");
            return NULL;
        }
        wire_writer_init(&w, chunk_tail(c), sizeof(due));
        frame_put_u32(&w, due);
        chunk_grow(c, w.len);
        frame_header_put(chunk_prepend(c, FRAME_HEADER_LEN), &header);
        c->stream = st->id;
        unsent_adopt(s, c);
        window_grant_promise(&st->window, due);
        return c;
    }
    return NULL;
}

/* The next frame of the stream whose turn it is; NULL when none may send. */
static struct chunk *take_stream(struct session *s, struct slot *slot)
{
    size_t quantum =
        output_is_urgent(s) ? flight_quantum(&slot->flight) : FRAME_PAYLOAD_MAX;
    struct stream *st = sched_take(&slot->sched, slot_scope(s, slot), quantum);
    struct chunk *c;

    if (st == NULL) {
        return NULL;
    }
    c = unsent_take(s, st, quantum);
    if (c == NULL) {
        (void)session_fail(s, ERR_NOMEM, "no memory to split a chunk");
        return NULL;
    }
    if (c->type == FRAME_OPEN) {
        st->is_open_sent = true;
        slot->highest = st->id;
    }
    sched_sent(&slot->sched, st, c->type, c->len - FRAME_HEADER_LEN, s->now_us);
    if (c->type == FRAME_DATA && sched_is_urgent(st)) {
        slot->urgent_us = s->now_us + FLIGHT_URGENT_US;
        s->urgent_us = slot->urgent_us;
    }
    unsent_schedule(s, st);
    if ((c->flags & FRAME_FIN) != 0) {
        enum err error = stream_apply(st, STREAM_SEND_FIN);

        assert(error == ERR_OK);
        if (st->state == STREAM_DONE) {
            session_settle(s, st, false);
        }
    }
    return c;
}

struct span output_next(struct session *s, struct slot *slot)
{
    struct span again;
    struct chunk *c;

    if (!slot->has_link || s->error != ERR_OK) {
        return span_of(NULL, 0);
    }
    if (liveness_has_output(&slot->liveness, s->now_us)) {
        return liveness_output(&slot->liveness, slot->received, s->now_us);
    }
    again = sent_log_again(&slot->log);
    if (again.len > 0) {
        flight_sent(&slot->flight, &slot->log, false, s->now_us);
        return again;
    }
    c = chunk_queue_take(&slot->control);
    if (c == NULL) {
        c = take_window(s, slot);
    }
    if (c == NULL && s->error == ERR_OK) {
        c = take_stream(s, slot);
    }
    return c == NULL ? span_of(NULL, 0) : log_frame(s, slot, c);
}

bool output_has_next(const struct session *s, const struct slot *slot)
{
    if (!slot->has_link || s->error != ERR_OK) {
        return false;
    }
    return liveness_has_output(&slot->liveness, s->now_us) ||
           slot->log.again != NULL || slot->control.count > 0 ||
           slot->grants.first != NULL ||
           sched_is_ready(&slot->sched, slot_scope(s, slot));
}
