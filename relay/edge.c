/*
 * An arrival lives from accept to the end of its ClientHello. Its deadline
 * counts from accept and goes on with whoever takes it.
 */
#include "relay/edge.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/log.h"
#include "common/tls_hello.h"
#include "relay/certs.h"
#include "relay/handoff.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

struct arrival {
    struct arrival *next, *prev;
    struct arrival *behind,
        *before; /* in the line of those who said something */
    bool is_waiting;
    bool is_expecting; /* unread, for the client of its name */
    struct worker *worker;
    struct timer *timer;
    struct handoff handoff;
};

static bool admit(struct worker *w, int fd, const struct conn_options *o,
                  struct handoff *out)
{
    struct quota_refusal refusal = { 0 };
    struct visitor_address address;
    char peer[ADDRESS_TEXT_MAX];

    *out = (struct handoff){ .accepted_us = loop_now(&w->loop) };
    if (conn_adopt(&w->loop, fd, o, &out->conn) != ERR_OK) {
        return false;
    }
    conn_peer(out->conn, &out->peer);
    address_to_visitor(&out->peer, &address);
    if (quota_enter(w->quota, &address, out->accepted_us, &out->hold,
                    &refusal) != ERR_OK) {
        if (refusal.is_first) {
            address_text(&out->peer, peer, sizeof(peer));
            LOG(LOG_WARN, "connection-refused", log_text("peer", peer),
                log_text("why", refusal.why));
        }
        conn_abort(out->conn);
        return false;
    }
    conn_keep_alive(out->conn);
    return true;
}

bool edge_admit(struct worker *w, int fd, const struct conn_options *o,
                struct handoff *out)
{
    bool is_in;

    turnstile_enter(&w->turnstile);
    is_in = admit(w, fd, o, out);
    turnstile_leave(&w->turnstile);
    if (!turnstile_is_open(&w->turnstile)) {
        /* Who is not accepted yet waits in the kernel, and costs nothing. */
        doors_hold(&w->doors);
    }
    return is_in;
}

/* Unread until its turn: who waits costs no more. */
static void wait_in_line(struct arrival *a)
{
    struct worker *w = a->worker;

    assert(!a->is_waiting);
    conn_pause(a->handoff.conn);
    a->is_waiting = true;
    a->behind = NULL;
    a->before = w->waiting_last;
    if (a->before != NULL) {
        a->before->behind = a;
    } else {
        w->waiting = a;
    }
    w->waiting_last = a;
}

static void leave_line(struct arrival *a)
{
    struct worker *w = a->worker;

    if (!a->is_waiting) {
        return;
    }
    if (a->before != NULL) {
        a->before->behind = a->behind;
    } else {
        w->waiting = a->behind;
    }
    if (a->behind != NULL) {
        a->behind->before = a->before;
    } else {
        w->waiting_last = a->before;
    }
    a->is_waiting = false;
}

/* Free |a|; its connection is somebody else's, or closed, by now. */
static void forget(struct arrival *a)
{
    struct worker *w = a->worker;

    leave_line(a);
    w->expecting -= a->is_expecting;
    timer_close(a->timer);
    if (a->prev != NULL) {
        a->prev->next = a->next;
    } else {
        w->arrivals = a->next;
    }
    if (a->next != NULL) {
        a->next->prev = a->prev;
    }
    free(a);
    drain_look(w);
}

static void drop(struct arrival *a, uint64_t linger_us)
{
    quota_leave(a->worker->quota, &a->handoff.hold, loop_now(&a->worker->loop));
    conn_close(a->handoff.conn, linger_us);
    forget(a);
}

/* A fatal alert as a plain record: no keys are agreed yet (RFC 8446, 6.2). */
enum alert { ALERT_DECODE = 50, ALERT_NAME = 112, ALERT_PROTOCOL = 120 };

static void refuse(struct arrival *a, enum alert alert, const char *name,
                   const char *why)
{
    const uint8_t record[] = { 21, 3, 3, 0, 2, 2, (uint8_t)alert };
    char peer[ADDRESS_TEXT_MAX];

    address_text(&a->handoff.peer, peer, sizeof(peer));
    LOG(LOG_DEBUG, "hello-refused", log_text("peer", peer),
        log_text("name", name), log_text("why", why));
    drop(a,
         conn_write(a->handoff.conn, span_of(record, sizeof(record))) == ERR_OK
             ? US_PER_S
             : 0);
}

/* The client of |name| is on its way: |a| waits for it as it is, for a while,
 * and is no stranger to be counted meanwhile. */
static bool may_expect(struct arrival *a, const char *name)
{
    struct worker *w = a->worker;

    if (w->expecting == RETURNING_VISITORS_MAX || drain_is_on(w) ||
        loop_now(&w->loop) >= a->handoff.accepted_us + RETURNING_WAIT_US ||
        !returning_expects(w, name)) {
        return false;
    }
    w->expecting += !a->is_expecting;
    a->is_expecting = true;
    quota_settled(&a->handoff.hold);
    timer_set(a->timer, a->handoff.accepted_us + RETURNING_WAIT_US);
    return true;
}

static void route(struct arrival *a, const struct tls_hello *hello)
{
    struct worker *w = a->worker;
    struct handoff h = a->handoff;

    h.server_name = hello->server_name;
    if (hello->offers_link) {
        if (hello->offers_other) {
            refuse(a, ALERT_PROTOCOL, hello->server_name,
                   "a link's ALPN among others");
            return;
        }
        forget(a);
        handoff_link(w, &h);
        return;
    }
    if (hello->server_name[0] == '\0') {
        refuse(a, ALERT_NAME, "", "no server name");
        return;
    }
    if (certs_find(a->worker->certs, hello->server_name) == NULL) {
        refuse(a, ALERT_NAME, hello->server_name,
               "no certificate for this name");
        return;
    }
    if (may_expect(a, hello->server_name)) {
        return;
    }
    forget(a);
    handoff_visitor(w, &h);
}

/* Once more: it is handed on, unless its name is still to come. */
static void look_again(struct arrival *a)
{
    struct tls_hello hello;

    if (tls_hello_read(conn_input(a->handoff.conn), &hello) ==
        TLS_HELLO_WHOLE) {
        route(a, &hello);
    }
}

void edge_let_returned_in(struct worker *w)
{
    struct arrival *next;

    for (struct arrival *a = w->arrivals; w->expecting > 0 && a != NULL;
         a = next) {
        next = a->next;
        if (a->is_expecting) {
            look_again(a);
        }
    }
}

/* The turn of |a|: it is handed on, or may say more. */
static void read_hello(struct arrival *a)
{
    struct worker *w = a->worker;
    struct tls_hello hello;

    leave_line(a);
    turnstile_enter(&w->turnstile);
    switch (tls_hello_read(conn_input(a->handoff.conn), &hello)) {
    case TLS_HELLO_MORE:
        if (conn_more(a->handoff.conn, HELLO_BYTES_MAX) != ERR_OK) {
            refuse(a, ALERT_DECODE, "", "the ClientHello is too long");
        }
        break;
    case TLS_HELLO_WHOLE:
        route(a, &hello);
        break;
    case TLS_HELLO_BAD:
        refuse(a, ALERT_DECODE, "", "no TLS ClientHello");
        break;
    }
    turnstile_leave(&w->turnstile);
}

static void read_hellos(struct worker *w)
{
    while (w->waiting != NULL && turnstile_is_open(&w->turnstile)) {
        read_hello(w->waiting);
    }
}

void edge_let_in(void *worker)
{
    struct worker *w = worker;

    read_hellos(w);
    if (w->waiting != NULL || !turnstile_is_open(&w->turnstile)) {
        return;
    }
    doors_go_on(&w->doors);
}

static void on_arrival_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct arrival *a = owner;

    (void)c;
    switch (event) {
    case CONN_DATA:
        wait_in_line(a);
        read_hellos(a->worker);
        break;
    case CONN_EOF:
    case CONN_DOWN:
        drop(a, 0);
        break;
    case CONN_UP:
    case CONN_SENT:
        break;
    }
}

static void on_arrival_late(void *owner)
{
    struct arrival *a = owner;

    if (a->is_expecting) {
        look_again(a);
    } else {
        drop(a, 0);
    }
}

void edge_accept(int fd, void *worker)
{
    struct worker *w = worker;
    struct conn_options o = { .on_event = on_arrival_conn };
    struct handoff h;
    struct arrival *a = NULL;

    if (!edge_admit(w, fd, &o, &h)) {
        return;
    }
    a = calloc(1, sizeof(*a));
    if (a == NULL) {
        goto fail;
    }
    a->timer = timer_new(&w->loop, on_arrival_late, a);
    if (a->timer == NULL) {
        goto fail;
    }
    a->worker = w;
    a->handoff = h;
    a->next = w->arrivals;
    if (a->next != NULL) {
        a->next->prev = a;
    }
    w->arrivals = a;
    timer_set(a->timer, h.accepted_us + HANDSHAKE_US);
    conn_set_owner(h.conn, on_arrival_conn, a);
    return;

fail:
    quota_leave(w->quota, &h.hold, h.accepted_us);
    conn_abort(h.conn);
    free(a);
}

void edge_close_all(struct worker *w)
{
    struct arrival *next;

    for (struct arrival *a = w->arrivals; a != NULL; a = next) {
        next = a->next;
        drop(a, 0);
    }
}
