/*
 * Which name a tunnel gets, and from whom: limits, the store, and a session of
 * the same key that had the name before.
 */
#include "relay/bind.h"

#include <stdio.h>
#include <time.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/log.h"
#include "relay/client_session.h"
#include "relay/names.h"
#include "relay/relay_settings.h"
#include "relay/store.h"
#include "relay/worker.h"

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
        client_session_end(s, ERR_LIMIT, CLIENT_SESSION_UNHEARD);
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

    address_text(&s->peers[SLOT_EXPRESS], peer, sizeof(peer));
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

void bind_take(struct client_session *s, const struct frame_bind *b)
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
        /* Not REFUSED, which is for good: the client comes back and asks. */
        client_session_end(s, ERR_NOMEM, "the relay has no memory left");
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
        client_session_end(s, ERR_LIMIT, CLIENT_SESSION_UNHEARD);
        return;
    }
    returning_came(w, label);
}
