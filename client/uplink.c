/*
 * The states of one uplink: waiting to dial, logging in, linked. The session
 * stays when its link is lost and is named in the next login; a relay that
 * answers `new` has forgotten it, and then its exchanges end and the tunnels
 * are bound again.
 */
#include "client/uplink_private.h"

#include <stdlib.h>

#include "client/doubt.h"
#include "common/log.h"

#define DRAIN_LOOK_US (20 * US_PER_MS)
/* So much later than we the relay may notice that the link is lost. */
#define GRACE_LATER_US (PING_SILENCE_BUSY_US + PING_ANSWER_US)

static void on_drain_over(void *owner)
{
    ((struct uplink *)owner)->is_over = true;
    uplink_session_tell(owner, UPLINK_DRAINED, NULL, ERR_TIMEOUT, "");
}

/* Quickly, while the relay keeps the session. */
static struct redial_pace pace_of(const struct uplink *u)
{
    struct redial_pace pace = { 0 };
    struct session_stats stats;

    if (u->now->carrier.session != NULL) {
        session_stats(u->now->carrier.session, &stats);
        pace.quick_us = u->grace_us;
        pace.rtt_us = stats.rtt_us;
    }
    return pace;
}

static void dial_again(struct uplink *u)
{
    struct redial_pace pace = pace_of(u);

    if (u->is_over || u->is_draining) {
        uplink_session_check_drained(u);
        return;
    }
    u->keep_us = loop_now(u->loop) + u->grace_us + GRACE_LATER_US;
    timer_set(u->look, u->keep_us);
    if (redial_is_on(u->redial)) {
        redial_go(u->redial); /* since the link was in doubt */
    } else {
        redial_start_later(u->redial, &pace);
    }
}

/* The newest session's link is no more, or given up. */
static void lose_link(struct uplink *u, enum err error, const char *why)
{
    if (!u->is_over) {
        uplink_session_tell(u, UPLINK_LOST, NULL, error, why);
    }
    link_close(u->now->carrier.links[SLOT_EXPRESS], 0);
    u->now->carrier.links[SLOT_EXPRESS] = NULL;
    link_quality_watch_wake(u->now->quality);
}

void uplink_link_over(struct uplink_session *s, enum link_end how,
                      enum err error, const char *why)
{
    struct uplink *u = s->uplink;

    if (!uplink_session_is_newest(s)) {
        uplink_session_check_drained(u);
        return;
    }
    lose_link(u, error, why);
    if (how == LINK_FAILED || u->is_draining) {
        uplink_session_drop(u);
    }
    dial_again(u);
}

static void on_link_end(void *owner, enum link_end how, enum err error,
                        const char *why)
{
    LOG(LOG_INFO, "link-down", log_u64("slot", SLOT_EXPRESS),
        log_text("reason", error_name(error)), log_text("why", why));
    uplink_link_over(owner, how, error, why);
}

/* Dial beside the link: whichever proves itself is kept. */
static void doubt_link(struct uplink *u)
{
    struct redial_pace pace = pace_of(u);

    if (!u->is_over && !u->is_draining) {
        doubt_begin(u->redial, &pace);
    }
}

static void on_suspect(void *owner)
{
    struct uplink_session *s = owner;

    /* One that was left ends with its link. */
    if (s == s->uplink->now) {
        LOG(LOG_INFO, "link-suspect", log_u64("slot", SLOT_EXPRESS));
        doubt_ask_others(&s->carrier, SLOT_EXPRESS, loop_now(s->uplink->loop));
        doubt_link(s->uplink);
    }
}

static void on_watch(void *owner, enum watch_event event)
{
    struct uplink *u = owner;

    if (u->is_over) {
        return;
    }
    LOG(LOG_DEBUG, "network-changed",
        log_text("how", event == WATCH_WAKE ? "wake" : "routes"));
    bulk_link_network(u->now, event);
    if (doubt_network(&u->now->carrier, SLOT_EXPRESS, u->redial, event,
                      loop_now(u->loop))) {
        doubt_link(u);
    }
}

/* Logged in on |conn|: the session goes on, or begins with its tunnels. */
static enum err link_up(struct uplink *u, struct conn *conn,
                        const struct welcome *m)
{
    static const struct link_handler ends = { .on_end = on_link_end,
                                              .on_suspect = on_suspect };
    enum err e = uplink_session_take(u, m);

    if (e == ERR_OK) {
        e = uplink_session_link(u->now, SLOT_EXPRESS, conn, &ends);
    }
    if (e == ERR_OK && !m->is_resumed) {
        e = uplink_session_bind(u);
    } else if (e != ERR_OK) {
        conn_close(conn, 0);
    }
    if (e == ERR_NOMEM && m->is_resumed) {
        /* The relay keeps it: there may be memory the next time. */
        session_link_lost(u->now->carrier.session, SLOT_EXPRESS,
                          u->loop->now_us);
    } else if (e != ERR_OK) {
        uplink_session_drop(u);
    }
    return e;
}

static void on_redialled(void *owner, const struct handshake_result *r)
{
    struct uplink *u = owner;
    enum err err = r->error;
    struct redial_pace pace;

    if (err == ERR_OK) {
        err = link_up(u, r->conn, &r->welcome);
    }
    if (err == ERR_OK) {
        u->was_up = true;
        u->is_left = false;
        u->grace_us = r->welcome.limits.grace_s * US_PER_S;
        if (!r->welcome.is_resumed) {
            u->renew_us = 0;
        }
        timer_set(u->look, u->renew_us == 0 ? UINT64_MAX : u->loop->now_us);
        uplink_session_tell(u, UPLINK_UP, NULL, ERR_OK, "");
        return;
    }
    if (handshake_is_final(err, u->was_up)) {
        u->is_over = true;
        redial_stop(u->redial);
        uplink_session_tell(u, UPLINK_DENIED, NULL, err, r->why);
        return;
    }
    if (doubt_is_over(&u->now->carrier, SLOT_EXPRESS, u->loop->now_us)) {
        redial_stop(u->redial);
    }
    if (u->now->carrier.links[SLOT_EXPRESS] != NULL) {
        return; /* it failed beside a link that may be good yet */
    }
    uplink_session_tell(u, UPLINK_RETRY, NULL, err, r->why);
    if (!u->is_over && !redial_is_on(u->redial)) {
        pace = pace_of(u);
        redial_start_later(u->redial, &pace);
    }
}

/* The relay makes room for another: dial that one while the streams of this
 * session end beside it. */
void uplink_leave(struct uplink *u)
{
    static const struct redial_pace none;

    if (uplink_session_leave(u) == ERR_OK) {
        redial_start_later(u->redial, &none);
    }
}

static bool may_login(void *owner)
{
    struct uplink *u = owner;

    return doubt_may_login(&u->now->carrier, SLOT_EXPRESS, u->redial,
                           u->loop->now_us);
}

/* The positions of now: an older link may have brought more since the dial. */
static void on_login(void *owner, struct login *l)
{
    struct uplink *u = owner;

    if (u->now->carrier.links[SLOT_EXPRESS] != NULL) {
        /* What it might bring yet would not be in our position. */
        LOG(LOG_INFO, "link-given-up", log_u64("slot", SLOT_EXPRESS));
        lose_link(u, ERR_TIMEOUT, "nothing came for too long");
        u->keep_us = loop_now(u->loop) + u->grace_us + GRACE_LATER_US;
        timer_set(u->look, u->keep_us);
    }
    l->epoch = ++u->epoch;
    l->limits = uplink_session_limits();
    if (u->now->carrier.session != NULL) {
        l->is_resuming = true;
        l->received = session_received(u->now->carrier.session, SLOT_EXPRESS);
        memcpy(l->session, session_id(u->now->carrier.session), SESSION_ID_LEN);
    }
}

/* The session's stream ids are used up: another one, as soon as nothing lives
 * on this one, or after a while. */
static void renew(struct uplink *u)
{
    static const struct redial_pace none;
    struct session_stats stats;

    session_stats(u->now->carrier.session, &stats);
    if (stats.streams > 0 && loop_now(u->loop) < u->renew_us) {
        timer_set(u->look, u->loop->now_us + DRAIN_LOOK_US);
        return;
    }
    uplink_session_drop(u);
    redial_start_later(u->redial, &none);
}

/* A look at what is left: in a drain, of a session that is used up, or of one
 * that the relay has long given up. */
static void on_look(void *owner)
{
    struct uplink *u = owner;

    if (u->is_over) {
        return;
    }
    if (u->is_draining) {
        uplink_session_check_drained(u);
        /* A stream's end counts when its last frames have been sent, of which
         * nobody tells. */
        timer_set(u->look, loop_now(u->loop) + DRAIN_LOOK_US);
    } else if (u->now->carrier.links[SLOT_EXPRESS] != NULL) {
        renew(u);
    } else if (loop_now(u->loop) >= u->keep_us) {
        uplink_session_drop(u);
    }
}

struct uplink *uplink_new(struct loop *l, const struct uplink_options *o)
{
    static const struct redial_pace none;
    struct uplink *u = calloc(1, sizeof(*u));
    struct redial_options redial = { .relay = o->relay,
                                     .key = &o->identity->key,
                                     .may_login = may_login,
                                     .on_login = on_login,
                                     .on_done = on_redialled,
                                     .owner = u };

    if (u == NULL) {
        return NULL;
    }
    u->loop = l;
    u->o = *o;
    for (size_t i = 0; i < o->tunnel_count; i++) {
        o->tunnels[i].id = (uint16_t)(i + 1);
    }
    pool_init(&u->receive_pool, NULL, RECEIVE_POOL_CLIENT);
    pool_init(&u->sent_pool, NULL, SENT_LOG_RELAY);
    u->scratch = malloc(2 * HEAD_MAX);
    u->now = uplink_session_new(u);
    u->redial = redial_new(l, &redial);
    u->look = timer_new(l, on_look, u);
    u->drain = timer_new(l, on_drain_over, u);
    u->watch = watch_new(l, on_watch, u);
    if (u->scratch == NULL || u->now == NULL || u->redial == NULL ||
        u->look == NULL || u->drain == NULL || u->watch == NULL) {
        uplink_free(u);
        return NULL;
    }
    redial_start(u->redial, &none);
    return u;
}

void uplink_drain(struct uplink *u)
{
    if (u->is_draining) {
        return;
    }
    u->is_draining = true;
    timer_set(u->drain, loop_now(u->loop) + DRAIN_CLIENT_US);
    timer_set(u->look, u->loop->now_us);
    redial_stop(u->redial);
    bulk_link_leave(u->now);
    if (u->now->carrier.links[SLOT_EXPRESS] == NULL) {
        /* What has no link now cannot be finished. */
        uplink_session_drop(u);
        return;
    }
    for (size_t i = 0; i < u->o.tunnel_count; i++) {
        if (!u->o.tunnels[i].is_over &&
            session_unbind(u->now->carrier.session, u->o.tunnels[i].id) !=
                ERR_OK) {
            LOG(LOG_WARN, "unbind-failed",
                log_u64("tunnel", u->o.tunnels[i].id));
        }
    }
    link_wake_carrier(&u->now->carrier);
}

void uplink_free(struct uplink *u)
{
    if (u == NULL) {
        return;
    }
    u->is_over = true;
    redial_free(u->redial);
    watch_free(u->watch);
    while (u->left != NULL) {
        struct uplink_session *next = u->left->next;

        uplink_session_free(u->left);
        u->left = next;
    }
    if (u->now != NULL && u->now->carrier.links[SLOT_EXPRESS] != NULL) {
        /* Or the relay would keep the session for us. */
        if (session_goaway(u->now->carrier.session, ERR_SHUTDOWN,
                           span_text("the client ends")) != ERR_OK) {
            LOG(LOG_DEBUG, "goaway-not-sent", log_u64("slot", SLOT_EXPRESS));
        }
        link_close(u->now->carrier.links[SLOT_EXPRESS], US_PER_S);
        u->now->carrier.links[SLOT_EXPRESS] = NULL;
    }
    uplink_session_free(u->now);
    assert(u->receive_pool.used == 0 && u->sent_pool.used == 0);
    free(u->scratch);
    timer_close(u->look);
    timer_close(u->drain);
    free(u);
}
