/*
 * The states of one uplink: waiting to dial, logging in, linked. The session
 * stays when its link is lost and is named in the next login; a relay that
 * answers `new` has forgotten it, and then its exchanges end and the tunnels
 * are bound again.
 */
#include "client/uplink.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/handshake.h"
#include "common/backoff.h"
#include "common/log.h"
#include "common/timer.h"

#define UPLINK_SLOT 0u
#define DRAIN_LOOK_US (20 * US_PER_MS)

static const struct session_limits own_limits = {
    .window_first = WINDOW_FIRST,
    .streams_max = STREAMS_MAX_DEFAULT,
    .tunnels_max = TUNNELS_MAX,
};

struct uplink {
    struct loop *loop;
    struct uplink_options o;
    struct pool receive_pool;
    struct pool sent_pool;
    struct carrier carrier;
    struct local_world world;
    struct handshake *handshake;
    struct timer *redial;
    struct timer *drain;
    uint32_t epoch; /* of the newest LOGIN */
    struct backoff backoff;
    uint64_t renew_us; /* when a used up session ends at the latest */
    bool was_up;
    bool is_left; /* the relay said GOAWAY on this link */
    bool is_draining;
    bool is_over; /* nothing more is dialled */
};

static void dial_later(struct uplink *u);

static void tell(struct uplink *u, enum uplink_event event,
                 struct tunnel *tunnel, enum err error, const char *why)
{
    struct uplink_news news = { event, tunnel, error, why };

    u->o.on_news(u->o.owner, &news);
}

static struct tunnel *find_tunnel(struct uplink *u, uint16_t id)
{
    return tunnel_find(u->o.tunnels, u->o.tunnel_count, id);
}

/* |t| is shared no more, nor asked for again. */
static void lose_tunnel(struct uplink *u, struct tunnel *t, enum err error,
                        const char *why)
{
    t->is_over = true;
    t->url[0] = '\0';
    tell(u, error == ERR_REPLACED ? UPLINK_REPLACED : UPLINK_REFUSED, t, error,
         why);
}

static void check_drained(struct uplink *u)
{
    struct session_stats stats = { 0 };

    if (!u->is_draining || u->is_over) {
        return;
    }
    if (u->carrier.session != NULL) {
        session_stats(u->carrier.session, &stats);
    }
    if (stats.streams == 0) {
        u->is_over = true;
        tell(u, UPLINK_DRAINED, NULL, ERR_OK, "");
    }
}

static void on_drain_over(void *owner)
{
    struct uplink *u = owner;

    u->is_over = true;
    tell(u, UPLINK_DRAINED, NULL, ERR_TIMEOUT, "");
}

static void on_open(struct uplink *u, const struct session_event *event)
{
    struct tunnel *t = find_tunnel(u, event->open.tunnel);

    if (t == NULL || t->is_over || u->is_draining) {
        session_reset(u->carrier.session, event->stream, ERR_REFUSED);
        return;
    }
    local_open(&u->world, &t->local, event);
}

static void on_bound(struct uplink *u, const struct session_event *event)
{
    struct tunnel *t = find_tunnel(u, event->tunnel);
    enum err error = t == NULL ? ERR_ABSENT : tunnel_take_url(t, event->bytes);

    if (error == ERR_OK) {
        tell(u, UPLINK_URL, t, ERR_OK, "");
    } else if (error != ERR_ABSENT && !t->is_over) {
        lose_tunnel(u, t, error, "the relay gave it no https address");
    }
}

/* REFUSED or UNBOUND. */
static void on_verdict(struct uplink *u, const struct session_event *event)
{
    struct tunnel *t = find_tunnel(u, event->tunnel);
    char why[SENTENCE_MAX_LEN + 1];

    if (t == NULL || t->is_over || event->code == ERR_SHUTDOWN) {
        return; /* a relay that stops is asked again when it is back */
    }
    snprintf(why, sizeof(why), "%.*s", (int)event->bytes.len,
             (const char *)event->bytes.data);
    lose_tunnel(u, t, event->code, why);
}

/* Revoked is final; a relay that shuts down or renews is dialled again. */
static void on_goaway(struct uplink *u, const struct session_event *event)
{
    char why[SENTENCE_MAX_LEN + 1];

    snprintf(why, sizeof(why), "%.*s", (int)event->bytes.len,
             (const char *)event->bytes.data);
    if (event->code == ERR_REVOKED || event->code == ERR_AUTH) {
        u->is_over = true;
        tell(u, UPLINK_DENIED, NULL, event->code, why);
        return;
    }
    if (u->is_left) {
        return; /* said once is enough */
    }
    u->is_left = true;
    LOG(LOG_INFO, "goaway", log_text("reason", error_name(event->code)),
        log_text("why", why));
    if (event->code == ERR_RENEW) {
        u->renew_us = loop_now(u->loop) + DRAIN_CLIENT_US;
        timer_set(u->redial, u->loop->now_us);
    }
}

static void on_event(void *owner, const struct session_event *event)
{
    struct uplink *u = owner;

    switch (event->kind) {
    case EVENT_OPEN:
        on_open(u, event);
        break;
    case EVENT_HEAD:
    case EVENT_DATA:
    case EVENT_RESET:
        if (event->owner != NULL) {
            local_event(event->owner, event);
        } else if (event->kind == EVENT_DATA) {
            session_consumed(u->carrier.session, event->stream,
                             event->bytes.len);
        }
        break;
    case EVENT_BOUND:
        on_bound(u, event);
        break;
    case EVENT_REFUSED:
    case EVENT_UNBOUND:
        on_verdict(u, event);
        break;
    case EVENT_GOAWAY:
        on_goaway(u, event);
        break;
    case EVENT_NEXT_KEY:
        LOG(LOG_INFO, "relay-announces-key",
            log_text("relay", u->o.relay->host));
        break;
    case EVENT_NONE:
    case EVENT_STOP:
    case EVENT_BIND:
    case EVENT_UNBIND:
        break;
    }
    check_drained(u);
}

static void on_writable(void *owner, void *stream_owner, uint32_t stream)
{
    (void)owner;
    (void)stream;
    local_writable(stream_owner);
}

static void on_pressure(void *owner)
{
    local_set_shed(&((struct uplink *)owner)->world.locals);
}

/* The session is of no more use: its exchanges end with it. */
static void drop_session(struct uplink *u)
{
    link_close(u->carrier.links[UPLINK_SLOT], 0);
    u->carrier.links[UPLINK_SLOT] = NULL;
    local_set_abandon(&u->world.locals);
    if (u->carrier.session != NULL) {
        session_free(u->carrier.session);
        u->carrier.session = NULL;
    }
}

static void on_link_end(void *owner, enum link_end how, enum err error,
                        const char *why)
{
    struct uplink *u = owner;

    LOG(LOG_INFO, "link-down", log_text("reason", error_name(error)),
        log_text("why", why));
    backoff_lost(&u->backoff, loop_now(u->loop));
    if (!u->is_over) {
        tell(u, UPLINK_LOST, NULL, error, why);
    }
    link_close(u->carrier.links[UPLINK_SLOT], 0);
    u->carrier.links[UPLINK_SLOT] = NULL;
    if (how == LINK_FAILED || u->is_draining) {
        drop_session(u);
    }
    dial_later(u);
}

/* Memory may be there the next time; what else is wrong stays so. */
static enum err bind_all(struct uplink *u)
{
    for (size_t i = 0; i < u->o.tunnel_count; i++) {
        struct tunnel *t = &u->o.tunnels[i];
        enum err error =
            t->is_over ? ERR_OK : tunnel_bind(t, u->carrier.session);

        if (error == ERR_NOMEM) {
            return error;
        }
        if (error != ERR_OK) {
            lose_tunnel(u, t, error, session_why(u->carrier.session));
        }
    }
    return ERR_OK;
}

static struct session *make_session(struct uplink *u, const struct welcome *m)
{
    struct session_options o = {
        .role = SESSION_CLIENT,
        .own = own_limits,
        .peer = m->limits,
        .receive_pool = &u->receive_pool,
        .sent_pool = &u->sent_pool,
        .receive_max = RECEIVE_POOL_CLIENT,
    };

    memcpy(o.id, m->session, SESSION_ID_LEN);
    return session_new(&o, u->loop->now_us);
}

/* Logged in on |conn|: a new session, its link and its tunnels. */
static enum err link_up(struct uplink *u, struct conn *conn,
                        const struct welcome *m)
{
    struct link_handler handler = { .on_event = on_event,
                                    .on_writable = on_writable,
                                    .on_end = on_link_end,
                                    .on_pressure = on_pressure,
                                    .owner = u };
    enum err e;

    drop_session(u);
    /* Another session numbers its visitors anew. */
    conn_pool_clear(u->world.pool);
    u->carrier.session = make_session(u, m);
    if (u->carrier.session != NULL) {
        u->carrier.links[UPLINK_SLOT] =
            link_open_adopt(conn, u->carrier.session, UPLINK_SLOT, &handler);
    }
    if (u->carrier.links[UPLINK_SLOT] == NULL) {
        conn_close(conn, 0);
        drop_session(u);
        return ERR_NOMEM;
    }
    link_wake(u->carrier.links[UPLINK_SLOT]);
    e = bind_all(u);
    if (e != ERR_OK) {
        drop_session(u);
    }
    return e;
}

/* Errors that another try will not mend. */
static bool is_final(const struct uplink *u, enum err error)
{
    switch ((int)error) {
    case ERR_AUTH:
    case ERR_REVOKED:
    case ERR_VERSION:
        return true;
    case ERR_BINDING:
        return !u->was_up;
    default:
        return false;
    }
}

static void on_handshake(void *owner, const struct handshake_result *r)
{
    struct uplink *u = owner;
    enum err err = r->error;

    u->handshake = NULL;
    if (err == ERR_OK) {
        err = link_up(u, r->conn, &r->welcome);
    }
    if (err == ERR_OK) {
        u->was_up = true;
        u->is_left = false;
        backoff_up(&u->backoff, loop_now(u->loop));
        tell(u, UPLINK_UP, NULL, ERR_OK, "");
        return;
    }
    if (err == ERR_PROTOCOL) {
        drop_session(u); /* whatever it was: not this one again */
    }
    if (is_final(u, err)) {
        u->is_over = true;
        tell(u, UPLINK_DENIED, NULL, err, r->why);
        return;
    }
    tell(u, UPLINK_RETRY, NULL, err, r->why);
    dial_later(u);
}

static void dial(struct uplink *u)
{
    struct handshake_options o = { .relay = u->o.relay,
                                   .key = &u->o.identity->key,
                                   .on_done = on_handshake,
                                   .owner = u };
    struct session_stats stats;

    u->epoch++;
    o.login.minor_max = LOGIN_MINOR;
    o.login.epoch = u->epoch;
    o.login.limits = own_limits;
    if (u->carrier.session != NULL) {
        session_stats(u->carrier.session, &stats);
        o.login.is_resuming = true;
        o.login.received = stats.received_position;
        memcpy(o.login.session, session_id(u->carrier.session), SESSION_ID_LEN);
    }
    if (handshake_start(u->loop, &o, &u->handshake) != ERR_OK) {
        dial_later(u);
    }
}

/* The session's stream ids are used up: another one, as soon as nothing lives
 * on this one, or after a while. */
static void renew(struct uplink *u)
{
    struct session_stats stats;

    session_stats(u->carrier.session, &stats);
    if (stats.streams > 0 && loop_now(u->loop) < u->renew_us) {
        timer_set(u->redial, u->loop->now_us + DRAIN_LOOK_US);
        return;
    }
    drop_session(u);
    backoff_lost(&u->backoff, loop_now(u->loop));
    dial_later(u);
}

/* One timer: the next dial, and in a drain the next look at what is left. */
static void on_redial(void *owner)
{
    struct uplink *u = owner;

    if (u->is_over) {
        return;
    }
    if (u->is_draining) {
        check_drained(u);
        /* A stream's end counts when its last frames have been sent, of which
         * nobody tells. */
        timer_set(u->redial, loop_now(u->loop) + DRAIN_LOOK_US);
    } else if (u->carrier.links[UPLINK_SLOT] != NULL) {
        renew(u);
    } else {
        dial(u);
    }
}

static void dial_later(struct uplink *u)
{
    uint64_t now_us = loop_now(u->loop);
    uint32_t random;

    if (u->is_over || u->is_draining) {
        check_drained(u);
        return;
    }
    keys_random(&random, sizeof(random));
    timer_set(u->redial, now_us + backoff_next_us(&u->backoff, now_us, random));
}

struct uplink *uplink_new(struct loop *l, const struct uplink_options *o)
{
    struct uplink *u = calloc(1, sizeof(*u));

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
    u->world.loop = l;
    u->world.carrier = &u->carrier;
    u->world.locals.carrier = &u->carrier;
    u->world.locals.receive = &u->receive_pool;
    u->world.locals.sent = &u->sent_pool;
    u->world.on_end = o->on_exchange;
    u->world.owner = o->owner;
    u->world.pool = conn_pool_new(l);
    u->world.scratch = malloc(2 * HEAD_MAX);
    u->redial = timer_new(l, on_redial, u);
    u->drain = timer_new(l, on_drain_over, u);
    if (local_set_init(&u->world.locals, l) != ERR_OK ||
        u->world.pool == NULL || u->world.scratch == NULL ||
        u->redial == NULL || u->drain == NULL) {
        uplink_free(u);
        return NULL;
    }
    backoff_lost(&u->backoff, loop_now(l));
    dial(u);
    return u;
}

void uplink_drain(struct uplink *u)
{
    if (u->is_draining) {
        return;
    }
    u->is_draining = true;
    timer_set(u->drain, loop_now(u->loop) + DRAIN_CLIENT_US);
    timer_set(u->redial, u->loop->now_us);
    handshake_cancel(u->handshake);
    u->handshake = NULL;
    if (u->carrier.links[UPLINK_SLOT] == NULL) {
        /* What has no link now cannot be finished. */
        drop_session(u);
        return;
    }
    for (size_t i = 0; i < u->o.tunnel_count; i++) {
        if (!u->o.tunnels[i].is_over &&
            session_unbind(u->carrier.session, u->o.tunnels[i].id) != ERR_OK) {
            LOG(LOG_WARN, "unbind-failed",
                log_u64("tunnel", u->o.tunnels[i].id));
        }
    }
    link_wake_carrier(&u->carrier);
}

void uplink_free(struct uplink *u)
{
    if (u == NULL) {
        return;
    }
    u->is_over = true;
    handshake_cancel(u->handshake);
    if (u->carrier.links[UPLINK_SLOT] != NULL) {
        link_close(u->carrier.links[UPLINK_SLOT], US_PER_S);
        u->carrier.links[UPLINK_SLOT] = NULL;
    }
    drop_session(u);
    local_set_deinit(&u->world.locals);
    assert(u->receive_pool.used == 0 && u->sent_pool.used == 0);
    conn_pool_free(u->world.pool);
    free(u->world.scratch);
    timer_close(u->redial);
    timer_close(u->drain);
    free(u);
}
