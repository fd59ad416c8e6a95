/*
 * The calls of session.h that name a stream. One that is gone is normal: its
 * id simply finds nothing.
 */
#include <stdlib.h>

#include "proto/control.h"
#include "proto/output.h"
#include "proto/receive_session.h"
#include "proto/session_state.h"
#include "proto/unsent.h"

/* The stream with |id| that is not over, or NULL. */
static struct stream *find(const struct session *s, uint32_t id)
{
    struct stream *st = streams_find(&s->streams, id);

    return st == NULL || st->is_over ? NULL : st;
}

/* A promise for a new stream, as memory allows it. */
static uint32_t first_window(const struct session *s)
{
    unsigned percent = pool_percent(&s->receive);
    uint32_t most = WINDOW_FIRST;

    if (percent >= 75) {
        most = WINDOW_FIRST_OVER_THREE_QUARTERS;
    } else if (percent >= 50) {
        most = WINDOW_FIRST_OVER_HALF;
    }
    return s->own.window_first < most ? s->own.window_first : most;
}

static enum err check_open(struct session *s, const struct slot *slot,
                           size_t head_len)
{
    uint32_t streams_max = s->own.streams_max < s->peer.streams_max
                               ? s->own.streams_max
                               : s->peer.streams_max;
    uint64_t unsent_max =
        UNSENT_SESSION_SLACK +
        (slot->has_link ? UNSENT_SESSION_MAX : AWAY_SESSION_MAX);

    if (s->error != ERR_OK) {
        return s->error;
    }
    if (s->last_id >= STREAM_ID_LAST) {
        if (!s->is_renew_queued) {
            s->is_renew_queued = true;
            TRY(control_goaway(s, ERR_RENEW, span_text(error_text(ERR_RENEW))));
        }
        s->why = "the session used up its stream ids";
        return ERR_LIMIT;
    }
    if (s->is_leaving) {
        s->why = "the session is ending";
        return ERR_LIMIT;
    }
    if (s->streams.count >= streams_max) {
        s->why = "too many live streams";
        return ERR_LIMIT;
    }
    if (output_scope(s) == SCHED_NOTHING ||
        s->unsent_bytes + head_len > unsent_max) {
        s->why = "too much waits to be sent";
        return ERR_LIMIT;
    }
    return ERR_OK;
}

enum err session_open(struct session *s, unsigned slot,
                      const struct frame_open *o, struct span head, bool fin,
                      uint32_t *stream)
{
    struct frame_open open = *o;
    struct stream *st;

    assert(s->role == SESSION_RELAY && head.len <= HEAD_MAX);
    assert(slot < SLOTS_MAX);
    TRY(check_open(s, &s->slots[slot], head.len));
    open.window = first_window(s);
    st = stream_new(s->last_id + 2, (uint8_t)slot, &open);
    if (st == NULL) {
        goto fail;
    }
    window_credit_init(&st->credit, s->peer.window_first);
    window_grant_init(&st->window, open.window);
    st->send_phase = PHASE_BODY;
    st->receive_phase = open.kind == STREAM_HTTP ? PHASE_HEADS : PHASE_BODY;
    st->is_announced = true;
    if (unsent_put_open(s, st, &open, head, fin) != ERR_OK ||
        session_add(s, st) != ERR_OK) {
        goto fail;
    }
    s->last_id = st->id;
    *stream = st->id;
    return ERR_OK;

fail:
    if (st != NULL) {
        unsent_clear(s, st);
    }
    stream_free(st);
    s->why = "no memory for a stream";
    return ERR_NOMEM;
}

void session_set_owner(struct session *s, uint32_t stream, void *owner)
{
    struct stream *st = streams_find(&s->streams, stream);

    if (st == NULL) {
        return;
    }
    st->owner = owner;
    if (owner == NULL && st->is_over) {
        session_settle(s, st, true);
    }
}

void session_set_class(struct session *s, uint32_t stream,
                       enum stream_class class)
{
    struct stream *st = find(s, stream);

    if (st != NULL) {
        st->class = class;
    }
}

enum err session_write_head(struct session *s, uint32_t stream,
                            enum head_kind kind, struct span block, bool fin)
{
    struct stream *st = find(s, stream);

    assert(kind != HEAD_REQUEST && block.len > 0 && block.len <= HEAD_MAX);
    assert(kind == HEAD_TRAILERS || s->role == SESSION_CLIENT);
    if (s->error != ERR_OK || st == NULL) {
        return s->error != ERR_OK ? s->error : ERR_ABSENT;
    }
    assert(!st->is_fin_queued);
    assert(st->send_phase ==
           (kind == HEAD_TRAILERS ? PHASE_BODY : PHASE_HEADS));
    TRY(unsent_put_head(s, st, kind, block, fin));
    if (kind == HEAD_FINAL) {
        st->send_phase = PHASE_BODY;
    } else if (kind == HEAD_TRAILERS) {
        st->send_phase = PHASE_TRAILED;
    }
    return ERR_OK;
}

enum err session_write_take(struct session *s, uint32_t stream,
                            struct chunk *chunk)
{
    struct stream *st = find(s, stream);

    assert(chunk->len > 0 && chunk->len <= FRAME_PAYLOAD_MAX);
    if (s->error != ERR_OK || st == NULL) {
        chunk_free(chunk);
        return s->error != ERR_OK ? s->error : ERR_ABSENT;
    }
    assert(!st->is_fin_queued && st->send_phase == PHASE_BODY);
    if (st->unsent.bytes > UNSENT_STREAM_HARD) {
        chunk_free(chunk);
        s->why = "a writer did not stop when its stream's queue was full";
        return ERR_LIMIT;
    }
    unsent_put_data(s, st, chunk);
    return ERR_OK;
}

enum err session_write_fin(struct session *s, uint32_t stream)
{
    struct stream *st = find(s, stream);

    if (s->error != ERR_OK || st == NULL) {
        return s->error != ERR_OK ? s->error : ERR_ABSENT;
    }
    assert(!st->is_fin_queued && st->send_phase != PHASE_HEADS);
    return unsent_put_fin(s, st);
}

size_t session_room(struct session *s, uint32_t stream)
{
    struct stream *st = find(s, stream);

    return s->error != ERR_OK || st == NULL ? 0 : unsent_room(s, st);
}

size_t session_queued(const struct session *s, uint32_t stream)
{
    const struct stream *st = streams_find(&s->streams, stream);

    return st == NULL ? 0 : st->unsent.bytes;
}

void *session_pop_writable(struct session *s, uint32_t *stream)
{
    struct stream *st;

    while ((st = unsent_pop_writable(s)) != NULL) {
        if (st->owner != NULL) {
            *stream = st->id;
            return st->owner;
        }
    }
    return NULL;
}

static void reset(struct session *s, struct stream *st, enum err code)
{
    enum err error = stream_apply(st, STREAM_RESET);

    assert(error == ERR_OK);
    /* What was never opened at the peer cannot be reset there. */
    if (st->is_open_sent) {
        control_reset(s, &s->slots[st->slot], st->id, code);
    }
    session_settle(s, st, true);
}

void session_reset(struct session *s, uint32_t stream, enum err code)
{
    struct stream *st = streams_find(&s->streams, stream);

    if (st != NULL && st->is_over) {
        session_settle(s, st, true);
    } else if (st != NULL) {
        reset(s, st, code);
    }
}

void session_stop(struct session *s, uint32_t stream)
{
    struct stream *st = find(s, stream);
    enum err error;

    assert(s->role == SESSION_CLIENT);
    if (st == NULL || st->is_stopped || st->state == STREAM_GOT_FIN) {
        return;
    }
    st->is_stopped = true;
    error = control_put(s, &s->slots[st->slot], st->id, FRAME_STOP,
                        span_of(NULL, 0));
    if (error != ERR_OK) {
        (void)session_fail(s, error, s->why);
    }
}

void session_now(struct session *s, uint64_t now_us)
{
    s->now_us = now_us;
}

void session_consumed(struct session *s, uint32_t stream, size_t len)
{
    struct stream *st = streams_find(&s->streams, stream);

    if (st == NULL || len == 0) {
        return;
    }
    window_grant_consume(&st->window, len);
    st->moved_us = s->now_us;
    pool_release(&s->receive, len);
    if (!st->is_over) {
        session_grant(s, st);
    } else if (stream_held(st) == 0) {
        session_settle(s, st, true);
    }
}

bool session_has_stream(const struct session *s, uint32_t stream)
{
    return find(s, stream) != NULL;
}

unsigned session_stream_slot(const struct session *s, uint32_t stream)
{
    const struct stream *st = streams_find(&s->streams, stream);

    return st == NULL ? 0 : st->slot;
}

void session_each_stream(struct session *s, uint16_t tunnel,
                         void (*each)(void *owner, uint32_t stream, void *arg),
                         void *arg)
{
    for (size_t i = 0; i < s->streams.used; i++) {
        struct stream *st = s->streams.at[i];

        if (st != NULL && st->is_announced &&
            (tunnel == 0 || (st->tunnel == tunnel && !st->is_over))) {
            each(st->owner, st->id, arg);
        }
    }
}
