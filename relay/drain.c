/*
 * With sockets that were passed to us the next process is there at once: we
 * take no more from them, serve whom we have let in, and only then send the
 * clients over. With sockets of our own nobody else can answer until we have
 * ended: they stay open, new requests get 503, and close last.
 */
#include "relay/drain.h"

#include "common/log.h"
#include "common/signals.h"
#include "common/timer.h"
#include "relay/admin.h"
#include "relay/client_session.h"
#include "relay/edge.h"
#include "relay/edge_h1.h"
#include "relay/keeper.h"
#include "relay/login.h"
#include "relay/redirect.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

/* That streams have ended is looked for so often. */
#define LOOK_US (10 * US_PER_MS)

bool drain_is_on(const struct worker *w)
{
    return w->drain.stage != DRAIN_NOT;
}

bool drain_is_told(const struct worker *w)
{
    return w->drain.stage >= DRAIN_STREAMS;
}

void drain_end(struct worker *w)
{
    w->drain.stage = DRAIN_OVER;
    doors_close(&w->doors);
    edge_close_all(w);
    login_close_all(w);
    redirect_close_all(w);
    edge_h1_close_all(w);
    while (w->sessions != NULL) {
        client_session_end(w->sessions, ERR_SHUTDOWN,
                           "the relay is shutting down");
    }
    admin_close(w->admin);
    signals_close(w->signals);
    turnstile_deinit(&w->turnstile);
    timer_close(w->refresh);
    timer_close(w->drain.timer);
    w->admin = NULL;
    w->signals = NULL;
    w->refresh = NULL;
    w->drain.timer = NULL;
}

/* Somebody was let in whose first request is not here yet. */
static bool has_newcomers(const struct worker *w)
{
    return w->arrivals != NULL || w->redirecting != NULL ||
           edge_h1_has_newcomers(w);
}

static bool has_streams(const struct worker *w)
{
    for (const struct client_session *s = w->sessions; s != NULL; s = s->next) {
        if (s->exchanges != NULL) {
            return true;
        }
    }
    return false;
}

void drain_look(struct worker *w)
{
    bool is_last = w->drain.stage == DRAIN_CLOSING ||
                   (w->drain.stage == DRAIN_STREAMS && w->doors.count == 0);

    if (is_last && w->arrivals == NULL && w->logins == NULL &&
        w->redirecting == NULL && w->visitors == NULL) {
        LOG(LOG_INFO, "drained", log_text("domain", w->settings->domain));
        drain_end(w);
    }
}

/* Who has not said what it wants by now has no claim. */
static void turn_newcomers_away(struct worker *w)
{
    edge_close_all(w);
    login_close_all(w);
    redirect_close_all(w);
    edge_h1_drop_newcomers(w);
}

static void tell_clients(struct worker *w)
{
    static const char goodbye[] = "the relay is shutting down";
    struct client_session *next;

    w->drain.stage = DRAIN_STREAMS;
    for (struct client_session *s = w->sessions; s != NULL; s = next) {
        next = s->next;
        if (s->carrier.links[SLOT_EXPRESS] == NULL) {
            /* Parked: its client cannot come back to us any more. */
            client_session_end(s, ERR_SHUTDOWN, goodbye);
            continue;
        }
        if (session_goaway(s->carrier.session, ERR_SHUTDOWN,
                           span_text(goodbye)) == ERR_OK) {
            link_wake_carrier(&s->carrier);
        }
        bulk_link_leave(s);
    }
}

static void take_steps(struct worker *w)
{
    uint64_t now_us = loop_now(&w->loop);
    bool is_late = now_us >= w->drain.stage_us;

    if (w->drain.stage == DRAIN_LETTING_IN && (is_late || !has_newcomers(w))) {
        tell_clients(w);
    } else if (w->drain.stage == DRAIN_STREAMS && w->doors.count > 0 &&
               !has_streams(w)) {
        w->drain.stage = DRAIN_CLOSING;
        w->drain.stage_us = now_us + DRAIN_NEWCOMERS_US;
        doors_finish(&w->doors);
    } else if (w->drain.stage == DRAIN_CLOSING && is_late) {
        turn_newcomers_away(w);
    }
    drain_look(w);
}

static void on_drain_timer(void *owner)
{
    struct worker *w = owner;

    if (loop_now(&w->loop) >= w->drain.limit_us) {
        LOG(LOG_WARN, "drain-over",
            log_text("why", "cutting what still goes on"));
        drain_end(w);
        return;
    }
    /* Set first: the steps may end it. */
    timer_set(w->drain.timer, w->loop.now_us + LOOK_US);
    take_steps(w);
}

enum err drain_init(struct worker *w)
{
    w->drain.timer = timer_new(&w->loop, on_drain_timer, w);
    return w->drain.timer == NULL ? ERR_NOMEM : ERR_OK;
}

void drain_start(struct worker *w)
{
    uint64_t now_us = loop_now(&w->loop);

    if (w->drain.stage == DRAIN_OVER) {
        return;
    }
    if (drain_is_on(w)) {
        drain_end(w);
        return;
    }
    LOG(LOG_INFO, "draining", log_u64("limit_s", DRAIN_RELAY_US / US_PER_S));
    w->drain.limit_us = now_us + DRAIN_RELAY_US;
    w->drain.stage_us = now_us + DRAIN_NEWCOMERS_US;
    if (w->doors.are_passed) {
        /* Our successor may begin: nothing of ours is in its way. */
        w->drain.stage = DRAIN_LETTING_IN;
        doors_close(&w->doors);
        admin_close(w->admin);
        w->admin = NULL;
        keeper_release(w->keeper);
    } else {
        tell_clients(w);
    }
    edge_h1_drain(w);
    edge_let_returned_in(w);
    timer_set(w->drain.timer, now_us);
}
