/*
 * Streams' events go to their exchanges; those of stream 0, the tunnels, are
 * handled here. A lost link ends the session for now: session_lost() is the
 * one place where it could be kept for a returning client instead.
 */
#include "relay/client_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "relay/exchange.h"
#include "relay/names.h"
#include "relay/relay_settings.h"
#include "relay/shed.h"
#include "relay/store.h"
#include "relay/worker.h"

#define GOODBYE_LINGER_US (2 * US_PER_S)

/* An answer about a tunnel that is lost would leave a client that believes the
 * wrong thing for ever: it logs in anew when its session ends. */
static const char unheard[] = "the client does not read its answers";

/* --- tunnels -------------------------------------------------------------*/

static struct tunnel *tunnel_of(struct client_session *s, uint16_t id)
{
    for (size_t i = 0; i < s->tunnel_count; i++) {
        if (s->tunnels[i].id == id) {
            return &s->tunnels[i];
        }
    }
    return NULL;
}

uint16_t client_session_tunnel(const struct client_session *s,
                               const char *label)
{
    for (size_t i = 0; i < s->tunnel_count; i++) {
        if (strcmp(s->tunnels[i].label, label) == 0) {
            return s->tunnels[i].id;
        }
    }
    return 0;
}

/* The tunnel |t| is no longer |s|'s. Its exchanges go on. */
static void drop_tunnel(struct client_session *s, struct tunnel *t)
{
    names_drop(s->worker->names, t->label, s);
    *t = s->tunnels[--s->tunnel_count];
}

/* End the exchanges of tunnel |id|, 0 for all. */
static void lose_exchanges(struct client_session *s, uint16_t id, enum err why)
{
    struct exchange *next;

    for (struct exchange *x = s->exchanges; x != NULL; x = next) {
        next = x->next;
        if (id == 0 || x->tunnel == id) {
            exchange_lost(x, why);
        }
    }
}

void client_session_unbind(struct client_session *s, const char *label,
                           enum err code, const char *sentence)
{
    struct frame_verdict v = { .tunnel = client_session_tunnel(s, label),
                               .code = code,
                               .sentence = span_text(sentence) };

    if (v.tunnel == 0) {
        return;
    }
    drop_tunnel(s, tunnel_of(s, v.tunnel));
    lose_exchanges(s, v.tunnel, code);
    if (session_unbound(s->carrier.session, &v) != ERR_OK) {
        client_session_end(s, ERR_LIMIT, unheard);
        return;
    }
    link_wake_carrier(&s->carrier);
}

static void refuse(struct client_session *s, const struct frame_bind *b,
                   enum err code, const char *sentence)
{
    struct frame_verdict v = { .tunnel = b->tunnel,
                               .code = code,
                               .sentence = span_text(sentence) };

    LOG(LOG_INFO, "bind-refused", log_u64("session", s->number),
        log_u64("tunnel", b->tunnel), log_span("name", b->name),
        log_text("reason", error_name(code)), log_text("why", sentence));
    if (session_refuse(s->carrier.session, &v) != ERR_OK) {
        client_session_end(s, ERR_LIMIT, unheard);
    }
}

/* Which label the client gets. What cannot be is refused here. */
static enum err choose_label(struct client_session *s,
                             const struct frame_bind *b,
                             char label[NAME_MAX_LEN + 1])
{
    struct worker *w = s->worker;
    struct store_bind want = { .wanted = b->name,
                               .names_max = (uint32_t)w->settings->names_max,
                               .now_s = clock_wall_s() };
    const char *why;
    enum err e;

    if (drain_is_told(w)) {
        refuse(s, b, ERR_SHUTDOWN, "the relay is shutting down");
        return ERR_SHUTDOWN;
    }
    if (s->tunnel_count == TUNNELS_MAX) {
        refuse(s, b, ERR_LIMIT, "a session may have 20 tunnels");
        return ERR_LIMIT;
    }
    if (b->name.len > 0 && hostname_check_label(b->name, &why) != ERR_OK) {
        refuse(s, b, ERR_NAME_BAD, why);
        return ERR_NAME_BAD;
    }
    memcpy(want.key, s->key, KEY_LEN);
    memcpy(want.tag, b->tag, TARGET_TAG_LEN);
    e = store_bind_name(w->store, &want, label);
    if (e == ERR_OK) {
        return ERR_OK;
    }
    if (e == ERR_STORE) {
        LOG(LOG_ERROR, "store-failed", log_text("why", store_why(w->store)));
    }
    refuse(s, b, error_is_wire(e) ? e : ERR_LIMIT, store_why(w->store));
    return e;
}

/* |before| had the name until now: another session of the same key, because a
 * name never goes to another key (design 3.1, 15). */
static void replace(struct client_session *s, struct client_session *before,
                    const char *label)
{
    char sentence[SENTENCE_MAX_LEN + 1];
    char peer[ADDRESS_TEXT_MAX];
    char time_text[32];
    time_t now = (time_t)clock_wall_s();
    struct tm utc;

    address_text(&s->peer, peer, sizeof(peer));
    (void)gmtime_r(&now, &utc);
    (void)strftime(time_text, sizeof(time_text), "%Y-%m-%d %H:%M:%S UTC", &utc);
    (void)snprintf(sentence, sizeof(sentence),
                   "another client with this key, at %s, took the name %s "
                   "over at %s",
                   peer, label, time_text);
    LOG(LOG_WARN, "name-taken-over", log_text("name", label),
        log_u64("session", s->number), log_text("peer", peer),
        log_u64("before", before->number));
    client_session_unbind(before, label, ERR_REPLACED, sentence);
}

/* Each BIND asks the store: a client has its tunnels' worth and some more at
 * once, and then one a second. */
static bool binds_too_fast(struct client_session *s)
{
    uint64_t now_us = loop_now(&s->worker->loop);

    if (s->binds_us < now_us) {
        s->binds_us = now_us;
    }
    s->binds_us += BIND_EACH_US;
    return s->binds_us > now_us + BIND_BURST * BIND_EACH_US;
}

static void take_bind(struct client_session *s, const struct frame_bind *b)
{
    struct worker *w = s->worker;
    struct names_holder mine = { .session = s, .tunnel = b->tunnel };
    struct names_holder before = { 0 };
    char label[NAME_MAX_LEN + 1];
    char url[URL_MAX_LEN + 1];

    if (binds_too_fast(s)) {
        client_session_end(s, ERR_LIMIT, "the client binds too fast");
        return;
    }
    if (choose_label(s, b, label) != ERR_OK) {
        return;
    }
    if (client_session_tunnel(s, label) != 0) {
        /* Without a wanted name the same target gives the same name. */
        refuse(s, b, ERR_NAME_TAKEN,
               b->name.len > 0
                   ? "this client serves that name already"
                   : "this client shares that target already: give the second "
                     "tunnel a name of its own");
        return;
    }
    if (names_claim(w->names, label, mine, &before) != ERR_OK) {
        refuse(s, b, ERR_NOMEM, "the relay has no memory left");
        return;
    }
    if (before.session != NULL) {
        replace(s, before.session, label);
    }
    s->tunnels[s->tunnel_count].id = b->tunnel;
    memcpy(s->tunnels[s->tunnel_count].label, label, sizeof(label));
    s->tunnel_count++;
    relay_settings_url(w->settings, label, url, sizeof(url));
    LOG(LOG_INFO, "bound", log_u64("session", s->number),
        log_u64("tunnel", b->tunnel), log_text("name", label));
    if (session_bound(s->carrier.session, b->tunnel, span_text(url)) !=
        ERR_OK) {
        client_session_end(s, ERR_LIMIT, unheard);
    }
}

static void take_unbind(struct client_session *s, uint16_t id)
{
    struct tunnel *t = tunnel_of(s, id);

    if (t == NULL) {
        return;
    }
    LOG(LOG_INFO, "unbound", log_u64("session", s->number),
        log_u64("tunnel", id), log_text("name", t->label));
    drop_tunnel(s, t);
}

/* The client leaves: no new visitors, what is under way may finish. */
static void take_goaway(struct client_session *s,
                        const struct session_event *event)
{
    if (s->is_leaving) {
        return; /* said once is enough */
    }
    s->is_leaving = true;
    LOG(LOG_INFO, "client-leaves", log_u64("session", s->number),
        log_text("reason", error_name(event->code)),
        log_span("why", event->bytes));
    while (s->tunnel_count > 0) {
        drop_tunnel(s, &s->tunnels[0]);
    }
}

/* --- end -----------------------------------------------------------------*/

static void on_free_later(struct flush *f)
{
    struct client_session *s =
        container_of(f, struct client_session, free_later);
    struct worker *w = s->worker;

    session_free(s->carrier.session);
    free(s);
    drain_look(w);
}

/*
 * Nobody finds |s| any more. It is freed at the end of the tick: this may be
 * called from deep within one of its own events.
 */
static void retire(struct client_session *s, enum err code, uint64_t linger_us)
{
    struct worker *w = s->worker;

    assert(!s->is_over);
    s->is_over = true;
    /* First: the end of an exchange may be that of the worker, which ends
     * what is still in its list. */
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        w->sessions = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    while (s->tunnel_count > 0) {
        drop_tunnel(s, &s->tunnels[0]);
    }
    lose_exchanges(s, 0, code);
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        link_close(s->carrier.links[i], linger_us);
        s->carrier.links[i] = NULL;
    }
    loop_flush_later(&w->loop, &s->free_later);
}

void client_session_end(struct client_session *s, enum err code,
                        const char *sentence)
{
    if (s->is_over) {
        return;
    }
    LOG(LOG_INFO, "session-ended", log_u64("session", s->number),
        log_text("reason", error_name(code)), log_text("why", sentence));
    if (session_goaway(s->carrier.session, code, span_text(sentence)) !=
        ERR_OK) {
        LOG(LOG_DEBUG, "goaway-not-sent", log_u64("session", s->number));
    }
    retire(s, code, GOODBYE_LINGER_US);
}

/*
 * The last link is gone, the session with its streams and positions is whole.
 * Every login is answered `new` for now, so nobody can come back for it.
 */
static void session_lost(struct client_session *s)
{
    retire(s, ERR_EXPIRED, 0);
}

/* --- what the link tells -------------------------------------------------*/

static void on_link_event(void *owner, const struct session_event *event)
{
    struct client_session *s = owner;

    switch (event->kind) {
    case EVENT_HEAD:
    case EVENT_DATA:
    case EVENT_RESET:
    case EVENT_STOP:
        if (event->owner != NULL) {
            exchange_event(event->owner, event);
        }
        break;
    case EVENT_BIND:
        take_bind(s, &event->bind);
        break;
    case EVENT_UNBIND:
        take_unbind(s, event->tunnel);
        break;
    case EVENT_GOAWAY:
        take_goaway(s, event);
        break;
    case EVENT_NONE:
    case EVENT_OPEN:
    case EVENT_BOUND:
    case EVENT_REFUSED:
    case EVENT_UNBOUND:
    case EVENT_NEXT_KEY:
        /* The session lets none of these come from a client. */
        assert(!"an event that only a client gets");
        break;
    }
}

static void on_link_writable(void *owner, void *stream_owner, uint32_t stream)
{
    (void)owner;
    (void)stream;
    exchange_writable(stream_owner);
}

static void on_link_pressure(void *owner)
{
    shed_relieve(owner);
}

static void on_link_end(void *owner, enum link_end how, enum err error,
                        const char *why)
{
    struct client_session *s = owner;
    char peer[ADDRESS_TEXT_MAX];

    address_text(&s->peer, peer, sizeof(peer));
    LOG(how == LINK_LOST ? LOG_INFO : LOG_WARN,
        how == LINK_LOST ? "link-lost" : "session-failed",
        log_u64("session", s->number), log_text("peer", peer),
        log_text("reason", error_name(error)), log_text("why", why));
    session_lost(s);
}

/* --- begin ---------------------------------------------------------------*/

enum err client_session_start(struct worker *w, struct conn *c,
                              const struct client_session_start *start)
{
    struct session_options o = { .role = SESSION_RELAY,
                                 .own = start->own,
                                 .peer = start->peer,
                                 .receive_pool = &w->receive_pool,
                                 .sent_pool = &w->sent_pool,
                                 .receive_max = RECEIVE_POOL_SESSION };
    struct client_session *s = calloc(1, sizeof(*s));
    struct link_handler handler = { on_link_event, on_link_writable,
                                    on_link_end, on_link_pressure, s };
    char peer[ADDRESS_TEXT_MAX];
    char key[KEY_TEXT_LEN];

    if (s == NULL) {
        return ERR_NOMEM;
    }
    memcpy(o.id, start->id, SESSION_ID_LEN);
    s->carrier.session = session_new(&o, loop_now(&w->loop));
    if (s->carrier.session == NULL) {
        goto fail;
    }
    s->worker = w;
    s->free_later.run = on_free_later;
    memcpy(s->key, start->key, KEY_LEN);
    s->peer = start->address;
    s->since_s = clock_wall_s();
    s->number = ++w->next_session;
    s->carrier.links[0] = link_open_adopt(c, s->carrier.session, 0, &handler);
    if (s->carrier.links[0] == NULL) {
        goto fail;
    }
    s->next = w->sessions;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    w->sessions = s;
    address_text(&s->peer, peer, sizeof(peer));
    keys_to_text(s->key, KEY_LEN, key, sizeof(key));
    LOG(LOG_INFO, "link-up", log_u64("session", s->number),
        log_text("peer", peer), log_text("key", key));
    return ERR_OK;

fail:
    session_free(s->carrier.session);
    free(s);
    return ERR_NOMEM;
}

struct client_session *client_session_find(struct worker *w, uint64_t number)
{
    for (struct client_session *s = w->sessions; s != NULL; s = s->next) {
        if (s->number == number) {
            return s;
        }
    }
    return NULL;
}
