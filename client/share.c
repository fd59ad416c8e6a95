/*
 * Puts the client together: identity, tunnels, uplink, screen, probes,
 * signals, on one loop.
 */
#include "client/share.h"

#include <errno.h>
#include <stdio.h>

#include "client/client_sandbox.h"
#include "client/exit_code.h"
#include "client/screen.h"
#include "common/log.h"
#include "common/platform.h"
#include "common/signals.h"
#include "proto/hostname.h"

struct share;

/* A probe tells which tunnel it looked at. */
struct watched {
    struct share *share;
    struct tunnel *tunnel;
    struct probe *probe;
};

struct share {
    struct loop loop;
    const struct client_settings *settings;
    struct identity identity;
    struct tls_context *tls; /* https targets */
    struct tunnel tunnels[TUNNELS_MAX];
    struct watched watched[TUNNELS_MAX];
    size_t tunnel_count;
    struct screen screen;
    struct uplink *uplink;
    struct signals *signals;
    int code;
    bool is_over;
};

static int say(int code, const char *what, const char *why)
{
    fprintf(stderr, "sallyport: %s%s%s\n", what, why[0] == '\0' ? "" : ": ",
            why);
    return code;
}

static void stop_probes(struct share *s)
{
    for (size_t i = 0; i < s->tunnel_count; i++) {
        probe_free(s->watched[i].probe);
        s->watched[i].probe = NULL;
    }
}

/* It is over, from within the loop. */
static void stop(struct share *s, int code)
{
    if (s->is_over) {
        return;
    }
    s->is_over = true;
    s->code = code;
    stop_probes(s);
    loop_stop(&s->loop);
}

/* A tunnel is over; when it was the last one, so are we. */
static void check_left(struct share *s, const struct uplink_news *news)
{
    for (size_t i = 0; i < s->tunnel_count; i++) {
        if (!s->tunnels[i].is_over) {
            return;
        }
    }
    stop(s, news->event == UPLINK_REPLACED ? EXIT_REPLACED
                                           : exit_code_of(news->error));
}

static void on_news(void *owner, const struct uplink_news *news)
{
    struct share *s = owner;

    screen_news(&s->screen, news);
    switch (news->event) {
    case UPLINK_REFUSED:
    case UPLINK_REPLACED:
        check_left(s, news);
        break;
    case UPLINK_DENIED:
        stop(s, exit_code_of(news->error));
        break;
    case UPLINK_DRAINED:
        stop(s, EXIT_OK);
        break;
    case UPLINK_UP:
    case UPLINK_URL:
    case UPLINK_LOST:
    case UPLINK_RETRY:
        break;
    }
}

static void on_exchange(void *owner, const struct local_report *report)
{
    struct share *s = owner;
    const char *url = "";

    if (s->is_over) {
        return;
    }
    for (size_t i = 0; i < s->tunnel_count; i++) {
        if (s->tunnels[i].id == report->tunnel) {
            url = s->tunnels[i].url;
        }
    }
    screen_exchange(&s->screen, report, url);
}

static void on_quality(void *owner, const struct link_quality *q,
                       uint32_t resumes)
{
    struct share *s = owner;

    if (!s->is_over) {
        screen_quality(&s->screen, q, resumes);
    }
}

static void on_finding(void *owner, enum probe_finding finding, const char *why)
{
    struct watched *w = owner;

    screen_finding(&w->share->screen, finding, &w->tunnel->local.target, why);
}

static void on_signal(enum signals_event event, void *owner)
{
    struct share *s = owner;

    switch (event) {
    case SIGNALS_DRAIN:
        screen_state(&s->screen, "draining",
                     "finishing what is under way (once more to quit)");
        uplink_drain(s->uplink);
        break;
    case SIGNALS_QUIT:
        stop(s, EXIT_OK);
        break;
    case SIGNALS_RELOAD:
        break;
    }
}

static int make_tunnel(struct share *s, const struct tunnel_settings *from)
{
    struct tunnel *t = &s->tunnels[s->tunnel_count];
    char what[sizeof(from->key) + sizeof(from->target) + 20];
    const char *why = "";

    if (target_parse(from->target, &t->local.target, &why) != ERR_OK) {
        snprintf(what, sizeof(what), "%s%s%s", from->key,
                 from->key[0] == '\0' ? "" : ": target: ",
                 from->target[0] == '\0' ? "none" : from->target);
        return say(EXIT_USAGE, what, why);
    }
    if (from->name[0] != '\0' &&
        hostname_check_label(span_text(from->name), &why) != ERR_OK) {
        return say(EXIT_USAGE, from->name, why);
    }
    snprintf(t->label, sizeof(t->label), "%s", from->name);
    snprintf(t->host_header, sizeof(t->host_header), "%s", from->host_header);
    t->local.host_header = t->host_header;
    if (t->local.target.is_tls && s->tls == NULL &&
        tls_context_target(
            s->settings->target_ca[0] == '\0' ? NULL : s->settings->target_ca,
            s->settings->insecure_target ? TLS_VERIFY_NOT : TLS_VERIFY, &s->tls,
            &why) != ERR_OK) {
        return say(EXIT_USAGE, "target-ca", why);
    }
    t->local.tls = s->tls;
    s->watched[s->tunnel_count] = (struct watched){ .share = s, .tunnel = t };
    s->tunnel_count++;
    return EXIT_OK;
}

static int make_tunnels(struct share *s)
{
    int code = EXIT_OK;

    for (size_t i = 0; code == EXIT_OK && i < s->settings->tunnel_count; i++) {
        code = make_tunnel(s, &s->settings->tunnels[i]);
    }
    return code;
}

static void tag_tunnels(struct share *s)
{
    for (size_t i = 0; i < s->tunnel_count; i++) {
        identity_tag(&s->identity, s->tunnels[i].local.target.text,
                     s->tunnels[i].tag);
    }
}

static int find_relay(struct share *s, const struct relay_pin **relay)
{
    struct identity_error e;

    if (identity_load(&s->identity, s->settings->state, &e) != ERR_OK) {
        return say(EXIT_TROUBLE, e.text, "");
    }
    if (!s->identity.has_key || s->identity.relay_count == 0) {
        return say(EXIT_REFUSED, "this machine was not invited to a relay yet",
                   "ask the relay's operator for an invitation "
                   "(sallyport-relay invite NAME) and run: sallyport login");
    }
    *relay = identity_relay(&s->identity, s->settings->relay);
    if (*relay == NULL) {
        return say(EXIT_USAGE, s->settings->relay,
                   "this machine was not invited to that relay: run "
                   "sallyport login with an invitation from it");
    }
    return EXIT_OK;
}

static void start_probes(struct share *s)
{
    for (size_t i = 0; s->settings->probe && i < s->tunnel_count; i++) {
        struct probe_options o = { .target = &s->tunnels[i].local.target,
                                   .tls = s->tls,
                                   .on_finding = on_finding,
                                   .owner = &s->watched[i] };

        s->watched[i].probe = probe_new(&s->loop, &o);
    }
}

static int run(struct share *s, const struct relay_pin *relay)
{
    struct uplink_options o = { .relay = relay,
                                .identity = &s->identity,
                                .tunnels = s->tunnels,
                                .tunnel_count = s->tunnel_count,
                                .is_single = s->settings->single_link,
                                .on_news = on_news,
                                .on_exchange = on_exchange,
                                .on_quality = on_quality,
                                .owner = s };

    if (loop_open(&s->loop) != ERR_OK) {
        return say(EXIT_TROUBLE, "no event loop", strerror(errno));
    }
    /* Each request at once costs a descriptor. */
    platform_raise_descriptors();
    LOG(LOG_DEBUG, "descriptors", log_u64("limit", platform_descriptors()));
    s->code = EXIT_TROUBLE;
    screen_open(&s->screen, &s->loop, stdout, s->settings->json,
                s->settings->qr);
    screen_connecting(&s->screen, relay);
    s->signals = signals_open(&s->loop, on_signal, s);
    s->uplink = uplink_new(&s->loop, &o);
    if (s->signals == NULL || s->uplink == NULL) {
        s->code = say(EXIT_TROUBLE, error_text(ERR_NOMEM), "");
    } else {
        start_probes(s);
        loop_run(&s->loop);
    }
    s->is_over = true;
    stop_probes(s);
    uplink_free(s->uplink);
    screen_close(&s->screen);
    signals_close(s->signals);
    loop_close(&s->loop);
    return s->code;
}

int share_run(const struct client_settings *settings)
{
    static struct share share;
    struct share *s = &share;
    const struct relay_pin *relay = NULL;
    int code;

    s->settings = settings;
    code = make_tunnels(s);
    if (code == EXIT_OK) {
        code = find_relay(s, &relay);
    }
    if (code == EXIT_OK) {
        tag_tunnels(s);
        client_sandbox_enter(settings, &s->identity, relay, s->tunnels,
                             s->tunnel_count);
        code = run(s, relay);
    }
    tls_context_free(s->tls);
    identity_wipe(&s->identity);
    return code;
}
