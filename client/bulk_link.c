/*
 * One redial and one timer. What was on a link that is lost waits for the next
 * one; when none comes within the grace its exchanges end, here as at the
 * relay, and the slot begins anew.
 */
#include "client/bulk_link.h"

#include "client/doubt.h"
#include "client/uplink_private.h"
#include "common/log.h"

static struct link **link_of(struct uplink_session *s)
{
    return &s->carrier.links[SLOT_BULK];
}

/* Quickly, while the relay keeps what is to be resumed. */
static struct redial_pace pace_of(const struct uplink_session *s)
{
    struct redial_pace pace = { 0 };
    struct session_stats stats;

    session_stats(s->carrier.session, &stats);
    pace.rtt_us = stats.rtt_us;
    if (s->bulk.was_up) {
        pace.quick_us = s->uplink->grace_us;
    }
    return pace;
}

/* What was on it is over. */
static void begin_anew(struct uplink_session *s)
{
    timer_stop(s->bulk.grace);
    local_set_abandon_slot(&s->world.locals, SLOT_BULK);
    session_slot_clear(s->carrier.session, SLOT_BULK);
    s->bulk.was_up = false;
}

static void on_grace(void *owner)
{
    struct uplink_session *s = owner;

    LOG(LOG_INFO, "bulk-link-expired", log_u64("slot", SLOT_BULK));
    redial_stop(s->bulk.redial);
    begin_anew(s);
}

static void close_link(struct uplink_session *s)
{
    link_close(*link_of(s), 0);
    *link_of(s) = NULL;
}

static void on_link_end(void *owner, enum link_end how, enum err error,
                        const char *why)
{
    struct uplink_session *s = owner;
    struct redial_pace pace;

    LOG(LOG_INFO, "link-down", log_u64("slot", SLOT_BULK),
        log_text("reason", error_name(error)), log_text("why", why));
    if (how == LINK_FAILED) {
        uplink_link_over(s, how, error, why);
        return;
    }
    close_link(s);
    if (s->bulk.is_left) {
        begin_anew(s);
        uplink_session_check_drained(s->uplink);
        return;
    }
    pace = pace_of(s);
    timer_set(s->bulk.grace, loop_now(s->uplink->loop) + pace.quick_us);
    if (redial_is_on(s->bulk.redial)) {
        redial_go(s->bulk.redial); /* since the link was in doubt */
    } else {
        redial_start_later(s->bulk.redial, &pace);
    }
}

/* Dial beside the link: whichever proves itself is kept. */
static void doubt_link(struct uplink_session *s)
{
    struct redial_pace pace = pace_of(s);

    if (!s->bulk.is_left && !s->bulk.is_refused && !s->uplink->is_draining) {
        doubt_begin(s->bulk.redial, &pace);
    }
}

static void on_suspect(void *owner)
{
    struct uplink_session *s = owner;

    LOG(LOG_INFO, "link-suspect", log_u64("slot", SLOT_BULK));
    doubt_ask_others(&s->carrier, SLOT_BULK, loop_now(s->uplink->loop));
    doubt_link(s);
}

void bulk_link_network(struct uplink_session *s, enum watch_event event)
{
    if (doubt_network(&s->carrier, SLOT_BULK, s->bulk.redial, event,
                      loop_now(s->uplink->loop))) {
        doubt_link(s);
    }
}

/* Logged in on |conn|, which stays the caller's on error. */
static enum err link_up(struct uplink_session *s, struct conn *conn,
                        const struct welcome *m)
{
    static const struct link_handler ends = { .on_end = on_link_end,
                                              .on_suspect = on_suspect };
    struct session *session = s->carrier.session;
    uint64_t now_us = s->uplink->loop->now_us;

    if (memcmp(m->session, session_id(session), SESSION_ID_LEN) != 0) {
        return ERR_PROTOCOL;
    }
    if (m->is_resumed) {
        TRY(session_link_resume(session, SLOT_BULK, m->received, now_us));
        s->resumes++;
    } else {
        begin_anew(s);
        session_link_up(session, SLOT_BULK, now_us);
    }
    if (uplink_session_link(s, SLOT_BULK, conn, &ends) != ERR_OK) {
        session_link_lost(session, SLOT_BULK, now_us);
        return ERR_NOMEM;
    }
    s->bulk.was_up = true;
    timer_stop(s->bulk.grace);
    return ERR_OK;
}

static void on_redialled(void *owner, const struct handshake_result *r)
{
    struct uplink_session *s = owner;
    enum err error = r->error;
    struct redial_pace pace;

    if (error == ERR_OK) {
        error = link_up(s, r->conn, &r->welcome);
        if (error != ERR_OK) {
            conn_close(r->conn, 0);
        }
    }
    LOG(error == ERR_OK ? LOG_INFO : LOG_DEBUG, "bulk-link",
        log_text("reason", error_name(error)), log_text("why", r->why));
    if (error == ERR_OK) {
        return;
    }
    /* The first link is told what is wrong for good; here it is enough not to
     * ask again. */
    if (error == ERR_STALE || error == ERR_PROTOCOL ||
        handshake_is_final(error, true)) {
        s->bulk.is_refused = true;
        redial_stop(s->bulk.redial);
    } else if (doubt_is_over(&s->carrier, SLOT_BULK, s->uplink->loop->now_us)) {
        redial_stop(s->bulk.redial);
    } else if (!redial_is_on(s->bulk.redial)) {
        pace = pace_of(s);
        redial_start_later(s->bulk.redial, &pace);
    }
}

static bool may_login(void *owner)
{
    struct uplink_session *s = owner;

    return doubt_may_login(&s->carrier, SLOT_BULK, s->bulk.redial,
                           s->uplink->loop->now_us);
}

static void on_login(void *owner, struct login *l)
{
    struct uplink_session *s = owner;
    struct session *session = s->carrier.session;

    if (*link_of(s) != NULL) {
        /* What it might bring yet would not be in our position. */
        LOG(LOG_INFO, "link-given-up", log_u64("slot", SLOT_BULK));
        close_link(s);
        timer_set(s->bulk.grace,
                  loop_now(s->uplink->loop) + s->uplink->grace_us);
    }
    l->epoch = ++s->uplink->epoch;
    l->limits = uplink_session_limits();
    l->slot = SLOT_BULK;
    memcpy(l->session, session_id(session), SESSION_ID_LEN);
    l->is_resuming = s->bulk.was_up;
    l->received = session_received(session, SLOT_BULK);
}

enum err bulk_link_init(struct uplink_session *s)
{
    struct redial_options o = { .relay = s->uplink->o.relay,
                                .key = &s->uplink->o.identity->key,
                                .may_login = may_login,
                                .on_login = on_login,
                                .on_done = on_redialled,
                                .owner = s };

    s->bulk.redial = redial_new(s->uplink->loop, &o);
    s->bulk.grace = timer_new(s->uplink->loop, on_grace, s);
    return s->bulk.redial == NULL || s->bulk.grace == NULL ? ERR_NOMEM : ERR_OK;
}

void bulk_link_deinit(struct uplink_session *s)
{
    redial_free(s->bulk.redial);
    timer_close(s->bulk.grace);
    s->bulk = (struct bulk_link){ .redial = NULL };
}

void bulk_link_want(struct uplink_session *s)
{
    struct redial_pace pace;

    if (*link_of(s) != NULL || s->uplink->o.is_single || s->bulk.is_refused ||
        s->bulk.is_left || redial_is_on(s->bulk.redial)) {
        return;
    }
    pace = pace_of(s);
    redial_start(s->bulk.redial, &pace);
}

void bulk_link_leave(struct uplink_session *s)
{
    s->bulk.is_left = true;
    redial_stop(s->bulk.redial);
    if (*link_of(s) == NULL && s->carrier.session != NULL) {
        begin_anew(s);
    }
}

void bulk_link_drop(struct uplink_session *s)
{
    if (s->bulk.redial == NULL || s->bulk.grace == NULL) {
        return; /* without memory from the first */
    }
    redial_stop(s->bulk.redial);
    timer_stop(s->bulk.grace);
    close_link(s);
    s->bulk.was_up = false;
    s->bulk.is_refused = false;
}
