/*
 * Opening everything in the order in which it is needed, the worker's own
 * timers and signals, and what the operator asks.
 */
#include "relay/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/folders.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/platform.h"
#include "common/signals.h"
#include "relay/admin.h"
#include "relay/certs.h"
#include "relay/client_session.h"
#include "relay/edge.h"
#include "relay/local_ca.h"
#include "relay/names.h"
#include "relay/quota.h"
#include "relay/relay_sandbox.h"
#include "relay/relay_settings.h"
#include "relay/store.h"

#define LOCAL_CA_LOOK_US (24 * 3600 * US_PER_S)

enum err worker_identity(const char *state, struct key_pair *out,
                         const char **why)
{
    char path[FOLDERS_PATH_MAX];
    enum err e;

    *why = "the path is too long";
    TRY(folders_join(state, WORKER_IDENTITY_FILE, path, sizeof(path)));
    e = keys_load(path, out, why);
    if (e != ERR_ABSENT) {
        return e;
    }
    keys_make(out);
    return keys_store(path, out, why);
}

uint32_t worker_visitor_id(struct worker *w)
{
    /* Four thousand million connections later the old one is gone. */
    w->next_visitor++;
    if (w->next_visitor == 0) {
        w->next_visitor = 1;
    }
    return w->next_visitor;
}

/* --- the operator --------------------------------------------------------*/

static void count_stream(void *owner, uint32_t stream, void *arg)
{
    (void)owner;
    (void)stream;
    (*(uint32_t *)arg)++;
}

static bool admin_session_at(void *owner, size_t index,
                             struct admin_session *out)
{
    struct worker *w = owner;
    struct client_session *s = w->sessions;
    struct session_stats stats;
    struct link_quality quality;
    struct store_key key;
    size_t used = 0;

    while (s != NULL && index-- > 0) {
        s = s->next;
    }
    if (s == NULL) {
        return false;
    }
    session_stats(s->carrier.session, &stats);
    link_quality_measure(&quality, &s->carrier);
    *out = (struct admin_session){ .id = s->number,
                                   .since_s = s->since_s,
                                   .is_parked =
                                       s->carrier.links[SLOT_EXPRESS] == NULL,
                                   .is_full = s->is_full,
                                   .exchanges = stats.opened,
                                   .rtt_us = quality.rtt_us,
                                   .jitter_us = quality.jitter_us,
                                   .waiting = quality.waiting_bytes,
                                   .resumes = s->resumes };
    session_each_stream(s->carrier.session, 0, count_stream, &out->streams);
    memcpy(out->key, s->key, KEY_LEN);
    if (store_key(w->store, s->key, &key) == ERR_OK) {
        memcpy(out->key_name, key.name, sizeof(out->key_name));
    }
    address_text(&s->peers[SLOT_EXPRESS], out->peer, sizeof(out->peer));
    for (size_t i = 0; i < s->tunnel_count; i++) {
        int len = snprintf(out->names + used, sizeof(out->names) - used, "%s%s",
                           i > 0 ? " " : "", s->tunnels[i].label);

        if (len < 0 || (size_t)len >= sizeof(out->names) - used) {
            break;
        }
        used += (size_t)len;
    }
    return true;
}

static void admin_session_end(void *owner, uint64_t id, enum err reason)
{
    struct client_session *s = client_session_find(owner, id);

    if (s != NULL) {
        client_session_end(s, reason,
                           reason == ERR_REVOKED
                               ? "the relay's operator revoked this key"
                               : "the relay's operator ended this session");
    }
}

/* --- timers and signals --------------------------------------------------*/

static void ensure_local_ca(struct worker *w)
{
    struct local_ca ca;

    if (w->settings->local_ca &&
        local_ca_ensure(w->settings->state, w->settings->domain, clock_wall_s(),
                        &ca) != ERR_OK) {
        LOG(LOG_ERROR, "local-ca-failed", log_text("why", ca.why));
    }
}

static void on_refresh(void *owner)
{
    struct worker *w = owner;
    uint64_t now_us = loop_now(&w->loop);

    if (now_us - w->local_ca_us > LOCAL_CA_LOOK_US) {
        w->local_ca_us = now_us;
        ensure_local_ca(w);
    }
    certs_refresh(w->certs);
    memory_return(&w->receive_pool, &w->sent_pool);
    timer_set(w->refresh, now_us + CERTS_POLL_US);
}

static void on_signal(enum signals_event event, void *owner)
{
    struct worker *w = owner;

    switch (event) {
    case SIGNALS_DRAIN:
    case SIGNALS_QUIT:
        drain_start(w);
        break;
    case SIGNALS_RELOAD:
        LOG(LOG_INFO, "reload", log_text("what", "certificates"));
        certs_refresh(w->certs);
        break;
    }
}

/* --- opening -------------------------------------------------------------*/

/* A sentence for whoever starts the relay. */
static enum err say(enum err e, const char *what, const char *name,
                    const char *why)
{
    (void)fprintf(stderr, "sallyport-relay: %s%s%s: %s\n", what,
                  name[0] != '\0' ? " " : "", name, why);
    return e;
}

static enum err open_state(struct worker *w)
{
    const char *state = w->settings->state;
    const char *why = error_text(ERR_NOMEM);

    if (folders_make(state, &why) != ERR_OK) {
        return say(ERR_FILE, "cannot use the state folder", state, why);
    }
    w->store = store_new();
    if (w->store == NULL) {
        return say(ERR_NOMEM, "cannot start", "", why);
    }
    if (store_open(w->store, state) != ERR_OK) {
        return say(ERR_STORE, "cannot open the store in", state,
                   store_why(w->store));
    }
    if (worker_identity(state, &w->identity, &why) != ERR_OK) {
        return say(ERR_FILE, "cannot use the relay's key in", state, why);
    }
    return ERR_OK;
}

static enum err open_certs(struct worker *w)
{
    const struct relay_settings *s = w->settings;
    const char *folders[CERTS_FOLDERS_MAX] = { s->certs, "" };
    struct local_ca ca = { 0 };

    if (s->local_ca) {
        if (local_ca_ensure(s->state, s->domain, clock_wall_s(), &ca) !=
            ERR_OK) {
            return say(ERR_FILE, "cannot make the local certificates", "",
                       ca.why);
        }
        w->local_ca_us = w->loop.now_us;
        folders[1] = ca.folder;
        if (!ca.is_new_ca) {
            LOG(LOG_INFO, "local-ca", log_text("file", ca.ca_file));
        }
    }
    w->certs = certs_new(folders, CERTS_FOLDERS_MAX);
    if (w->certs == NULL ||
        tls_context_link_server(&w->link_context) != ERR_OK) {
        return say(ERR_NOMEM, "cannot start", "", error_text(ERR_NOMEM));
    }
    certs_refresh(w->certs);
    if (certs_count(w->certs) == 0) {
        LOG(LOG_ERROR, "no-certificates",
            log_text("why", "no visitor can connect; put a pair into the "
                            "certs folder or set local-ca"));
    }
    return ERR_OK;
}

static enum err open_tables(struct worker *w)
{
    const struct relay_settings *s = w->settings;
    struct quota_limits limits = { .connections = s->address_connections,
                                   .handshakes = s->address_handshakes,
                                   .rate = s->address_rate,
                                   .burst = s->address_burst };

    pool_init(&w->receive_pool, NULL, uv_get_total_memory() / 4);
    pool_init(&w->sent_pool, NULL, SENT_LOG_RELAY);
    w->scratch = malloc(HEAD_MAX);
    w->names = names_new();
    w->quota = quota_new(&limits);
    w->refresh = timer_new(&w->loop, on_refresh, w);
    w->signals = signals_open(&w->loop, on_signal, w);
    if (w->scratch == NULL || w->names == NULL || w->quota == NULL ||
        w->refresh == NULL || w->signals == NULL || drain_init(w) != ERR_OK ||
        turnstile_init(&w->turnstile, &w->loop, edge_let_in, w) != ERR_OK) {
        return say(ERR_NOMEM, "cannot start", "", error_text(ERR_NOMEM));
    }
    timer_set(w->refresh, w->loop.now_us + CERTS_POLL_US);
    return ERR_OK;
}

static enum err open_all(struct worker *w, struct activation *passed)
{
    struct admin_handler handler = { .session_at = admin_session_at,
                                     .session_end = admin_session_end,
                                     .owner = w };
    const char *why = "";

    TRY(open_state(w));
    TRY(open_certs(w));
    TRY(open_tables(w));
    if (admin_open(&w->loop, w->settings->state, &handler, &w->admin, &why) !=
        ERR_OK) {
        return say(ERR_IO, "cannot open the admin socket in",
                   w->settings->state, why);
    }
    if (passed->count > 0 && returning_begin(w) != ERR_OK) {
        return say(ERR_NOMEM, "cannot start", "", error_text(ERR_NOMEM));
    }
    return doors_open(w, passed);
}

static void free_all(struct worker *w)
{
    assert(w->receive_pool.used == 0 && w->sent_pool.used == 0);
    tls_context_free(w->link_context);
    certs_free(w->certs);
    names_free(w->names);
    returning_deinit(w);
    quota_free(w->quota);
    store_free(w->store);
    free(w->scratch);
    keys_wipe(&w->identity, sizeof(w->identity));
}

int worker_run(const struct relay_settings *settings, struct activation *passed,
               struct keeper *keeper)
{
    struct worker w = { .settings = settings, .keeper = keeper };
    char key[KEY_TEXT_LEN];
    enum err e;

    if (loop_open(&w.loop) != ERR_OK) {
        return say(ERR_IO, "cannot start", "", "no event loop"), 1;
    }
    /* Each visitor costs one. */
    platform_raise_descriptors();
    LOG(LOG_DEBUG, "descriptors", log_u64("limit", platform_descriptors()));
    e = open_all(&w, passed);
    if (e == ERR_OK) {
        relay_sandbox_enter(settings);
        keys_to_text(w.identity.public_key, KEY_LEN, key, sizeof(key));
        LOG(LOG_INFO, "relay-up", log_text("domain", settings->domain),
            log_text("key", key));
    } else {
        drain_end(&w);
    }
    loop_run(&w.loop);
    loop_close(&w.loop);
    free_all(&w);
    if (e != ERR_OK) {
        return 1;
    }
    LOG(LOG_INFO, "relay-ended", log_text("domain", settings->domain));
    return 0;
}
