/*
 * What the session tells: streams for the local services, answers about the
 * tunnels, goodbyes. A relay that answers `new` has forgotten the session: its
 * exchanges end, and the tunnels are bound again.
 */
#include "client/uplink_private.h"

#include <stdio.h>

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
    if (u->carrier.session != NULL) {
        session_stats(u->carrier.session, &stats);
    }
    if (stats.streams == 0) {
        u->is_over = true;
        uplink_session_tell(u, UPLINK_DRAINED, NULL, ERR_OK, "");
    }
}

/* The session is of no more use: its exchanges end with it. */
void uplink_session_drop(struct uplink *u)
{
    link_close(u->carrier.links[UPLINK_SLOT], 0);
    u->carrier.links[UPLINK_SLOT] = NULL;
    local_set_abandon(&u->world.locals);
    if (u->carrier.session != NULL) {
        session_free(u->carrier.session);
        u->carrier.session = NULL;
    }
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
    u->is_left = true;
    LOG(LOG_INFO, "goaway", log_text("reason", error_name(event->code)),
        log_text("why", why));
    if (event->code == ERR_RENEW) {
        u->renew_us = loop_now(u->loop) + DRAIN_CLIENT_US;
        timer_set(u->look, u->loop->now_us);
    }
}

void uplink_session_event(void *owner, const struct session_event *event)
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
    uplink_session_check_drained(u);
}

void uplink_session_writable(void *owner, void *stream_owner, uint32_t stream)
{
    (void)owner;
    (void)stream;
    local_writable(stream_owner);
}

void uplink_session_pressure(void *owner)
{
    local_set_shed(&((struct uplink *)owner)->world.locals);
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
    struct session *s = u->carrier.session;

    if (m->is_resumed) {
        return session_link_resume(s, UPLINK_SLOT, m->received,
                                   u->loop->now_us);
    }
    uplink_session_drop(u);
    /* Another session numbers its visitors anew. */
    conn_pool_clear(u->world.pool);
    u->carrier.session = make_session(u, m);
    if (u->carrier.session == NULL) {
        return ERR_NOMEM;
    }
    session_link_up(u->carrier.session, UPLINK_SLOT, u->loop->now_us);
    return ERR_OK;
}

/* Memory may be there the next time; what else is wrong stays so. */
enum err uplink_session_bind(struct uplink *u)
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
