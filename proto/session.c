/*
 * A session's life, its links, and the calls of the header: what they check
 * and whom they ask. Received frames go to receive, frames to send come from
 * output, what waits between stands in unsent and control.
 */
#include "proto/session.h"

#include <stdlib.h>

#include "proto/control.h"
#include "proto/output.h"
#include "proto/receive.h"
#include "proto/receive_session.h"
#include "proto/session_state.h"
#include "proto/unsent.h"

struct session *session_new(const struct session_options *o, uint64_t now_us)
{
    struct session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->role = o->role;
    s->own = o->own;
    s->peer = o->peer;
    s->slots[0].epoch = o->epoch;
    s->now_us = now_us;
    s->why = error_text(ERR_OK);
    memcpy(s->id, o->id, sizeof(s->id));
    pool_init(&s->receive, o->receive_pool, o->receive_max);
    pool_init(&s->sent, o->sent_pool, SENT_LOG_SESSION + UNSENT_SESSION_MAX);
    return s;
}

void session_free(struct session *s)
{
    if (s == NULL) {
        return;
    }
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        s->slots[i].has_link = false;
        session_slot_clear(s, i);
    }
    streams_deinit(&s->streams);
    assert(s->sent.used == 0 && s->receive.used == 0);
    assert(s->unsent_bytes == 0 && s->live == 0);
    free(s->spent);
    free(s);
}

enum err session_fail(struct session *s, enum err error, const char *why)
{
    if (s->error == ERR_OK) {
        s->error = error;
        s->why = why;
    }
    return s->error;
}

enum err session_add(struct session *s, struct stream *st)
{
    TRY(streams_add(&s->streams, st));
    s->live++;
    s->opened++;
    return ERR_OK;
}

void session_settle(struct session *s, struct stream *st, bool is_read)
{
    struct collector *c = &st->collector;

    assert(st->state == STREAM_DONE);
    if (!st->is_over) {
        st->is_over = true;
        s->live--;
        unsent_clear(s, st);
        stream_list_leave(st, LIST_GRANT);
        /* A head that is not whole will never be consumed by anyone. */
        pool_release(&s->receive, c->len - c->credited);
        window_grant_consume(&st->window, c->len - c->credited);
        collector_deinit(c);
    }
    /* Without an owner nobody will consume what came. */
    if (is_read || st->owner == NULL || stream_held(st) == 0) {
        pool_release(&s->receive, stream_held(st));
        streams_remove(&s->streams, st);
        stream_free(st);
    }
}

bool session_may_grant(const struct session *s, const struct stream *st)
{
    return stream_held(st) <= WINDOW_FIRST_OVER_HALF ||
           pool_percent(&s->receive) < 50;
}

void session_grant(struct session *s, struct stream *st)
{
    if (st->state == STREAM_GOT_FIN || st->state == STREAM_DONE ||
        stream_list_has(st, LIST_GRANT) || window_grant_due(&st->window) == 0 ||
        !session_may_grant(s, st)) {
        return;
    }
    stream_list_put(&s->slots[st->slot].grants, LIST_GRANT, st);
}

static struct slot *slot_at(struct session *s, unsigned slot)
{
    assert(slot < SLOTS_MAX);
    return &s->slots[slot];
}

void session_link_up(struct session *s, unsigned slot, uint64_t now_us)
{
    struct slot *at = slot_at(s, slot);

    s->now_us = now_us;
    at->has_link = true;
    at->log.moved_us = now_us;
    liveness_start(&at->liveness, at->received, now_us);
    flight_start(&at->flight, &at->log, now_us);
}

bool session_may_resume(const struct session *s, unsigned slot,
                        uint64_t position)
{
    assert(slot < SLOTS_MAX);
    return s->error == ERR_OK &&
           sent_log_may_resume(&s->slots[slot].log, position);
}

enum err session_link_resume(struct session *s, unsigned slot,
                             uint64_t position, uint64_t now_us)
{
    struct slot *at = slot_at(s, slot);
    uint64_t freed = 0;

    assert(!at->has_link);
    if (!session_may_resume(s, slot, position)) {
        return ERR_PROTOCOL;
    }
    TRY(sent_log_resume(&at->log, position, now_us, &freed));
    pool_release(&s->sent, freed);
    session_link_up(s, slot, now_us);
    return ERR_OK;
}

enum session_claim session_judge(const struct session *s, unsigned slot,
                                 uint32_t epoch, uint64_t position)
{
    assert(slot < SLOTS_MAX);
    if (epoch <= s->slots[slot].epoch) {
        return CLAIM_STALE;
    }
    /* Who never spoke since it began anew may speak of what was before. */
    if (slot != SLOT_EXPRESS && !s->slots[slot].is_heard) {
        return CLAIM_FALSE;
    }
    return session_may_resume(s, slot, position) ? CLAIM_TRUE : CLAIM_FALSE;
}

void session_fence(struct session *s, unsigned slot, uint32_t epoch,
                   uint64_t now_us)
{
    struct slot *at = slot_at(s, slot);

    assert(epoch > at->epoch);
    at->epoch = epoch;
    if (at->has_link) {
        session_link_lost(s, slot, now_us);
    }
}

uint64_t session_received(const struct session *s, unsigned slot)
{
    assert(slot < SLOTS_MAX);
    return s->slots[slot].received;
}

void session_link_lost(struct session *s, unsigned slot, uint64_t now_us)
{
    struct slot *at = slot_at(s, slot);

    s->now_us = now_us;
    at->has_link = false;
    assembly_deinit(&at->assembly);
}

void session_slot_clear(struct session *s, unsigned slot)
{
    struct slot *at = slot_at(s, slot);

    assert(!at->has_link);
    /* From the end: whoever leaves makes room that later ones move into. */
    for (size_t i = s->streams.used; i > 0; i--) {
        struct stream *st = i <= s->streams.used ? s->streams.at[i - 1] : NULL;

        if (st != NULL && st->slot == slot) {
            if (stream_apply(st, STREAM_RESET) == ERR_ABSENT) {
                assert(st->is_over);
            }
            session_settle(s, st, true);
        }
    }
    unsent_drop_queue(s, &at->control);
    pool_release(&s->sent, at->log.cost);
    sent_log_clear(&at->log);
    assembly_deinit(&at->assembly);
    *at = (struct slot){ .epoch = at->epoch };
}

bool session_has_link(const struct session *s, unsigned slot)
{
    assert(slot < SLOTS_MAX);
    return s->slots[slot].has_link;
}

bool session_is_proven(const struct session *s, unsigned slot)
{
    return session_has_link(s, slot) && s->slots[slot].is_heard;
}

enum err session_step(struct session *s, unsigned slot, uint64_t now_us,
                      struct span in, size_t *used, struct session_event *event)
{
    struct slot *at = slot_at(s, slot);
    struct assembly_frame frame;
    const char *why = NULL;
    enum err error;

    assert(at->has_link);
    *used = 0;
    *event = (struct session_event){ .kind = EVENT_NONE };
    s->now_us = now_us;
    free(s->spent);
    s->spent = NULL;
    if (s->error != ERR_OK || in.len == 0) {
        return s->error;
    }
    liveness_heard(&at->liveness, now_us);
    at->is_heard = true;
    error = assembly_take(&at->assembly, in, s->role == SESSION_CLIENT, used,
                          &frame, &why);
    if (error != ERR_OK) {
        return session_fail(s, error, why);
    }
    if (frame.is_whole) {
        TRY(receive_frame(s, at, &frame, event));
    }
    return s->error;
}

struct span session_output(struct session *s, unsigned slot, uint64_t now_us)
{
    s->now_us = now_us;
    return output_next(s, slot_at(s, slot));
}

bool session_has_output(const struct session *s, unsigned slot)
{
    assert(slot < SLOTS_MAX);
    return output_has_next(s, &s->slots[slot]);
}

size_t session_ahead(const struct session *s, unsigned slot)
{
    assert(slot < SLOTS_MAX);
    return output_is_urgent_on(s, &s->slots[slot])
               ? flight_ahead(&s->slots[slot].flight)
               : SIZE_MAX;
}

static uint64_t suspect_at(const struct slot *at)
{
    bool is_waiting = at->log.frames.count > 0;

    return liveness_suspect_at(&at->liveness,
                               is_waiting ? at->log.moved_us : LIVENESS_NEVER);
}

/* Whether a writer waits for room. */
static bool is_waited_for(const struct session *s)
{
    bool is_any = false;

    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        is_any = is_any || s->slots[i].waiting.first != NULL;
    }
    return is_any;
}

uint64_t session_deadline(const struct session *s, unsigned slot)
{
    const struct slot *at = &s->slots[slot];
    uint64_t deadline, suspect_us;

    assert(slot < SLOTS_MAX);
    if (!at->has_link) {
        return UINT64_MAX;
    }
    if (s->error != ERR_OK) {
        return 0; /* session_tick() will say so */
    }
    deadline = liveness_deadline(&at->liveness, s->live > 0);
    if (at->log.frames.count > 0 &&
        at->log.moved_us + SENT_LOG_STUCK_US < deadline) {
        deadline = at->log.moved_us + SENT_LOG_STUCK_US;
    }
    /* Once: what is in doubt already is so without being looked at. */
    suspect_us = suspect_at(at);
    if (s->now_us < suspect_us && suspect_us < deadline) {
        deadline = suspect_us;
    }
    if (session_shed_rule(session_shed_percent(s)) == SHED_STALLED &&
        s->stall_look_us < deadline) {
        deadline = s->stall_look_us;
    }
    /* Writers that wait for other sessions' memory are woken by the clock. */
    if (output_is_relay_full(s) && is_waited_for(s) &&
        s->now_us + 4 * ACK_DELAY_US < deadline) {
        deadline = s->now_us + 4 * ACK_DELAY_US;
    }
    return deadline;
}

enum err session_tick(struct session *s, unsigned slot, uint64_t now_us)
{
    struct slot *at = slot_at(s, slot);

    s->now_us = now_us;
    if (!at->has_link || s->error != ERR_OK) {
        return s->error;
    }
    if (liveness_tick(&at->liveness, s->live > 0, now_us) != ERR_OK) {
        s->why = "no answer to PING";
        return ERR_TIMEOUT;
    }
    if (at->log.frames.count > 0 &&
        now_us >= at->log.moved_us + SENT_LOG_STUCK_US) {
        s->why = "what was sent is not acknowledged";
        return ERR_TIMEOUT;
    }
    return ERR_OK;
}

bool session_is_asked(const struct session *s, unsigned slot)
{
    assert(slot < SLOTS_MAX);
    return s->slots[slot].has_link &&
           s->slots[slot].liveness.asked_us != LIVENESS_NEVER;
}

const char *session_why(const struct session *s)
{
    return s->why;
}

void session_probe(struct session *s, unsigned slot, uint64_t now_us)
{
    s->now_us = now_us;
    if (slot_at(s, slot)->has_link) {
        liveness_ask(&slot_at(s, slot)->liveness, now_us);
    }
}

static bool is_held(const struct session *s)
{
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        if (s->slots[i].has_link &&
            sched_is_ready(&s->slots[i].sched, SCHED_ALL)) {
            return true;
        }
    }
    return false;
}

bool session_is_suspect(const struct session *s, unsigned slot, uint64_t now_us)
{
    assert(slot < SLOTS_MAX);
    return s->slots[slot].has_link && now_us >= suspect_at(&s->slots[slot]);
}

void session_stats(const struct session *s, struct session_stats *out)
{
    const struct slot *at = &s->slots[0];

    *out = (struct session_stats){
        .streams = s->live,
        .is_held = is_held(s),
        .rtt_us = at->liveness.rtt_us,
        .jitter_us = at->liveness.jitter_us,
        .unsent_bytes = s->unsent_bytes,
        .unacked_bytes = at->log.frames.bytes,
        .sent_position = at->log.end,
        .received_position = at->received,
        .dropped_frames = s->dropped_frames,
        .optional_frames = s->optional_frames,
        .opened = s->opened,
    };
}

const uint8_t *session_id(const struct session *s)
{
    return s->id;
}
