/*
 * Received frames of streams, and the dispatch for all; those of stream 0
 * stand in receive_session. A frame for a stream that is over is dropped and
 * counted; one for a stream that never was breaks the protocol (PROTOCOL.md,
 * "Streams").
 */
#include "proto/receive.h"

#include <stdlib.h>

#include "proto/control.h"
#include "proto/receive_session.h"
#include "proto/unsent.h"

static enum err breach(struct session *s, const char *why)
{
    return session_fail(s, ERR_PROTOCOL, why);
}

/* The live stream |id|, NULL (and counted) when it is over. */
static enum err find(struct session *s, const struct slot *slot, uint32_t id,
                     struct stream **st)
{
    *st = NULL;
    if (id > slot->highest) {
        return breach(s, "a frame for a stream that was never opened");
    }
    *st = streams_find(&s->streams, id);
    if (*st != NULL && &s->slots[(*st)->slot] != slot) {
        return breach(s, "a frame on a link that is not its stream's");
    }
    if (*st == NULL || (*st)->state == STREAM_DONE) {
        *st = NULL;
        s->dropped_frames++;
    }
    return ERR_OK;
}

/* |st| ends here and now with |code|; its owner hears of it. */
static void end_stream(struct session *s, struct stream *st, enum err code,
                       struct session_event *event)
{
    enum err error = stream_apply(st, STREAM_RESET);

    assert(error == ERR_OK);
    if (st->is_announced) {
        event->kind = EVENT_RESET;
        event->stream = st->id;
        event->owner = st->owner;
        event->tunnel = st->tunnel;
        event->code = code;
    }
    session_settle(s, st, true);
}

/* What |event| says of |st|; FIN came with it if |fin|. */
static void tell(struct session *s, struct stream *st, bool fin,
                 struct session_event *event)
{
    enum err error;

    event->stream = st->id;
    event->owner = st->owner;
    event->tunnel = st->tunnel;
    event->fin = fin;
    st->is_announced = true;
    if (!fin) {
        return;
    }
    error = stream_apply(st, STREAM_RECV_FIN);
    assert(error == ERR_OK); /* take_payload() refuses frames after FIN */
    stream_list_leave(st, LIST_GRANT);
    if (st->state == STREAM_DONE) {
        session_settle(s, st, false);
    }
}

static enum err take_payload(struct session *s, struct stream *st, size_t len)
{
    if (st->state == STREAM_GOT_FIN) {
        return breach(s, "a frame after FIN");
    }
    if (window_grant_receive(&st->window, len, s->now_us) != ERR_OK) {
        return session_fail(s, ERR_FLOW, "payload past the window");
    }
    if (stream_held(st) == len) {
        st->moved_us = s->now_us;
    }
    pool_charge(&s->receive, len);
    return ERR_OK;
}

/* |len| bytes of a head need no consumer: their credit goes back. */
static void return_credit(struct session *s, struct stream *st, size_t len)
{
    window_grant_consume(&st->window, len);
    pool_release(&s->receive, len);
    session_grant(s, st);
}

/* Keep |piece| of a head that is not whole, or not in one piece. */
static enum err collect(struct session *s, struct stream *st, struct span piece,
                        struct session_event *event)
{
    struct collector *c = &st->collector;
    enum err error = collector_add(c, piece);

    if (error == ERR_PROTOCOL) {
        return breach(s, "a head longer than any may be");
    }
    if (error != ERR_OK) {
        control_reset(s, &s->slots[st->slot], st->id, error);
        end_stream(s, st, error, event);
        return s->error;
    }
    /* A window smaller than the head must not stop it: HEAD_MAX bounds it. */
    if (window_grant_is_low(&st->window)) {
        size_t len = c->len - c->credited;

        c->credited = c->len;
        return_credit(s, st, len);
    }
    return ERR_OK;
}

/* The head of |st| is whole; |piece| is all of it or its last part. */
static void deliver_head(struct session *s, struct stream *st,
                         struct span piece, bool fin,
                         struct session_event *event)
{
    struct collector *c = &st->collector;
    enum head_kind kind = c->kind;
    size_t due = piece.len;

    event->bytes = piece;
    if (c->len > 0) {
        due = c->len - c->credited;
        event->bytes = span_of(c->bytes, c->len);
    }
    s->spent = collector_end(c);
    return_credit(s, st, due);
    event->kind = kind == HEAD_REQUEST ? EVENT_OPEN : EVENT_HEAD;
    event->head = kind;
    event->open = st->open;
    if (kind == HEAD_FINAL || kind == HEAD_REQUEST) {
        st->receive_phase = PHASE_BODY;
    } else if (kind == HEAD_TRAILERS) {
        st->receive_phase = PHASE_TRAILED;
    }
    tell(s, st, fin, event);
}

static enum err take_head(struct session *s, struct stream *st,
                          const struct frame_header *h, struct span piece,
                          struct session_event *event)
{
    bool is_end = (h->flags & FRAME_END_HEAD) != 0;
    uint32_t id = st->id;

    TRY(take_payload(s, st, piece.len));
    if (!is_end || st->collector.len > 0) {
        TRY(collect(s, st, piece, event));
        /* Without memory for the head the stream is gone. */
        if (!is_end || streams_find(&s->streams, id) == NULL) {
            return ERR_OK;
        }
    }
    deliver_head(s, st, piece, (h->flags & FRAME_FIN) != 0, event);
    return ERR_OK;
}

/* Whether a head of |kind| may begin on |st| now. */
static bool may_begin(const struct stream *st, enum head_kind kind)
{
    switch (kind) {
    case HEAD_REQUEST:
        break; /* begins with OPEN only */
    case HEAD_INFORMATIONAL:
    case HEAD_FINAL:
        return st->receive_phase == PHASE_HEADS;
    case HEAD_TRAILERS:
        return st->receive_phase == PHASE_BODY && st->kind == STREAM_HTTP;
    }
    return false;
}

static enum err receive_head(struct session *s, struct slot *slot,
                             const struct assembly_frame *f,
                             struct session_event *event)
{
    enum head_kind kind =
        (enum head_kind)((f->header.flags >> FRAME_HEAD_KIND_SHIFT) & 3u);
    struct stream *st;

    TRY(find(s, slot, f->header.stream, &st));
    if (st == NULL) {
        return ERR_OK;
    }
    if (!st->collector.is_active) {
        if (!may_begin(st, kind)) {
            return breach(s, "a head that may not come now");
        }
        collector_begin(&st->collector, kind);
    } else if (st->collector.kind != kind) {
        return breach(s, "a head inside another one");
    }
    return take_head(s, st, &f->header, f->payload, event);
}

static bool is_refused(const struct session *s, uint16_t tunnel)
{
    if (s->live >= s->own.streams_max ||
        s->streams.count >= 2 * (size_t)s->own.streams_max) {
        return true;
    }
    for (unsigned i = 0; i < TUNNELS_MAX; i++) {
        if (s->tunnels[i] == tunnel) {
            return false;
        }
    }
    return true;
}

static enum err receive_open(struct session *s, struct slot *slot,
                             const struct assembly_frame *f,
                             struct session_event *event)
{
    uint32_t id = f->header.stream;
    struct frame_open open;
    struct stream *st;
    struct span head;

    if (id <= slot->highest || streams_find(&s->streams, id) != NULL) {
        return breach(s, "OPEN with an id that was used");
    }
    if (frame_get_open(f->payload, &open, &head) != ERR_OK) {
        return breach(s, "a malformed OPEN");
    }
    slot->highest = id;
    if (is_refused(s, open.tunnel)) {
        control_reset(s, slot, id, ERR_REFUSED);
        return s->error;
    }
    st = stream_new(id, (uint8_t)(slot - s->slots), &open);
    if (st == NULL || session_add(s, st) != ERR_OK) {
        stream_free(st);
        control_reset(s, slot, id, ERR_NOMEM);
        return s->error;
    }
    st->is_open_sent = true;
    st->send_phase = open.kind == STREAM_HTTP ? PHASE_HEADS : PHASE_BODY;
    window_credit_init(&st->credit, open.window);
    window_grant_init(&st->window, s->own.window_first);
    collector_begin(&st->collector, HEAD_REQUEST);
    return take_head(s, st, &f->header, head, event);
}

static enum err receive_data(struct session *s, struct slot *slot,
                             const struct assembly_frame *f,
                             struct session_event *event)
{
    bool fin = (f->header.flags & FRAME_FIN) != 0;
    struct stream *st;

    TRY(find(s, slot, f->header.stream, &st));
    if (st == NULL) {
        return ERR_OK;
    }
    if (st->collector.is_active || st->receive_phase == PHASE_HEADS) {
        return breach(s, "DATA before the head is whole");
    }
    if (st->receive_phase == PHASE_TRAILED && f->payload.len > 0) {
        return breach(s, "DATA after the trailers");
    }
    TRY(take_payload(s, st, f->payload.len));
    if ((f->header.flags & FRAME_BLOCKED) != 0 && !fin &&
        pool_percent(&s->receive) < 50) {
        window_grant_grow(&st->window);
        session_grant(s, st);
    }
    event->kind = EVENT_DATA;
    event->bytes = f->payload;
    tell(s, st, fin, event);
    return ERR_OK;
}

static enum err receive_window(struct session *s, struct slot *slot,
                               const struct assembly_frame *f)
{
    struct stream *st;
    uint32_t len;

    if (frame_get_u32(f->payload, &len) != ERR_OK) {
        return breach(s, "an empty WINDOW");
    }
    TRY(find(s, slot, f->header.stream, &st));
    if (st == NULL) {
        return ERR_OK;
    }
    if (window_credit_add(&st->credit, len) != ERR_OK) {
        return session_fail(s, ERR_FLOW, "a window larger than any may be");
    }
    unsent_schedule(s, st);
    return ERR_OK;
}

static enum err receive_reset(struct session *s, struct slot *slot,
                              const struct assembly_frame *f,
                              struct session_event *event)
{
    struct stream *st;
    enum err code;

    TRY(frame_get_code(f->payload, &code));
    TRY(find(s, slot, f->header.stream, &st));
    if (st != NULL) {
        end_stream(s, st, code, event);
    }
    return ERR_OK;
}

static enum err receive_stop(struct session *s, struct slot *slot,
                             const struct assembly_frame *f,
                             struct session_event *event)
{
    struct stream *st;

    TRY(find(s, slot, f->header.stream, &st));
    if (st != NULL) {
        event->kind = EVENT_STOP;
        tell(s, st, false, event);
    }
    return ERR_OK;
}

static enum err dispatch(struct session *s, struct slot *slot,
                         const struct assembly_frame *f,
                         struct session_event *event)
{
    switch ((enum frame_type)f->header.type) {
    case FRAME_OPEN:
        return receive_open(s, slot, f, event);
    case FRAME_HEAD:
        return receive_head(s, slot, f, event);
    case FRAME_DATA:
        return receive_data(s, slot, f, event);
    case FRAME_WINDOW:
        return receive_window(s, slot, f);
    case FRAME_RESET:
        return receive_reset(s, slot, f, event);
    case FRAME_STOP:
        return receive_stop(s, slot, f, event);
    case FRAME_PING:
    case FRAME_PONG:
    case FRAME_ACK:
        return receive_session_link(s, slot, f);
    case FRAME_BIND:
    case FRAME_BOUND:
    case FRAME_REFUSED:
    case FRAME_UNBIND:
    case FRAME_UNBOUND:
    case FRAME_NEXT_KEY:
        if (slot != &s->slots[SLOT_EXPRESS]) {
            return breach(s, "a frame of the session on its second link");
        }
        return receive_session_event(s, f, event);
    case FRAME_GOAWAY: /* of a session that failed, on the link it failed on */
        return receive_session_event(s, f, event);
    case FRAME_LOGIN:
    case FRAME_WELCOME:
    case FRAME_DENIED:
        break; /* frame_check() refused them */
    }
    return breach(s, "a frame that may not come now");
}

enum err receive_frame(struct session *s, struct slot *slot,
                       const struct assembly_frame *frame,
                       struct session_event *event)
{
    if (frame_is_known(frame->header.type)) {
        TRY(dispatch(s, slot, frame, event));
    } else {
        s->optional_frames++;
    }
    if (frame_is_sequenced(frame->header.type)) {
        slot->received += FRAME_HEADER_LEN + frame->payload.len;
        liveness_received(&slot->liveness, slot->received, s->now_us);
    }
    return ERR_OK;
}
