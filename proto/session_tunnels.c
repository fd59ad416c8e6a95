/*
 * The calls of session.h that name a tunnel or end the session's opening:
 * frames of stream 0.
 */
#include "proto/control.h"
#include "proto/receive_session.h"
#include "proto/session_state.h"

/* The largest of these frames is UNBOUND or BOUND with its text. */
#define PAYLOAD_MAX (URL_MAX_LEN + SENTENCE_MAX_LEN)

static enum err put(struct session *s, enum frame_type type,
                    const struct wire_writer *w)
{
    assert(wire_writer_done(w));
    if (s->error != ERR_OK) {
        return s->error;
    }
    return control_put(s, &s->slots[0], 0, type, wire_written(w));
}

enum err session_bind(struct session *s, const struct frame_bind *b)
{
    uint16_t *place = receive_session_tunnel(s, 0);
    uint8_t payload[PAYLOAD_MAX];
    struct wire_writer w;

    assert(s->role == SESSION_CLIENT);
    assert(receive_session_tunnel(s, b->tunnel) == NULL);
    if (place == NULL || place - s->tunnels >= (long)s->peer.tunnels_max) {
        s->why = "too many tunnels";
        return ERR_LIMIT;
    }
    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_bind(&w, b);
    TRY(put(s, FRAME_BIND, &w));
    *place = b->tunnel;
    return ERR_OK;
}

enum err session_bound(struct session *s, uint16_t tunnel, struct span url)
{
    uint8_t payload[PAYLOAD_MAX];
    struct wire_writer w;

    assert(s->role == SESSION_RELAY);
    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_bound(&w, tunnel, url);
    return put(s, FRAME_BOUND, &w);
}

static enum err put_verdict(struct session *s, enum frame_type type,
                            const struct frame_verdict *v)
{
    uint8_t payload[PAYLOAD_MAX];
    struct wire_writer w;

    assert(s->role == SESSION_RELAY);
    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_verdict(&w, v);
    receive_session_forget(s, v->tunnel);
    return put(s, type, &w);
}

enum err session_refuse(struct session *s, const struct frame_verdict *v)
{
    return put_verdict(s, FRAME_REFUSED, v);
}

enum err session_unbind(struct session *s, uint16_t tunnel)
{
    uint16_t *place = receive_session_tunnel(s, tunnel);
    uint8_t payload[PAYLOAD_MAX];
    struct wire_writer w;

    assert(s->role == SESSION_CLIENT && tunnel != 0);
    if (place == NULL) {
        return ERR_ABSENT;
    }
    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_unbind(&w, tunnel);
    TRY(put(s, FRAME_UNBIND, &w));
    *place = 0;
    return ERR_OK;
}

enum err session_unbound(struct session *s, const struct frame_verdict *v)
{
    for (size_t i = 0; i < s->streams.used; i++) {
        struct stream *st = s->streams.at[i];

        if (st != NULL && st->tunnel == v->tunnel && !st->is_over) {
            session_reset(s, st->id, v->code);
        }
    }
    return put_verdict(s, FRAME_UNBOUND, v);
}

enum err session_goaway(struct session *s, enum err code, struct span sentence)
{
    if (s->error != ERR_OK) {
        return s->error;
    }
    TRY(control_goaway(s, code, sentence));
    s->is_leaving = true;
    return ERR_OK;
}
