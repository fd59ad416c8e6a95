/*
 * What the session tells: streams for the local services, answers about the
 * tunnels, goodbyes. A relay that answers `new` has forgotten the session: its
 * exchanges end, and the tunnels are bound again.
 */
#include "client/uplink_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"

struct session_limits uplink_session_limits(void)
{
    return (struct session_limits){ .window_first = WINDOW_FIRST,
                                    .streams_max = STREAMS_MAX_DEFAULT,
                                    .tunnels_max = TUNNELS_MAX };
}

void uplink_session_tell(struct uplink *u, enum uplink_event event,
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
    uplink_session_tell(
        u, error == ERR_REPLACED ? UPLINK_REPLACED : UPLINK_REFUSED, t, error,
        why);
}

void uplink_session_check_drained(struct uplink *u)
{
    struct session_stats stats = { 0 };

    if (!u->is_draining || u->is_over) {
        return;
    }
    if (u->now->carrier.session != NULL) {
        session_stats(u->now->carrier.session, &stats);
    }
    if (stats.streams == 0 && u->left == NULL) {
        u->is_over = true;
        uplink_session_tell(u, UPLINK_DRAINED, NULL, ERR_OK, "");
    }
}

static void drop(struct uplink_session *s)
{
    bulk_link_drop(s);
    link_close(s->carrier.links[SLOT_EXPRESS], 0);
    s->carrier.links[SLOT_EXPRESS] = NULL;
    local_set_abandon(&s->world.locals);
    if (s->carrier.session != NULL) {
        session_free(s->carrier.session);
        s->carrier.session = NULL;
    }
}

void uplink_session_drop(struct uplink *u)
{
    drop(u->now);
}

static void on_quality(void *owner, const struct link_quality *q)
{
    struct uplink_session *s = owner;
    struct uplink *u = s->uplink;

    if (s == u->now && !u->is_over) {
        u->o.on_quality(u->o.owner, q, s->resumes);
    }
}

struct uplink_session *uplink_session_new(struct uplink *u)
{
    struct uplink_session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->uplink = u;
    s->world.loop = u->loop;
    s->world.carrier = &s->carrier;
    s->world.locals.carrier = &s->carrier;
    s->world.locals.receive = &u->receive_pool;
    s->world.locals.sent = &u->sent_pool;
    s->world.on_end = u->o.on_exchange;
    s->world.owner = u->o.owner;
    s->world.scratch = u->scratch;
    s->world.pool = conn_pool_new(u->loop);
    s->quality = link_quality_watch_new(u->loop, &s->carrier, on_quality, s);
    if (local_set_init(&s->world.locals, u->loop) != ERR_OK ||
        s->world.pool == NULL || s->quality == NULL ||
        bulk_link_init(s) != ERR_OK) {
        uplink_session_free(s);
        return NULL;
    }
    return s;
}

void uplink_session_free(struct uplink_session *s)
{
    if (s == NULL) {
        return;
    }
    drop(s);
    bulk_link_deinit(s);
    local_set_deinit(&s->world.locals);
    conn_pool_free(s->world.pool);
    link_quality_watch_free(s->quality);
    free(s);
}

enum err uplink_session_leave(struct uplink *u)
{
    struct uplink_session *fresh = uplink_session_new(u);
    struct uplink_session **at = &u->left;

    if (fresh == NULL) {
        return ERR_NOMEM;
    }
    bulk_link_leave(u->now);
    u->now->next = u->left;
    u->left = u->now;
    u->now = fresh;
    for (unsigned i = 0; i < UPLINK_LEFT_MAX && *at != NULL; i++) {
        at = &(*at)->next;
    }
    uplink_session_free(*at); /* the oldest, if there is one too many */
    *at = NULL;
    return ERR_OK;
}

bool uplink_session_is_newest(struct uplink_session *s)
{
    struct uplink_session **at = &s->uplink->left;

    if (s == s->uplink->now) {
        return true;
    }
    while (*at != s) {
        at = &(*at)->next;
    }
    *at = s->next;
    uplink_session_free(s);
    return false;
}

static void on_open(struct uplink_session *s, const struct session_event *event)
{
    struct tunnel *t = find_tunnel(s->uplink, event->open.tunnel);

    if (t == NULL || t->is_over || s->uplink->is_draining) {
        session_reset(s->carrier.session, event->stream, ERR_REFUSED);
        return;
    }
    local_open(&s->world, &t->local, event);
    link_quality_watch_wake(s->quality);
    bulk_link_want(s);
}

static void on_bound(struct uplink *u, const struct session_event *event)
{
    struct tunnel *t = find_tunnel(u, event->tunnel);
    enum err error = t == NULL ? ERR_ABSENT : tunnel_take_url(t, event->bytes);

    if (error == ERR_OK) {
        uplink_session_tell(u, UPLINK_URL, t, ERR_OK, "");
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
        uplink_session_tell(u, UPLINK_DENIED, NULL, event->code, why);
        return;
    }
    if (u->is_left) {
        return; /* said once is enough */
    }
    LOG(LOG_INFO, "goaway", log_text("reason", error_name(event->code)),
        log_text("why", why));
    if (event->code == ERR_SHUTDOWN && !u->is_draining) {
        uplink_session_tell(u, UPLINK_LOST, NULL, event->code, why);
        uplink_leave(u);
        return;
    }
    u->is_left = true;
    if (event->code == ERR_RENEW) {
        u->renew_us = loop_now(u->loop) + DRAIN_CLIENT_US;
        timer_set(u->look, u->loop->now_us);
    }
}

/* Of the tunnels, and goodbyes: what a session that was left says of them is
 * out of date. */
static void on_session_event(struct uplink *u,
                             const struct session_event *event)
{
    switch ((int)event->kind) {
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
    }
}

static void on_event(void *owner, const struct session_event *event)
{
    struct uplink_session *s = owner;
    struct uplink *u = s->uplink;

    switch (event->kind) {
    case EVENT_OPEN:
        on_open(s, event);
        break;
    case EVENT_HEAD:
    case EVENT_DATA:
    case EVENT_RESET:
        if (event->owner != NULL) {
            local_event(event->owner, event);
        } else if (event->kind == EVENT_DATA) {
            session_consumed(s->carrier.session, event->stream,
                             event->bytes.len);
        }
        break;
    case EVENT_BOUND:
    case EVENT_REFUSED:
    case EVENT_UNBOUND:
    case EVENT_GOAWAY:
    case EVENT_NEXT_KEY:
        if (s == u->now) {
            on_session_event(u, event);
        }
        break;
    case EVENT_NONE:
    case EVENT_STOP:
    case EVENT_BIND:
    case EVENT_UNBIND:
        break;
    }
    uplink_session_check_drained(u);
}

static void on_writable(void *owner, void *stream_owner, uint32_t stream)
{
    (void)owner;
    (void)stream;
    local_writable(stream_owner);
}

static void on_pressure(void *owner)
{
    local_set_shed(&((struct uplink_session *)owner)->world.locals);
}

enum err uplink_session_link(struct uplink_session *s, unsigned slot,
                             struct conn *conn, const struct link_handler *ends)
{
    struct link_handler handler = *ends;

    handler.on_event = on_event;
    handler.on_writable = on_writable;
    handler.on_pressure = on_pressure;
    handler.owner = s;
    s->carrier.links[slot] =
        link_open_adopt(conn, s->carrier.session, slot, &handler);
    return s->carrier.links[slot] == NULL ? ERR_NOMEM : ERR_OK;
}

static struct session *make_session(struct uplink *u, const struct welcome *m)
{
    struct session_options o = {
        .role = SESSION_CLIENT,
        .own = uplink_session_limits(),
        .peer = m->limits,
        .receive_pool = &u->receive_pool,
        .sent_pool = &u->sent_pool,
        .receive_max = RECEIVE_POOL_CLIENT,
    };

    memcpy(o.id, m->session, SESSION_ID_LEN);
    return session_new(&o, u->loop->now_us);
}

/* The session that |m| is about: the one we had, or a new one. */
enum err uplink_session_take(struct uplink *u, const struct welcome *m)
{
    struct session *s = u->now->carrier.session;

    link_quality_watch_wake(u->now->quality);
    if (m->is_resumed) {
        TRY(session_link_resume(s, SLOT_EXPRESS, m->received, u->loop->now_us));
        u->now->resumes++;
        return ERR_OK;
    }
    uplink_session_drop(u);
    /* Another session numbers its visitors anew. */
    conn_pool_clear(u->now->world.pool);
    u->now->resumes = 0;
    u->now->carrier.session = make_session(u, m);
    if (u->now->carrier.session == NULL) {
        return ERR_NOMEM;
    }
    session_link_up(u->now->carrier.session, SLOT_EXPRESS, u->loop->now_us);
    return ERR_OK;
}

/* Memory may be there the next time; what else is wrong stays so. */
enum err uplink_session_bind(struct uplink *u)
{
    for (size_t i = 0; i < u->o.tunnel_count; i++) {
        struct tunnel *t = &u->o.tunnels[i];
        enum err error =
            t->is_over ? ERR_OK : tunnel_bind(t, u->now->carrier.session);

        if (error == ERR_NOMEM) {
            return error;
        }
        if (error != ERR_OK) {
            lose_tunnel(u, t, error, session_why(u->now->carrier.session));
        }
    }
    return ERR_OK;
}
