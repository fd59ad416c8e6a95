/*
 * Opening everything in the order in which it is needed, the worker's own
 * timers and signals, and the end: a drain that is over when the last
 * connection is.
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
#include "relay/edge_h1.h"
#include "relay/local_ca.h"
#include "relay/login.h"
#include "relay/names.h"
#include "relay/quota.h"
#include "relay/redirect.h"
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
    struct store_key key;
    size_t used = 0;

    while (s != NULL && index-- > 0) {
        s = s->next;
    }
    if (s == NULL) {
        return false;
    }
    session_stats(s->carrier.session, &stats);
    *out = (struct admin_session){ .id = s->number,
                                   .since_s = s->since_s,
                                   .is_parked = s->carrier.links[0] == NULL,
                                   .exchanges = stats.opened };
    session_each_stream(s->carrier.session, 0, count_stream, &out->streams);
    memcpy(out->key, s->key, KEY_LEN);
    if (store_key(w->store, s->key, &key) == ERR_OK) {
        memcpy(out->key_name, key.name, sizeof(out->key_name));
    }
    address_text(&s->peer, out->peer, sizeof(out->peer));
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

static void close_doors(struct worker *w)
{
    for (size_t i = 0; i < w->listener_count; i++) {
        listener_close(w->listeners[i]);
    }
    for (size_t i = 0; i < w->redirect_count; i++) {
        listener_close(w->redirects[i]);
    }
    w->listener_count = 0;
    w->redirect_count = 0;
}

/* What keeps the loop alive goes: it ends. */
static void end_now(struct worker *w)
{
    w->is_ended = true;
    close_doors(w);
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
    timer_close(w->drain);
    w->admin = NULL;
    w->signals = NULL;
    w->refresh = NULL;
    w->drain = NULL;
}

void worker_look_at_end(struct worker *w)
{
    if (w->is_draining && !w->is_ended && w->arrivals == NULL &&
        w->logins == NULL && w->redirecting == NULL && w->visitors == NULL) {
        LOG(LOG_INFO, "drained", log_text("domain", w->settings->domain));
        end_now(w);
    }
}

static void on_drain_late(void *owner)
{
    LOG(LOG_WARN, "drain-over", log_text("why", "cutting what still goes on"));
    end_now(owner);
}

void worker_stop(struct worker *w)
{
    static const char goodbye[] = "the relay is shutting down";

    if (w->is_ended) {
        return;
    }
    if (w->is_draining) {
        end_now(w);
        return;
    }
    LOG(LOG_INFO, "draining", log_u64("limit_s", DRAIN_RELAY_US / US_PER_S));
    w->is_draining = true;
    close_doors(w);
    for (struct client_session *s = w->sessions; s != NULL; s = s->next) {
        if (session_goaway(s->carrier.session, ERR_SHUTDOWN,
                           span_text(goodbye)) == ERR_OK) {
            link_wake_carrier(&s->carrier);
        }
    }
    timer_set(w->drain, loop_now(&w->loop) + DRAIN_RELAY_US);
    edge_close_all(w);
    login_close_all(w);
    redirect_close_all(w);
    edge_h1_drain(w);
    worker_look_at_end(w);
}

static void on_signal(enum signals_event event, void *owner)
{
    struct worker *w = owner;

    switch (event) {
    case SIGNALS_DRAIN:
    case SIGNALS_QUIT:
        worker_stop(w);
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
    w->drain = timer_new(&w->loop, on_drain_late, w);
    w->signals = signals_open(&w->loop, on_signal, w);
    if (w->scratch == NULL || w->names == NULL || w->quota == NULL ||
        w->refresh == NULL || w->drain == NULL || w->signals == NULL ||
        turnstile_init(&w->turnstile, &w->loop, edge_let_in, w) != ERR_OK) {
        return say(ERR_NOMEM, "cannot start", "", error_text(ERR_NOMEM));
    }
    timer_set(w->refresh, w->loop.now_us + CERTS_POLL_US);
    return ERR_OK;
}

/* A machine without IPv6 is no error as long as there is another address. */
static bool may_be_absent(const struct sockaddr_storage *at)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;

    return at->ss_family == AF_INET6 &&
           memcmp(&v6->sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0;
}

static enum err open_door(struct worker *w, const char *text, listener_fn *fn,
                          struct listener **out)
{
    struct sockaddr_storage at;
    char bound[ADDRESS_TEXT_MAX];
    const char *why = "not an address and port";
    enum err e = address_parse(text, &at);

    if (e == ERR_OK) {
        e = listener_open(&w->loop, (struct sockaddr *)&at, fn, w, out, &why);
    }
    if (e == ERR_ABSENT && may_be_absent(&at)) {
        LOG(LOG_WARN, "not-listening", log_text("on", text),
            log_text("why", why));
        return ERR_OK;
    }
    if (e != ERR_OK) {
        (void)say(ERR_IO, "cannot listen on", text, why);
        (void)fprintf(stderr,
                      "End what uses the port (`ss -ltnp` shows it), or choose "
                      "another one with --%s.\nBelow 1024 only root and the "
                      "unit may listen.\n",
                      fn == edge_accept ? "listen" : "redirect-listen");
        return ERR_IO;
    }
    listener_name(*out, &at);
    address_text(&at, bound, sizeof(bound));
    LOG(LOG_INFO, "listening", log_text("on", bound),
        log_text("for",
                 fn == edge_accept ? "visitors and clients" : "redirects"));
    return ERR_OK;
}

static enum err open_doors(struct worker *w)
{
    const struct setting_list *listen = &w->settings->listen;
    const struct setting_list *plain = &w->settings->redirect_listen;

    if (listen->count > WORKER_LISTENERS_MAX ||
        plain->count > WORKER_LISTENERS_MAX) {
        return say(ERR_LIMIT, "cannot listen", "",
                   "more than 8 addresses are given");
    }
    for (size_t i = 0; i < listen->count; i++) {
        TRY(open_door(w, listen->items[i], edge_accept,
                      &w->listeners[w->listener_count]));
        w->listener_count += w->listeners[w->listener_count] != NULL;
    }
    if (w->listener_count == 0) {
        return say(ERR_IO, "cannot listen", "", "no address is left");
    }
    for (size_t i = 0; i < plain->count; i++) {
        TRY(open_door(w, plain->items[i], redirect_accept,
                      &w->redirects[w->redirect_count]));
        w->redirect_count += w->redirects[w->redirect_count] != NULL;
    }
    return ERR_OK;
}

static enum err open_all(struct worker *w)
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
    return open_doors(w);
}

static void free_all(struct worker *w)
{
    assert(w->receive_pool.used == 0 && w->sent_pool.used == 0);
    tls_context_free(w->link_context);
    certs_free(w->certs);
    names_free(w->names);
    quota_free(w->quota);
    store_free(w->store);
    free(w->scratch);
    keys_wipe(&w->identity, sizeof(w->identity));
}

int worker_run(const struct relay_settings *settings)
{
    struct worker w = { .settings = settings };
    char key[KEY_TEXT_LEN];
    enum err e;

    if (loop_open(&w.loop) != ERR_OK) {
        return say(ERR_IO, "cannot start", "", "no event loop"), 1;
    }
    /* Each visitor costs one. */
    platform_raise_descriptors();
    LOG(LOG_DEBUG, "descriptors", log_u64("limit", platform_descriptors()));
    e = open_all(&w);
    if (e == ERR_OK) {
        relay_sandbox_enter(settings);
        keys_to_text(w.identity.public_key, KEY_LEN, key, sizeof(key));
        LOG(LOG_INFO, "relay-up", log_text("domain", settings->domain),
            log_text("key", key));
    } else {
        end_now(&w);
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
