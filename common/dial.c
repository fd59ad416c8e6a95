/*
 * From a host name to a connection: resolve, then try the addresses one after
 * the other without waiting for each to fail (RFC 8305). The first that is up,
 * its TLS handshake included, wins; the others are closed.
 */
#include "common/dial.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <uv.h>

#include "common/address.h"
#include "common/timer.h"

#define ADDRESSES_MAX 8u
#define NEXT_AFTER_US (250 * US_PER_MS)
#define HOST_MAX 254u
#define WHY_MAX 160u

struct attempt {
    struct dial *dial;
    struct conn *conn; /* NULL: not begun, or over */
};

struct dial {
    uv_getaddrinfo_t resolve;
    struct loop *loop;
    struct timer *deadline;
    struct timer *next;
    struct flush begin; /* the first step, after dial_start() has returned */
    struct tls_context *tls;
    dial_fn *on_done;
    void *owner;
    char host[HOST_MAX];
    char tls_host[HOST_MAX];
    uint16_t port;
    bool is_resolving;
    bool is_over;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    struct attempt attempts[ADDRESSES_MAX];
    size_t count;
    size_t begun;
    size_t failed;
    enum err error; /* of the first attempt that failed */
    char why[WHY_MAX];
};

/* The memory goes when nothing of libuv's holds it any more. */
static void dial_free(struct dial *d)
{
    if (!d->is_resolving) {
        free(d);
    }
}

/* Nothing of |d| happens any more. */
static void dial_stop(struct dial *d)
{
    d->is_over = true;
    loop_flush_cancel(d->loop, &d->begin);
    timer_close(d->deadline);
    timer_close(d->next);
    for (size_t i = 0; i < ADDRESSES_MAX; i++) {
        conn_close(d->attempts[i].conn, 0);
        d->attempts[i].conn = NULL;
    }
    if (d->is_resolving) {
        uv_cancel((uv_req_t *)&d->resolve);
    }
}

/* Tell the end once; |d| is gone after. */
static void dial_done(struct dial *d, struct conn *c, enum err error)
{
    dial_fn *on_done = d->on_done;
    void *owner = d->owner;

    dial_stop(d);
    on_done(c, error, d->why, owner);
    dial_free(d);
}

static void dial_say(struct dial *d, enum err error, const char *why)
{
    if (d->error == ERR_OK) {
        d->error = error;
        snprintf(d->why, sizeof(d->why), "%s", why);
    }
}

static void dial_next(struct dial *d);

static void on_dial_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct attempt *a = owner;
    struct dial *d = a->dial;

    switch (event) {
    case CONN_UP:
        a->conn = NULL;
        dial_done(d, c, ERR_OK);
        return;
    case CONN_DOWN:
        dial_say(d, conn_error(c), conn_why(c));
        conn_close(c, 0);
        a->conn = NULL;
        d->failed++;
        if (d->failed == d->count) {
            dial_done(d, NULL, d->error);
            return;
        }
        dial_next(d);
        return;
    case CONN_DATA:
    case CONN_SENT:
    case CONN_EOF:
        return;
    }
}

/* Begin the next attempt, if there is an address left. */
static void dial_next(struct dial *d)
{
    struct attempt *a;
    struct conn_options o;

    if (d->begun == d->count) {
        return;
    }
    a = &d->attempts[d->begun];
    a->dial = d;
    o = (struct conn_options){
        .on_event = on_dial_conn, .owner = a, .tls = d->tls, .host = d->tls_host
    };
    enum err e = conn_connect(
        d->loop, (struct sockaddr *)&d->addresses[d->begun], &o, &a->conn);

    d->begun++;
    if (e != ERR_OK) {
        dial_say(d, e, error_text(e));
        dial_done(d, NULL, e);
        return;
    }
    if (d->begun < d->count) {
        timer_set(d->next, d->loop->now_us + NEXT_AFTER_US);
    }
}

static void on_dial_next(void *owner)
{
    dial_next(owner);
}

static void on_dial_deadline(void *owner)
{
    struct dial *d = owner;

    dial_say(d, ERR_TIMEOUT,
             d->is_resolving ? "the host name was not resolved in time"
                             : "no connection in time");
    dial_done(d, NULL, d->error);
}

static void dial_add(struct dial *d, const struct sockaddr *a)
{
    struct sockaddr_storage *out = &d->addresses[d->count];

    if (d->count == ADDRESSES_MAX) {
        return;
    }
    if (a->sa_family == AF_INET) {
        memcpy(out, a, sizeof(struct sockaddr_in));
    } else if (a->sa_family == AF_INET6) {
        memcpy(out, a, sizeof(struct sockaddr_in6));
    } else {
        return;
    }
    d->count++;
}

/* The resolver's order within a family, the families by turns. */
static void dial_add_all(struct dial *d, const struct addrinfo *list)
{
    int first = list->ai_family;
    const struct addrinfo *same = list;
    const struct addrinfo *other = list;

    while (same != NULL || other != NULL) {
        while (same != NULL && same->ai_family != first) {
            same = same->ai_next;
        }
        if (same != NULL) {
            dial_add(d, same->ai_addr);
            same = same->ai_next;
        }
        while (other != NULL && other->ai_family == first) {
            other = other->ai_next;
        }
        if (other != NULL) {
            dial_add(d, other->ai_addr);
            other = other->ai_next;
        }
    }
}

static const char *resolve_why(int status)
{
    switch (status) {
    case 0:
    case UV_EAI_NODATA:
        return "the host name has no address";
    case UV_EAI_NONAME:
        return "there is no such host name";
    default:
        return uv_strerror(status);
    }
}

static void on_dial_resolved(uv_getaddrinfo_t *request, int status,
                             struct addrinfo *list)
{
    struct dial *d = container_of(request, struct dial, resolve);

    d->is_resolving = false;
    if (d->is_over) {
        uv_freeaddrinfo(list);
        dial_free(d);
        return;
    }
    loop_now(d->loop);
    if (status == 0 && list != NULL) {
        struct sockaddr_in *v4;
        struct sockaddr_in6 *v6;

        dial_add_all(d, list);
        for (size_t i = 0; i < d->count; i++) {
            v4 = (struct sockaddr_in *)&d->addresses[i];
            v6 = (struct sockaddr_in6 *)&d->addresses[i];
            if (d->addresses[i].ss_family == AF_INET) {
                v4->sin_port = htons(d->port);
            } else {
                v6->sin6_port = htons(d->port);
            }
        }
    }
    uv_freeaddrinfo(list);
    if (d->count == 0) {
        dial_say(d, ERR_RESOLVE, resolve_why(status));
        dial_done(d, NULL, ERR_RESOLVE);
        return;
    }
    dial_next(d);
}

/* "localhost" and what ends in ".localhost" never leave the machine (RFC 6761
 * section 6.3), whatever the resolver thinks. */
static bool is_localhost(const char *host)
{
    static const char suffix[] = ".localhost";
    size_t len = strlen(host);

    if (strcasecmp(host, suffix + 1) == 0) {
        return true;
    }
    return len >= sizeof(suffix) &&
           strcasecmp(host + len - (sizeof(suffix) - 1), suffix) == 0;
}

static void dial_resolve(struct dial *d)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC,
                              .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_ADDRCONFIG };
    int status = uv_getaddrinfo(&d->loop->uv, &d->resolve, on_dial_resolved,
                                d->host, NULL, &hints);

    if (status != 0) {
        dial_say(d, ERR_RESOLVE, uv_strerror(status));
        dial_done(d, NULL, ERR_RESOLVE);
        return;
    }
    d->is_resolving = true;
}

static void dial_begin(struct flush *f)
{
    struct dial *d = container_of(f, struct dial, begin);

    if (d->host[0] == '\0') {
        dial_say(d, ERR_RESOLVE, "no host name, or one that is too long");
        dial_done(d, NULL, ERR_RESOLVE);
        return;
    }
    if (address_from_host(d->host, d->port, &d->addresses[0])) {
        d->count = 1;
    } else if (is_localhost(d->host)) {
        bool is_known =
            address_from_host("127.0.0.1", d->port, &d->addresses[0]) &&
            address_from_host("::1", d->port, &d->addresses[1]);

        assert(is_known);
        d->count = 2;
    }
    if (d->count > 0) {
        dial_next(d);
    } else {
        dial_resolve(d);
    }
}

enum err dial_start(struct loop *l, const struct dial_options *o,
                    struct dial **out)
{
    struct dial *d = calloc(1, sizeof(*d));
    const char *tls_host = o->tls_host != NULL ? o->tls_host : o->host;

    if (d == NULL) {
        return ERR_NOMEM;
    }
    d->loop = l;
    d->tls = o->tls;
    d->on_done = o->on_done;
    d->owner = o->owner;
    d->port = o->port;
    d->begin.run = dial_begin;
    /* What does not fit is no host name: left empty, and told later. */
    if (strlen(o->host) < HOST_MAX && strlen(tls_host) < HOST_MAX) {
        snprintf(d->host, sizeof(d->host), "%s", o->host);
        snprintf(d->tls_host, sizeof(d->tls_host), "%s", tls_host);
    }
    d->deadline = timer_new(l, on_dial_deadline, d);
    d->next = timer_new(l, on_dial_next, d);
    if (d->deadline == NULL || d->next == NULL) {
        timer_close(d->deadline);
        timer_close(d->next);
        free(d);
        return ERR_NOMEM;
    }
    timer_set(d->deadline, loop_now(l) + o->deadline_us);
    loop_flush_later(l, &d->begin);
    *out = d;
    return ERR_OK;
}

void dial_cancel(struct dial *d)
{
    if (d == NULL) {
        return;
    }
    assert(!d->is_over);
    dial_stop(d);
    dial_free(d);
}
