/*
 * The life of a visitor's connection:
 *
 *   SHAKING -> IDLE -> HEAD -> EXCHANGE -> IDLE ... -> ENDING -> gone
 *
 * One timer serves all deadlines: each state sets it anew. The HTTP reader
 * holds a head only while one is under way, so an idle visitor costs its TLS
 * state and little more.
 */
#include "relay/edge_h1.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/log.h"
#include "proto/hostname.h"
#include "relay/certs.h"
#include "relay/edge.h"
#include "relay/exchange.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

/* How long an ended connection may take to read what is queued for it. */
#define ENDING_US (30 * US_PER_S)
/* After our FIN, how long the visitor's own is waited for: closing a socket
 * with unread bytes resets it, and the answer might be lost. */
#define LINGER_US (2 * US_PER_S)

enum visitor_state {
    VISITOR_SHAKING,
    VISITOR_IDLE,
    VISITOR_HEAD,
    VISITOR_EXCHANGE,
    VISITOR_ENDING
};

struct visitor {
    struct visitor *next, *prev;
    struct worker *worker;
    struct conn *conn;
    struct timer *timer;
    struct h1_parser *parser; /* from the first request on */
    struct flush free_later;
    struct quota_hold hold;
    struct visitor_address address;
    uint32_t id;
    uint64_t since_us; /* accepted */
    enum visitor_state state;
    size_t discarded; /* after our last answer */
    struct exchange exchange;
    char host[]; /* the server name */
};

/* --- ends ----------------------------------------------------------------*/

static void on_free_later(struct flush *f)
{
    struct visitor *v = container_of(f, struct visitor, free_later);

    h1_parser_free(v->parser);
    free(v);
}

/*
 * Nobody finds |v| any more. It is freed at the end of the tick: its exchange
 * may be in the middle of an event that ended it.
 */
static void forget(struct visitor *v)
{
    struct worker *w = v->worker;

    timer_close(v->timer);
    quota_leave(w->quota, &v->hold, loop_now(&w->loop));
    if (v->prev != NULL) {
        v->prev->next = v->next;
    } else {
        w->visitors = v->next;
    }
    if (v->next != NULL) {
        v->next->prev = v->prev;
    }
    v->free_later.run = on_free_later;
    loop_flush_later(&w->loop, &v->free_later);
    drain_look(w);
}

/* The visitor is gone, or we are done with it. */
static void drop(struct visitor *v)
{
    if (exchange_is_on(&v->exchange)) {
        exchange_cancel(&v->exchange);
    }
    conn_close(v->conn, 0);
    forget(v);
}

/* Cut it off, so that the visitor sees that something is missing. */
static void cut(struct visitor *v)
{
    if (exchange_is_on(&v->exchange)) {
        exchange_cancel(&v->exchange);
    }
    conn_abort(v->conn);
    forget(v);
}

/* Nothing more is answered: let what is queued leave, then close. */
static void end_gently(struct visitor *v)
{
    v->state = VISITOR_ENDING;
    v->discarded = 0;
    conn_shutdown(v->conn);
    timer_set(v->timer, loop_now(&v->worker->loop) +
                            (conn_unsent(v->conn) > 0 ? ENDING_US : LINGER_US));
    conn_resume(v->conn);
}

/* Read past what the visitor still sends, within bounds. */
static void discard(struct visitor *v)
{
    struct span in = conn_input(v->conn);

    v->discarded += in.len;
    conn_consume(v->conn, in.len);
    if (v->discarded > DISCARD_AFTER_STOP_MAX) {
        drop(v);
    }
}

/* --- answers of our own --------------------------------------------------*/

static enum err write_answer(struct visitor *v, const struct error_page *page,
                             const struct h1_response_to *to)
{
    struct wire_writer out;

    wire_writer_init(&out, v->worker->scratch, HEAD_MAX);
    error_page_write(&out, page, to);
    assert(wire_writer_done(&out));
    return conn_write(v->conn, wire_written(&out));
}

/* Answer with |page| and end the connection. |v| is gone or ENDING then. */
static void answer_last(struct visitor *v, const struct error_page *page,
                        bool is_head)
{
    struct h1_response_to to = { .version = 11,
                                 .request_is_head = is_head,
                                 .close = true };

    if (write_answer(v, page, &to) != ERR_OK) {
        drop(v);
        return;
    }
    end_gently(v);
}

/* --- requests ------------------------------------------------------------*/

/* Nothing was heard of it yet but its hello. */
static bool is_newcomer(const struct visitor *v)
{
    return v->parser == NULL &&
           (v->state == VISITOR_SHAKING || v->state == VISITOR_IDLE);
}

static void go_idle(struct visitor *v)
{
    bool is_draining = drain_is_on(v->worker);

    v->state = VISITOR_IDLE;
    if (is_draining && !is_newcomer(v)) {
        end_gently(v);
        return;
    }
    timer_set(v->timer, loop_now(&v->worker->loop) +
                            (is_draining ? DRAIN_IDLE_US : KEEP_ALIVE_US));
}

static void on_exchange_end(struct exchange *x, enum exchange_end end,
                            const struct error_page *page)
{
    struct visitor *v = container_of(x, struct visitor, exchange);

    switch (end) {
    case EXCHANGE_DONE:
        if (!exchange_may_keep(x)) {
            end_gently(v);
            return;
        }
        go_idle(v);
        if (v->state == VISITOR_IDLE) {
            /* A request that was sent ahead lies in the input: it comes as
             * CONN_DATA. */
            conn_resume(v->conn);
        }
        break;
    case EXCHANGE_LINGER:
        end_gently(v);
        break;
    case EXCHANGE_PAGE:
        answer_last(v, page, x->is_head);
        break;
    case EXCHANGE_CUT:
        cut(v);
        break;
    }
}

/*
 * A request's head is whole. |used| of its bytes are still in the input,
 * because the head borrows from them. False: |v| takes no more requests, or is
 * gone.
 */
static bool take_request(struct visitor *v, size_t used)
{
    struct head *h = h1_parser_head(v->parser);
    struct exchange_visitor request = {
        .worker = v->worker,
        .conn = v->conn,
        .parser = v->parser,
        .head = h,
        .host = v->host,
        .address = &v->address,
        .visitor_conn = v->id,
        .on_end = on_exchange_end,
    };
    struct h1_response_to to = {
        .version = h1_parser_version(v->parser),
        .request_is_head = span_equal(h->method, span_text("HEAD")),
        /* A body nobody reads would be taken for the next request. */
        .close = !h1_parser_keeps_alive(v->parser) || h->is_upgrade ||
                 h->framing != BODY_NONE || drain_is_on(v->worker),
    };
    struct error_page page;

    turnstile_served(&v->worker->turnstile, v->since_us);
    if (exchange_start(&v->exchange, &request, &page) == ERR_OK) {
        conn_consume(v->conn, used);
        v->state = VISITOR_EXCHANGE;
        timer_set(v->timer, v->worker->loop.now_us + STALL_UNDER_PRESSURE_US);
        exchange_conn(&v->exchange, CONN_DATA);
        return false;
    }
    conn_consume(v->conn, used);
    /* Whoever mixed names up shall open a connection of its own, and who asks
     * on without reading gets no more. */
    to.close = to.close || page.kind == PAGE_MISDIRECTED ||
               conn_unsent(v->conn) > WRITE_BATCH;
    LOG(LOG_DEBUG, "request-answered", log_text("host", v->host),
        log_u64("page", page.kind));
    if (write_answer(v, &page, &to) != ERR_OK) {
        drop(v);
        return false;
    }
    if (to.close) {
        end_gently(v);
        return false;
    }
    go_idle(v);
    return v->state == VISITOR_IDLE;
}

static void refuse_head(struct visitor *v)
{
    struct error_page page = { .kind = PAGE_BAD,
                               .status = h1_parser_status(v->parser),
                               .detail = h1_parser_why(v->parser) };

    LOG(LOG_DEBUG, "head-refused", log_text("host", v->host),
        log_text("why", page.detail));
    answer_last(v, &page, false);
}

static void read_requests(struct visitor *v)
{
    if (v->parser == NULL) {
        v->parser = h1_parser_new(H1_REQUESTS);
        if (v->parser == NULL) {
            drop(v);
            return;
        }
    }
    for (;;) {
        struct span in = conn_input(v->conn);
        enum h1_event event;
        size_t used = 0;

        if (h1_parser_step(v->parser, in, &used, &event) != ERR_OK) {
            refuse_head(v);
            return;
        }
        if (event == H1_HEAD) {
            if (!take_request(v, used)) {
                return;
            }
            continue;
        }
        conn_consume(v->conn, used);
        if (event == H1_MORE && used == in.len) {
            break;
        }
    }
    if (!h1_parser_is_idle(v->parser) && v->state == VISITOR_IDLE) {
        v->state = VISITOR_HEAD;
        timer_set(v->timer, v->worker->loop.now_us + REQUEST_HEAD_US);
    }
}

/* --- events --------------------------------------------------------------*/

static void take_data(struct visitor *v)
{
    switch (v->state) {
    case VISITOR_IDLE:
    case VISITOR_HEAD:
        read_requests(v);
        break;
    case VISITOR_EXCHANGE:
        turnstile_served(&v->worker->turnstile, v->since_us);
        exchange_conn(&v->exchange, CONN_DATA);
        break;
    case VISITOR_ENDING:
        discard(v);
        break;
    case VISITOR_SHAKING:
        assert(!"data before the handshake's end");
        break;
    }
}

static void on_visitor_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct visitor *v = owner;

    (void)c;
    switch (event) {
    case CONN_UP:
        assert(v->state == VISITOR_SHAKING);
        quota_settled(&v->hold);
        go_idle(v);
        break;
    case CONN_DATA:
        take_data(v);
        break;
    case CONN_SENT:
        if (v->state == VISITOR_EXCHANGE) {
            turnstile_served(&v->worker->turnstile, v->since_us);
            exchange_conn(&v->exchange, event);
        } else if (v->state == VISITOR_ENDING && conn_unsent(v->conn) == 0) {
            timer_set(v->timer, loop_now(&v->worker->loop) + LINGER_US);
        }
        break;
    case CONN_EOF:
        if (v->state == VISITOR_EXCHANGE) {
            exchange_conn(&v->exchange, event);
        } else if (v->state != VISITOR_ENDING || conn_unsent(v->conn) == 0) {
            drop(v);
        }
        break;
    case CONN_DOWN:
        if (v->state == VISITOR_EXCHANGE) {
            exchange_conn(&v->exchange, event);
        } else {
            drop(v);
        }
        break;
    }
}

static void look_at_stall(struct visitor *v)
{
    uint64_t now_us = loop_now(&v->worker->loop);
    uint64_t moved_us = exchange_moved_us(&v->exchange);

    if (now_us - moved_us >= exchange_stall_us(&v->exchange)) {
        LOG(LOG_INFO, "visitor-stalled", log_text("host", v->host),
            log_u64("visitor", v->id));
        cut(v);
        return;
    }
    timer_set(v->timer, now_us + STALL_UNDER_PRESSURE_US);
}

static void on_visitor_timer(void *owner)
{
    struct visitor *v = owner;
    struct error_page late = { .kind = PAGE_HEAD_LATE };

    switch (v->state) {
    case VISITOR_SHAKING:
    case VISITOR_ENDING:
        drop(v);
        break;
    case VISITOR_IDLE:
        end_gently(v);
        break;
    case VISITOR_HEAD:
        answer_last(v, &late, false);
        break;
    case VISITOR_EXCHANGE:
        look_at_stall(v);
        break;
    }
}

/* --- begin and end -------------------------------------------------------*/

void edge_h1_start(struct worker *w, struct handoff *h)
{
    size_t len = strlen(h->server_name) + 1;
    struct visitor *v = calloc(1, sizeof(*v) + len);
    struct span ticket_context = span_of(h->server_name, len - 1);

    if (v == NULL) {
        goto fail;
    }
    v->timer = timer_new(&w->loop, on_visitor_timer, v);
    if (v->timer == NULL) {
        goto fail;
    }
    v->worker = w;
    v->conn = h->conn;
    memcpy(v->host, h->server_name, len);
    address_to_visitor(&h->peer, &v->address);
    conn_set_owner(h->conn, on_visitor_conn, v);
    if (conn_start_tls(h->conn, certs_find(w->certs, v->host),
                       ticket_context) != ERR_OK) {
        timer_close(v->timer);
        goto fail;
    }
    v->hold = h->hold;
    v->since_us = h->accepted_us;
    v->id = worker_visitor_id(w);
    v->next = w->visitors;
    if (v->next != NULL) {
        v->next->prev = v;
    }
    w->visitors = v;
    timer_set(v->timer, h->accepted_us + HANDSHAKE_US);
    return;

fail:
    quota_leave(w->quota, &h->hold, loop_now(&w->loop));
    conn_abort(h->conn);
    free(v);
}

void edge_h1_drain(struct worker *w)
{
    struct visitor *next;

    for (struct visitor *v = w->visitors; v != NULL; v = next) {
        next = v->next;
        if (v->state == VISITOR_IDLE) {
            go_idle(v);
        }
    }
}

bool edge_h1_has_newcomers(const struct worker *w)
{
    for (const struct visitor *v = w->visitors; v != NULL; v = v->next) {
        if (is_newcomer(v) || v->state == VISITOR_HEAD) {
            return true;
        }
    }
    return false;
}

void edge_h1_drop_newcomers(struct worker *w)
{
    struct visitor *next;

    for (struct visitor *v = w->visitors; v != NULL; v = next) {
        next = v->next;
        if (v->state == VISITOR_SHAKING) {
            drop(v);
        } else if (v->state == VISITOR_IDLE) {
            end_gently(v);
        }
    }
}

void edge_h1_close_all(struct worker *w)
{
    while (w->visitors != NULL) {
        cut(w->visitors);
    }
}
