/*
 * The request's side of an exchange, and its end. The response's side stands
 * in exchange_response.c.
 */
#include "relay/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/http/fields.h"
#include "common/log.h"
#include "proto/hostname.h"
#include "relay/client_session.h"
#include "relay/exchange_response.h"
#include "relay/names.h"
#include "relay/parked.h"
#include "relay/relay_settings.h"
#include "relay/store.h"
#include "relay/worker.h"

static enum err refuse(struct error_page *page, enum error_page_kind kind)
{
    page->kind = kind;
    return ERR_ABSENT;
}

/*
 * The Host of a request must be the name that its connection was opened for:
 * one certificate covers many people's names, and a browser may offer to reuse
 * a connection across them (threats.md R6). HTTP/1.0 may leave it out.
 */
static bool host_fits(const struct exchange_visitor *v)
{
    char host[256];

    if (v->head->authority.len == 0) {
        v->head->authority = span_text(v->host);
        return true;
    }
    return hostname_normalise(v->head->authority, host, sizeof(host)) ==
               ERR_OK &&
           strcmp(host, v->host) == 0;
}

/* Find who serves the connection's name. */
static enum err route(struct exchange *x, const struct exchange_visitor *v,
                      struct error_page *page)
{
    struct worker *w = v->worker;
    struct span label = hostname_label(v->host, w->settings->domain);
    struct names_holder holder;
    struct store_name known;

    if (!host_fits(v)) {
        return refuse(page, PAGE_MISDIRECTED);
    }
    if (label.data == NULL) {
        return refuse(page, PAGE_NAME_UNKNOWN);
    }
    if (label.len == 0) {
        return refuse(page, PAGE_BASE);
    }
    if (drain_is_told(w)) {
        return refuse(page, PAGE_RESTARTING);
    }
    if (names_find(w->names, label, &holder)) {
        x->session = holder.session;
        x->tunnel = holder.tunnel;
        return ERR_OK;
    }
    return refuse(page, store_name(w->store, label, &known) == ERR_OK
                            ? PAGE_NO_CLIENT
                            : PAGE_NAME_UNKNOWN);
}

/* What our fields say; the head borrows from it until it is encoded. */
struct origin_texts {
    char address[ADDRESS_TEXT_MAX];
    char host[300];
    char port[8];
};

/* Our fields instead of what a visitor may claim. */
static enum err set_fields(const struct exchange_visitor *v,
                           struct origin_texts *t)
{
    struct fields_origin origin = { .address = t->address,
                                    .host = t->host,
                                    .port = t->port,
                                    .scheme = "https" };
    unsigned port = (unsigned)v->worker->settings->public_port;
    size_t dropped;

    address_visitor_text(v->address, t->address, sizeof(t->address));
    (void)snprintf(t->port, sizeof(t->port), "%u", port);
    if (port == 443) {
        (void)snprintf(t->host, sizeof(t->host), "%s", v->host);
    } else {
        (void)snprintf(t->host, sizeof(t->host), "%s:%u", v->host, port);
    }
    TRY(fields_request(v->head, &origin, &dropped));
    if (dropped > 0) {
        LOG(LOG_DEBUG, "fields-dropped", log_text("host", v->host),
            log_u64("count", dropped));
    }
    return ERR_OK;
}

/* ERR_HEAD: with our fields the head is too large to be passed on. */
static enum err encode_head(const struct exchange_visitor *v,
                            struct wire_writer *w)
{
    struct origin_texts texts = { 0 };

    wire_writer_init(w, v->worker->scratch, HEAD_MAX);
    if (set_fields(v, &texts) != ERR_OK) {
        return ERR_HEAD;
    }
    head_encode(w, v->head);
    return wire_writer_done(w) ? ERR_OK : ERR_HEAD;
}

static bool wants_events(const struct head *h)
{
    static const char type[] = "text/event-stream";
    struct span accept = head_find(h, "accept");

    return accept.len >= sizeof(type) - 1 &&
           head_same(span_of(accept.data, sizeof(type) - 1), type);
}

/* What a person waits for at every moment goes apart from what may be large,
 * and waits for its own link; all else takes the one that is there. */
static uint8_t slot_for(const struct exchange *x, const struct head *h)
{
    return x->is_upgrade || wants_events(h) ||
                   !session_is_proven(x->session->carrier.session, SLOT_BULK)
               ? SLOT_EXPRESS
               : SLOT_BULK;
}

static enum err open_stream(struct exchange *x,
                            const struct exchange_visitor *v)
{
    struct session *s = x->session->carrier.session;
    struct frame_open open = {
        .tunnel = x->tunnel,
        .kind = STREAM_HTTP,
        .visitor_conn = v->visitor_conn,
        .address = *v->address,
        .http_version = x->version,
    };
    struct wire_writer w;

    TRY(encode_head(v, &w));
    x->slot = slot_for(x, v->head);
    if (x->slot == SLOT_EXPRESS &&
        !parked_may_wait(x->session, x->tunnel, w.len)) {
        return ERR_LIMIT;
    }
    TRY(session_open(s, x->slot, &open, wire_written(&w), false, &x->stream));
    session_set_owner(s, x->stream, x);
    link_quality_watch_wake(x->session->quality);
    if (x->is_upgrade) {
        session_set_class(s, x->stream, CLASS_INTERACTIVE);
    }
    return ERR_OK;
}

/* For the request's line in the log: never the query. */
static char *line_of(const struct head *h)
{
    const uint8_t *query = memchr(h->target.data, '?', h->target.len);
    size_t len =
        query != NULL ? (size_t)(query - h->target.data) : h->target.len;
    size_t size = h->method.len + 1 + len + 1;
    char *line = malloc(size);

    if (line != NULL) {
        (void)snprintf(line, size, "%.*s %.*s", (int)h->method.len,
                       (const char *)h->method.data, (int)len,
                       (const char *)h->target.data);
    }
    return line;
}

static void enlist(struct exchange *x)
{
    struct exchange **list = &x->session->exchanges;

    x->prev = NULL;
    x->next = *list;
    if (*list != NULL) {
        (*list)->prev = x;
    }
    *list = x;
}

static void delist(struct exchange *x)
{
    if (x->prev != NULL) {
        x->prev->next = x->next;
    } else {
        x->session->exchanges = x->next;
    }
    if (x->next != NULL) {
        x->next->prev = x->prev;
    }
}

static void log_line(const struct exchange *x)
{
    if (x->line == NULL) {
        return;
    }
    LOG(LOG_DEBUG, "request", log_text("host", x->host),
        log_text("what", x->line), log_u64("stream", x->stream),
        log_u64("slot", x->slot), log_u64("status", x->status),
        log_u64("ms", (loop_now(&x->worker->loop) - x->since_us) / US_PER_MS),
        log_u64("in", splice_bytes_in(x->splice)),
        log_u64("out", splice_bytes_out(x->splice)));
}

/*
 * Take |x| apart. A stream that still lives is reset with |code|, but not one
 * that only waits for its last bytes to be sent: a reset would discard them.
 */
static void dismantle(struct exchange *x, enum err code)
{
    struct session *s = x->session->carrier.session;
    bool is_whole = x->gave_fin && x->out_ended;

    log_line(x);
    if (x->stream != 0) {
        if (!is_whole && session_has_stream(s, x->stream)) {
            session_reset(s, x->stream, code);
        }
        session_set_owner(s, x->stream, NULL);
    }
    link_wake_carrier(&x->session->carrier);
    splice_free(x->splice);
    free(x->line);
    delist(x);
    x->splice = NULL;
    x->line = NULL;
    x->session = NULL;
    x->stream = 0;
}

enum err exchange_start(struct exchange *x, const struct exchange_visitor *v,
                        struct error_page *page)
{
    struct splice_options o = { .conn = v->conn,
                                .parser = v->parser,
                                .on_event = exchange_response_spliced,
                                .owner = x };
    enum err e;

    *x = (struct exchange){
        .worker = v->worker,
        .conn = v->conn,
        .on_end = v->on_end,
        .host = v->host,
        .since_us = v->worker->loop.now_us,
        .version = (uint8_t)h1_parser_version(v->parser),
        .keeps_alive = h1_parser_keeps_alive(v->parser),
        .is_head = span_equal(v->head->method, span_text("HEAD")),
        .is_upgrade = v->head->is_upgrade,
        .is_navigation = error_page_is_navigation(v->head),
    };
    *page = (struct error_page){ .host = v->host,
                                 .is_navigation = x->is_navigation };
    TRY(route(x, v, page));
    o.carrier = &x->session->carrier;
    x->line = log_is_on(LOG_DEBUG) ? line_of(v->head) : NULL;
    x->splice = splice_new(&o);
    e = x->splice == NULL ? ERR_NOMEM : open_stream(x, v);
    if (e != ERR_OK) {
        goto fail;
    }
    enlist(x);
    if (x->slot == SLOT_EXPRESS) {
        parked_wait(x->session, x);
    }
    splice_set_stream(x->splice, x->stream);
    if (x->is_upgrade) {
        /* What comes before the answer belongs to nobody yet. */
        splice_hold(x->splice);
    }
    link_wake_carrier(&x->session->carrier);
    return ERR_OK;

fail:
    if (e == ERR_HEAD) {
        page->status = 431;
        page->detail = "the head is too large with the relay's own fields";
        page->kind = PAGE_BAD;
    } else if (x->session->parked.is_on) {
        page->kind = PAGE_RECONNECTING;
    } else {
        page->kind = PAGE_BUSY;
        LOG(LOG_WARN, "stream-refused", log_text("host", v->host),
            log_text("why", session_why(x->session->carrier.session)));
    }
    splice_free(x->splice);
    free(x->line);
    *x = (struct exchange){ 0 };
    return ERR_ABSENT;
}

bool exchange_is_on(const struct exchange *x)
{
    return x->splice != NULL;
}

void exchange_conn(struct exchange *x, enum conn_event event)
{
    splice_conn(x->splice, event);
}

void exchange_event(struct exchange *x, const struct session_event *event)
{
    exchange_response_event(x, event);
}

void exchange_writable(struct exchange *x)
{
    splice_writable(x->splice);
}

void exchange_finish(struct exchange *x, enum exchange_end end, enum err code)
{
    dismantle(x, code);
    x->on_end(x, end, NULL);
}

void exchange_finish_with(struct exchange *x, const struct error_page *page,
                          enum err code)
{
    assert(x->status == 0);
    dismantle(x, code);
    x->on_end(x, EXCHANGE_PAGE, page);
}

void exchange_finish_page(struct exchange *x, enum error_page_kind kind,
                          enum err code)
{
    struct error_page page = { .kind = kind,
                               .host = x->host,
                               .is_navigation = x->is_navigation };

    exchange_finish_with(x, &page, code);
}

void exchange_lost(struct exchange *x, enum err why)
{
    if (x->out_received) {
        /* All of the answer is here: it need not die with the session. */
        exchange_finish(
            x, x->out_ended && x->in_ended ? EXCHANGE_DONE : EXCHANGE_LINGER,
            why);
    } else if (x->status == 0) {
        /* Of one that waited nothing has left yet. */
        exchange_finish_page(x,
                             x->is_waiting && drain_is_told(x->worker)
                                 ? PAGE_RESTARTING
                                 : PAGE_CLIENT_LOST,
                             why);
    } else {
        exchange_finish(x, EXCHANGE_CUT, why);
    }
}

void exchange_waited(struct exchange *x)
{
    assert(x->status == 0);
    exchange_finish_page(x, PAGE_RECONNECTING, ERR_TIMEOUT);
}

void exchange_shed(struct exchange *x)
{
    if (x->status == 0) {
        exchange_finish_page(x, PAGE_BUSY, ERR_LIMIT);
    } else {
        exchange_finish(x, EXCHANGE_CUT, ERR_LIMIT);
    }
}

void exchange_cancel(struct exchange *x)
{
    dismantle(x, ERR_CANCEL);
}

bool exchange_may_keep(const struct exchange *x)
{
    return x->keeps_alive && x->in_ended && x->out_ended && !x->said_close &&
           !x->is_raw;
}

uint64_t exchange_moved_us(const struct exchange *x)
{
    return splice_moved_us(x->splice);
}

uint64_t exchange_stall_us(const struct exchange *x)
{
    const struct worker *w = x->worker;

    return session_shed_percent(x->session->carrier.session) >
                       SHED_STALLED_PERCENT ||
                   pool_percent(&w->sent_pool) > SHED_STALLED_PERCENT
               ? STALL_UNDER_PRESSURE_US
               : STALL_US;
}
