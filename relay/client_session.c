/*
 * Streams' events go to their exchanges; those of stream 0, the tunnels, are
 * handled here and by bind. A session whose link is lost is parked, until its
 * client comes back for it or the grace is over.
 */
#include "relay/client_session.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "relay/bind.h"
#include "relay/exchange.h"
#include "relay/names.h"
#include "relay/relay_settings.h"
#include "relay/shed.h"
#include "relay/worker.h"

#define GOODBYE_LINGER_US (2 * US_PER_S)

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
        client_session_end(s, ERR_LIMIT, CLIENT_SESSION_UNHEARD);
        return;
    }
    link_wake_carrier(&s->carrier);
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
    parked_deinit(s);
    link_quality_watch_free(s->quality);
    bulk_link_deinit(s);
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
    timer_stop(s->parked.timer);
    timer_stop(s->bulk.timer);
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
 * The link is gone, the session with its streams and positions is whole: it
 * waits for its client, unless that said goodbye or has nothing here.
 */
static void session_lost(struct client_session *s)
{
    struct worker *w = s->worker;

    if (s->is_leaving || drain_is_told(w) || w->settings->grace_us == 0 ||
        (s->tunnel_count == 0 && s->exchanges == NULL)) {
        retire(s, ERR_EXPIRED, 0);
        return;
    }
    link_close(s->carrier.links[SLOT_EXPRESS], 0);
    s->carrier.links[SLOT_EXPRESS] = NULL;
    parked_begin(s, w->settings->grace_us);
    LOG(LOG_INFO, "session-parked", log_u64("session", s->number),
        log_u64("grace_s", w->settings->grace_us / US_PER_S));
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
        bind_take(s, &event->bind);
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

static void link_over(struct client_session *s, unsigned slot,
                      enum link_end how, enum err error, const char *why)
{
    struct link_quality q;
    char peer[ADDRESS_TEXT_MAX];

    link_quality_measure(&q, &s->carrier);
    address_text(&s->peers[slot], peer, sizeof(peer));
    LOG(how == LINK_LOST ? LOG_INFO : LOG_WARN,
        how == LINK_LOST ? "link-lost" : "session-failed",
        log_u64("session", s->number), log_u64("slot", slot),
        log_text("peer", peer), log_text("reason", error_name(error)),
        log_text("why", why), log_u64("rtt_ms", q.rtt_us / US_PER_MS),
        log_u64("jitter_ms", q.jitter_us / US_PER_MS),
        log_u64("waiting", q.waiting_bytes));
    if (how == LINK_FAILED) {
        retire(s, error, 0);
    } else if (slot == SLOT_BULK) {
        bulk_link_lost(s);
    } else {
        session_lost(s);
    }
}

static void on_express_end(void *owner, enum link_end how, enum err error,
                           const char *why)
{
    link_over(owner, SLOT_EXPRESS, how, error, why);
}

static void on_bulk_end(void *owner, enum link_end how, enum err error,
                        const char *why)
{
    link_over(owner, SLOT_BULK, how, error, why);
}

/* The way to the client is full, or has room again. */
static void on_quality(void *owner, const struct link_quality *q)
{
    struct client_session *s = owner;

    if (s->is_over || q->is_full == s->is_full) {
        return;
    }
    s->is_full = q->is_full;
    LOG(LOG_INFO, q->is_full ? "link-full" : "link-free",
        log_u64("session", s->number), log_u64("waiting", q->waiting_bytes),
        log_u64("rtt_ms", q->rtt_us / US_PER_MS),
        log_u64("jitter_ms", q->jitter_us / US_PER_MS),
        log_u64("resumes", s->resumes));
}

/* --- begin ---------------------------------------------------------------*/

enum err client_session_link(struct client_session *s, unsigned slot,
                             struct conn *c, const char *event)
{
    struct link_handler handler = { .on_event = on_link_event,
                                    .on_writable = on_link_writable,
                                    .on_end = slot == SLOT_BULK
                                                  ? on_bulk_end
                                                  : on_express_end,
                                    .on_pressure = on_link_pressure,
                                    .owner = s };
    char peer[ADDRESS_TEXT_MAX];
    char key[KEY_TEXT_LEN];

    s->carrier.links[slot] =
        link_open_adopt(c, s->carrier.session, slot, &handler);
    if (s->carrier.links[slot] == NULL) {
        return ERR_NOMEM;
    }
    address_text(&s->peers[slot], peer, sizeof(peer));
    keys_to_text(s->key, KEY_LEN, key, sizeof(key));
    LOG(LOG_INFO, event, log_u64("session", s->number), log_text("peer", peer),
        log_text("key", key), log_u64("resumes", s->resumes));
    return ERR_OK;
}

enum err client_session_start(struct worker *w, struct conn *c,
                              const struct client_session_start *start)
{
    struct session_options o = { .role = SESSION_RELAY,
                                 .own = start->own,
                                 .peer = start->peer,
                                 .epoch = start->epoch,
                                 .receive_pool = &w->receive_pool,
                                 .sent_pool = &w->sent_pool,
                                 .receive_max = RECEIVE_POOL_SESSION };
    struct client_session *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return ERR_NOMEM;
    }
    s->worker = w;
    memcpy(o.id, start->id, SESSION_ID_LEN);
    s->carrier.session = session_new(&o, loop_now(&w->loop));
    s->quality = link_quality_watch_new(&w->loop, &s->carrier, on_quality, s);
    if (s->carrier.session == NULL || s->quality == NULL ||
        parked_init(s) != ERR_OK || bulk_link_init(s) != ERR_OK) {
        goto fail;
    }
    s->free_later.run = on_free_later;
    memcpy(s->key, start->key, KEY_LEN);
    s->peers[SLOT_EXPRESS] = start->address;
    s->since_s = clock_wall_s();
    s->number = ++w->next_session;
    session_link_up(s->carrier.session, SLOT_EXPRESS, w->loop.now_us);
    if (client_session_link(s, SLOT_EXPRESS, c, "link-up") != ERR_OK) {
        goto fail;
    }
    s->next = w->sessions;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    w->sessions = s;
    return ERR_OK;

fail:
    parked_deinit(s);
    link_quality_watch_free(s->quality);
    bulk_link_deinit(s);
    session_free(s->carrier.session);
    free(s);
    return ERR_NOMEM;
}

struct client_session *
client_session_resumable(struct worker *w, const uint8_t id[SESSION_ID_LEN],
                         const uint8_t key[KEY_LEN])
{
    for (struct client_session *s = w->sessions; s != NULL; s = s->next) {
        if (memcmp(session_id(s->carrier.session), id, SESSION_ID_LEN) == 0) {
            return memcmp(s->key, key, KEY_LEN) == 0 && !s->is_leaving ? s
                                                                       : NULL;
        }
    }
    return NULL;
}

void client_session_fence(struct client_session *s, uint32_t epoch,
                          const struct sockaddr_storage *peer)
{
    s->peers[SLOT_EXPRESS] = *peer;
    if (s->carrier.links[SLOT_EXPRESS] != NULL) {
        LOG(LOG_INFO, "link-fenced", log_u64("session", s->number),
            log_u64("slot", SLOT_EXPRESS));
        link_close(s->carrier.links[SLOT_EXPRESS], 0);
        s->carrier.links[SLOT_EXPRESS] = NULL;
        parked_begin(s, s->worker->settings->grace_us);
    }
    session_fence(s->carrier.session, SLOT_EXPRESS, epoch,
                  loop_now(&s->worker->loop));
}

enum err client_session_resume(struct client_session *s, struct conn *c,
                               uint64_t received)
{
    struct session *session = s->carrier.session;
    uint64_t now_us = loop_now(&s->worker->loop);
    enum err e = session_link_resume(session, SLOT_EXPRESS, received, now_us);

    if (e == ERR_OK) {
        s->resumes++;
        e = client_session_link(s, SLOT_EXPRESS, c, "link-resumed");
        if (e != ERR_OK) {
            session_link_lost(session, SLOT_EXPRESS, now_us);
        }
    }
    if (e == ERR_OK) {
        parked_end(s);
    }
    return e;
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
