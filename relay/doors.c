/*
 * A socket unit says where to listen, for the socket is there before the
 * relay is. The settings are compared with it: whoever changed only one of
 * the two finds a line about it.
 */
#include "relay/doors.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/log.h"
#include "relay/edge.h"
#include "relay/redirect.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

/* What a socket unit for port 80 calls its sockets, if its port is another. */
#define REDIRECT_NAME "redirect"

static enum err say(const char *what, const char *name, const char *why)
{
    (void)fprintf(stderr, "sallyport-relay: %s%s%s: %s\n", what,
                  name[0] != '\0' ? " " : "", name, why);
    return ERR_IO;
}

/* A machine without IPv6 is no error as long as there is another address. */
static bool may_be_absent(const struct sockaddr_storage *at)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;

    return at->ss_family == AF_INET6 &&
           memcmp(&v6->sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0;
}

/* |l| is open: one more door, for |fn|. */
static void add(struct doors *d, struct listener *l, listener_fn *fn)
{
    struct sockaddr_storage at;
    char bound[ADDRESS_TEXT_MAX];

    d->listeners[d->count++] = l;
    listener_name(l, &at);
    address_text(&at, bound, sizeof(bound));
    LOG(LOG_INFO, "listening", log_text("on", bound),
        log_text("for",
                 fn == edge_accept ? "visitors and clients" : "redirects"),
        log_text("socket", d->are_passed ? "passed" : "own"));
}

/* --- made from the settings ----------------------------------------------*/

static enum err make(struct worker *w, const char *text, listener_fn *fn)
{
    struct sockaddr_storage at;
    const char *why = "not an address and port";
    struct listener *l = NULL;
    enum err e = address_parse(text, &at);

    if (e == ERR_OK) {
        e = listener_open(&w->loop, (struct sockaddr *)&at, fn, w, &l, &why);
    }
    if (e == ERR_ABSENT && may_be_absent(&at)) {
        LOG(LOG_WARN, "not-listening", log_text("on", text),
            log_text("why", why));
        return ERR_OK;
    }
    if (e != ERR_OK) {
        (void)say("cannot listen on", text, why);
        (void)fprintf(stderr,
                      "End what uses the port (`ss -ltnp` shows it), or choose "
                      "another one with --%s.\nBelow 1024 only root and the "
                      "unit may listen.\n",
                      fn == edge_accept ? "listen" : "redirect-listen");
        return ERR_IO;
    }
    add(&w->doors, l, fn);
    return ERR_OK;
}

static enum err make_all(struct worker *w)
{
    const struct setting_list *listen = &w->settings->listen;
    const struct setting_list *plain = &w->settings->redirect_listen;

    if (listen->count > DOORS_LISTEN_MAX || plain->count > DOORS_LISTEN_MAX) {
        return say("cannot listen", "", "more than 8 addresses are given");
    }
    for (size_t i = 0; i < listen->count; i++) {
        TRY(make(w, listen->items[i], edge_accept));
    }
    if (w->doors.count == 0) {
        return say("cannot listen", "", "no address is left");
    }
    for (size_t i = 0; i < plain->count; i++) {
        TRY(make(w, plain->items[i], redirect_accept));
    }
    return ERR_OK;
}

/* --- passed --------------------------------------------------------------*/

static uint16_t port_of(const struct sockaddr_storage *at)
{
    struct visitor_address a;

    address_to_visitor(at, &a);
    return a.port;
}

/* Whether |s| listens at |at|; [::] may stand for 0.0.0.0 too. */
static bool is_at(const struct activation_socket *s,
                  const struct sockaddr_storage *at)
{
    char wanted[ADDRESS_TEXT_MAX], bound[ADDRESS_TEXT_MAX];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;

    if (s->is_dual && at->ss_family == AF_INET &&
        v4->sin_addr.s_addr == INADDR_ANY) {
        return port_of(at) == port_of(&s->at);
    }
    address_text(at, wanted, sizeof(wanted));
    address_text(&s->at, bound, sizeof(bound));
    return strcmp(wanted, bound) == 0;
}

/* Whether |s| listens at the address of one of |list|, or just at its port. */
static bool stands_in(const struct setting_list *list,
                      const struct activation_socket *s, bool *has_port)
{
    bool has_address = false;

    *has_port = false;
    for (size_t i = 0; i < list->count; i++) {
        struct sockaddr_storage at;

        if (address_parse(list->items[i], &at) == ERR_OK) {
            has_address = has_address || is_at(s, &at);
            *has_port = *has_port || port_of(&at) == port_of(&s->at);
        }
    }
    return has_address;
}

/* What |s| is for; a line when the settings do not know of it. */
static listener_fn *purpose(const struct worker *w,
                            const struct activation_socket *s)
{
    bool is_web, is_plain;
    bool is_listen = stands_in(&w->settings->listen, s, &is_web);
    bool is_redirect = stands_in(&w->settings->redirect_listen, s, &is_plain);
    char at[ADDRESS_TEXT_MAX];

    if (!is_listen && !is_redirect) {
        address_text(&s->at, at, sizeof(at));
        LOG(LOG_WARN, "socket-not-in-settings", log_text("on", at),
            log_text("what", "the passed sockets are used, `listen` and "
                             "`redirect-listen` are not"));
    }
    return strcmp(s->name, REDIRECT_NAME) == 0 || (is_plain && !is_web)
               ? redirect_accept
               : edge_accept;
}

/* Addresses of |list| that no passed socket has: told, not used. */
static void tell_unused(const struct setting_list *list,
                        const struct activation *passed)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sockaddr_storage at;
        bool is_there = false;

        if (address_parse(list->items[i], &at) != ERR_OK) {
            continue;
        }
        for (size_t k = 0; k < passed->count; k++) {
            is_there = is_there || is_at(&passed->sockets[k], &at);
        }
        if (!is_there) {
            LOG(LOG_WARN, "not-listening", log_text("on", list->items[i]),
                log_text("why", "the sockets were passed, and this one is not "
                                "among them (see the socket unit)"));
        }
    }
}

static enum err adopt_all(struct worker *w, struct activation *passed)
{
    size_t visitors = 0;

    w->doors.are_passed = true;
    tell_unused(&w->settings->listen, passed);
    tell_unused(&w->settings->redirect_listen, passed);
    for (size_t i = 0; i < passed->count; i++) {
        listener_fn *fn = purpose(w, &passed->sockets[i]);
        struct listener *l;
        const char *why;

        if (listener_adopt(&w->loop, passed->sockets[i].fd, fn, w, &l, &why) !=
            ERR_OK) {
            return say("cannot use a passed socket", "", why);
        }
        add(&w->doors, l, fn);
        visitors += fn == edge_accept;
    }
    return visitors > 0
               ? ERR_OK
               : say("cannot listen", "",
                     "the passed sockets are for redirects only; the socket "
                     "unit needs one for `listen`");
}

_Static_assert(ACTIVATION_SOCKETS_MAX <= DOORS_MAX, "all that may be passed");

enum err doors_open(struct worker *w, struct activation *passed)
{
    return passed->count > 0 ? adopt_all(w, passed) : make_all(w);
}

/* --- held, given up, closed ----------------------------------------------*/

void doors_hold(struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        listener_hold(d->listeners[i]);
    }
}

void doors_go_on(struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        listener_go_on(d->listeners[i]);
    }
}

void doors_finish(struct doors *d)
{
    /* Who comes in now may make us hold the doors, those that still count. */
    while (d->count > 0) {
        d->count--;
        listener_finish(d->listeners[d->count]);
    }
}

void doors_close(struct doors *d)
{
    for (size_t i = 0; i < d->count; i++) {
        listener_close(d->listeners[i]);
    }
    d->count = 0;
}
