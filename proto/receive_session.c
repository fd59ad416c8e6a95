/*
 * Frames of stream 0. The client remembers which tunnels it asked for, so that
 * an answer for one it gave up meanwhile is dropped; the relay, so that no two
 * have one id.
 */
#include "proto/receive_session.h"

#include "proto/output.h"

uint16_t *receive_session_tunnel(struct session *s, uint16_t tunnel)
{
    for (unsigned i = 0; i < TUNNELS_MAX; i++) {
        if (s->tunnels[i] == tunnel) {
            return &s->tunnels[i];
        }
    }
    return NULL;
}

void receive_session_forget(struct session *s, uint16_t tunnel)
{
    uint16_t *place = receive_session_tunnel(s, tunnel);

    if (place != NULL) {
        *place = 0;
    }
}

enum err receive_session_link(struct session *s, struct slot *slot,
                              const struct assembly_frame *f)
{
    uint64_t freed = 0;
    uint64_t value;
    enum err error = frame_get_u64(f->payload, &value);

    if (error == ERR_OK && f->header.type == FRAME_PING) {
        liveness_ping(&slot->liveness, value);
    } else if (error == ERR_OK && f->header.type == FRAME_PONG) {
        liveness_pong(&slot->liveness, value, s->now_us);
    } else if (error == ERR_OK) {
        error = sent_log_ack(&slot->log, value, s->now_us, &freed);
        pool_release(&s->sent, freed);
        flight_acked(&slot->flight, &slot->log, output_is_urgent(s), s->now_us);
    }
    if (error != ERR_OK) {
        return session_fail(s, error, "an ACK for what was not sent");
    }
    return ERR_OK;
}

/* REFUSED and UNBOUND: the tunnel is no more. */
static enum err take_verdict(struct session *s, struct span payload,
                             enum session_event_kind kind,
                             struct session_event *event)
{
    struct frame_verdict v;
    uint16_t *place;

    TRY(frame_get_verdict(payload, &v));
    place = receive_session_tunnel(s, v.tunnel);
    if (place == NULL) {
        s->dropped_frames++;
        return ERR_OK;
    }
    *place = 0;
    event->kind = kind;
    event->tunnel = v.tunnel;
    event->code = v.code;
    event->bytes = v.sentence;
    return ERR_OK;
}

static enum err take_bound(struct session *s, struct span payload,
                           struct session_event *event)
{
    TRY(frame_get_bound(payload, &event->tunnel, &event->bytes));
    if (receive_session_tunnel(s, event->tunnel) == NULL) {
        s->dropped_frames++;
        return ERR_OK;
    }
    event->kind = EVENT_BOUND;
    return ERR_OK;
}

/* One that finds no place is refused by the owner: a limit, no breach. */
static enum err take_bind(struct session *s, struct span payload,
                          struct session_event *event)
{
    uint16_t *place = receive_session_tunnel(s, 0);

    event->kind = EVENT_BIND;
    TRY(frame_get_bind(payload, &event->bind));
    event->tunnel = event->bind.tunnel;
    if (receive_session_tunnel(s, event->tunnel) != NULL) {
        return ERR_PROTOCOL;
    }
    if (place != NULL) {
        *place = event->tunnel;
    }
    return ERR_OK;
}

static enum err take_unbind(struct session *s, struct span payload,
                            struct session_event *event)
{
    event->kind = EVENT_UNBIND;
    TRY(frame_get_unbind(payload, &event->tunnel));
    receive_session_forget(s, event->tunnel);
    return ERR_OK;
}

static enum err take(struct session *s, const struct assembly_frame *f,
                     struct session_event *event)
{
    if (f->header.type == FRAME_BIND) {
        return take_bind(s, f->payload, event);
    } else if (f->header.type == FRAME_BOUND) {
        return take_bound(s, f->payload, event);
    } else if (f->header.type == FRAME_REFUSED) {
        return take_verdict(s, f->payload, EVENT_REFUSED, event);
    } else if (f->header.type == FRAME_UNBOUND) {
        return take_verdict(s, f->payload, EVENT_UNBOUND, event);
    } else if (f->header.type == FRAME_UNBIND) {
        return take_unbind(s, f->payload, event);
    } else if (f->header.type == FRAME_GOAWAY) {
        event->kind = EVENT_GOAWAY;
        s->is_leaving = true;
        return frame_get_goaway(f->payload, &event->code, &event->bytes);
    } else {
        event->kind = EVENT_NEXT_KEY;
        event->bytes = f->payload;
    }
    return ERR_OK;
}

enum err receive_session_event(struct session *s,
                               const struct assembly_frame *f,
                               struct session_event *event)
{
    enum err error = take(s, f, event);

    return error == ERR_OK
               ? ERR_OK
               : session_fail(s, error, "a malformed frame of the session");
}
