/*
 * One exchange from OPEN to its end. Order of time: the head is kept, a
 * connection is found, the request written; from then on the splice moves
 * bytes and this room turns heads. A connection that was reused and closed
 * before it answered is replaced once, when nothing can be lost by it.
 */
#include "client/local.h"

#include <stdio.h>
#include <stdlib.h>

#include "client/early.h"
#include "common/dial.h"
#include "common/http/fields.h"
#include "common/log.h"
#include "common/splice.h"

#define TELL_EACH_US (10 * US_PER_S)

struct local {
    struct local_set_member member;
    struct local_world *world;
    const struct local_tunnel *tunnel;
    uint32_t stream; /* 0: the session no longer knows it */
    uint32_t visitor_conn;
    struct chunk *block; /* the request's encoded head */
    struct early early;  /* what came before the connection */
    struct dial *dial;
    struct pooled near; /* the connection to the service */
    struct splice *splice;
    bool is_reused;
    bool is_answered; /* its final head was sent on */
    bool is_in_over;  /* the response has ended */
    bool is_out_over; /* the request has been written whole */
    bool is_raw;
    uint64_t began_us;
    struct local_report report;
};

static void connect_to_target(struct local *l);

static void local_free(struct local *l)
{
    local_set_remove(&l->world->locals, &l->member);
    splice_free(l->splice);
    dial_cancel(l->dial);
    conn_close(l->near.conn, 0);
    h1_parser_free(l->near.parser);
    chunk_free(l->block);
    early_clear(&l->early);
    free(l);
}

/* The exchange is over: say so and be gone. */
static void end(struct local *l, enum err error)
{
    struct local_world *w = l->world;
    struct local_report *r = &l->report;

    if (l->stream != 0) {
        session_set_owner(w->carrier->session, l->stream, NULL);
    }
    if (l->splice != NULL) {
        r->bytes_out = splice_bytes_in(l->splice);
        r->bytes_in = splice_bytes_out(l->splice);
    }
    r->error = error;
    r->us = loop_now(w->loop) - l->began_us;
    w->on_end(w->owner, r);
    local_free(l);
}

/* End it towards the relay as well. */
static void break_off(struct local *l, enum err error)
{
    session_reset(l->world->carrier->session, l->stream, error);
    l->stream = 0;
    link_wake_carrier(l->world->carrier);
    end(l, error);
}

static bool may_retry(const struct local *l)
{
    return l->is_reused && l->report.request.is_repeatable && !l->is_answered &&
           h1_parser_is_idle(l->near.parser);
}

/* The reused connection was closed by the service: once more on a new one. */
static void retry(struct local *l)
{
    splice_free(l->splice);
    l->splice = NULL;
    conn_close(l->near.conn, 0);
    h1_parser_free(l->near.parser);
    l->near = (struct pooled){ 0 };
    l->is_reused = false;
    l->early.has_fin = true;
    connect_to_target(l);
}

static void on_broken(struct local *l, enum err error)
{
    if (may_retry(l)) {
        retry(l);
        return;
    }
    break_off(l, error);
}

/* Both directions are over: keep the connection for this visitor, or not. */
static void finish(struct local *l)
{
    if (splice_may_reuse(l->splice)) {
        struct pooled idle = l->near;

        l->report.bytes_out = splice_bytes_in(l->splice);
        l->report.bytes_in = splice_bytes_out(l->splice);
        splice_free(l->splice);
        l->splice = NULL;
        l->near = (struct pooled){ 0 };
        conn_pool_put(l->world->pool, l->report.tunnel, l->visitor_conn, idle);
    } else if (l->is_raw) {
        conn_close(l->near.conn, DRAIN_CLIENT_US);
        l->near.conn = NULL;
    }
    end(l, ERR_OK);
}

static void on_response_over(struct local *l)
{
    l->is_in_over = true;
    if (l->is_out_over) {
        finish(l);
        return;
    }
    /* The service has answered without reading all: nobody wants the rest. */
    session_stop(l->world->carrier->session, l->stream);
    link_wake_carrier(l->world->carrier);
}

static bool is_event_stream(const struct head *h)
{
    static const char type[] = "text/event-stream";
    struct span value = head_find(h, "content-type");

    return value.len >= sizeof(type) - 1 &&
           head_same(span_of(value.data, sizeof(type) - 1), type);
}

static void note_head(struct local *l, const struct head *h)
{
    l->report.status = h->status;
    l->is_answered = true;
    l->is_raw = h->status == 101;
    if (l->is_raw || is_event_stream(h)) {
        session_set_class(l->world->carrier->session, l->stream,
                          CLASS_INTERACTIVE);
    }
}

/* A head from the service: narrow its cookies, encode it, send it on. */
static enum err send_head(struct local *l, struct head *h, enum head_kind kind)
{
    uint8_t *scratch = l->world->scratch;
    struct wire_writer values;
    struct wire_writer block;

    wire_writer_init(&values, scratch, HEAD_MAX);
    wire_writer_init(&block, scratch + HEAD_MAX, HEAD_MAX);
    if (kind != HEAD_TRAILERS) {
        fields_response(h, l->tunnel->public_host, &values);
    }
    head_encode(&block, h);
    if (!wire_writer_done(&block)) {
        return ERR_LIMIT;
    }
    return session_write_head(l->world->carrier->session, l->stream, kind,
                              wire_written(&block), false);
}

static void on_head(struct local *l)
{
    struct head *h = splice_head(l->splice);
    enum head_kind kind = splice_head_kind(l->splice);

    if (send_head(l, h, kind) != ERR_OK) {
        break_off(l, ERR_SERVICE_BROKE);
        return;
    }
    if (kind == HEAD_FINAL) {
        note_head(l, h);
        if (l->is_raw) {
            splice_raw(l->splice);
        }
    }
    link_wake_carrier(l->world->carrier);
}

static void on_splice(struct splice *s, enum splice_event event, void *owner)
{
    struct local *l = owner;

    (void)s;
    switch (event) {
    case SPLICE_HEAD:
        on_head(l);
        break;
    case SPLICE_IN_END:
        on_response_over(l);
        break;
    case SPLICE_OUT_END:
        l->is_out_over = true;
        if (l->is_in_over) {
            finish(l);
        }
        break;
    case SPLICE_RAW_END:
        finish(l);
        break;
    case SPLICE_BAD:
    case SPLICE_CUT:
        on_broken(l, ERR_SERVICE_BROKE);
        break;
    }
}

static void on_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct local *l = owner;

    (void)c;
    splice_conn(l->splice, event);
}

static enum err write_request(struct local *l)
{
    char authority[TARGET_TEXT_MAX];
    struct head h;

    TRY(request_head(chunk_span(l->block), &l->tunnel->target,
                     l->tunnel->host_header, authority, &h));
    return splice_write_head(l->splice, &h, NULL);
}

/* The request's trailers, encoded in |block|. False: |l| is gone. */
static bool write_trailers(struct local *l, struct span block)
{
    const char *why;
    struct head h;

    if (head_decode(block, &h, &why) != ERR_OK) {
        break_off(l, ERR_HEAD);
        return false;
    }
    fields_trailers(&h);
    if (splice_write_trailers(l->splice, &h) != ERR_OK) {
        break_off(l, ERR_SERVICE_BROKE);
        return false;
    }
    return true;
}

/* What came of the body while there was no connection. */
static void write_early(struct local *l)
{
    struct session_event event = { .kind = EVENT_DATA, .stream = l->stream };
    struct chunk *c;

    while ((c = chunk_queue_take(&l->early.body)) != NULL) {
        event.bytes = chunk_span(c);
        splice_data(l->splice, &event);
        chunk_free(c);
    }
    c = l->early.trailers;
    l->early.trailers = NULL;
    if (c != NULL && !write_trailers(l, chunk_span(c))) {
        chunk_free(c);
        return;
    }
    chunk_free(c);
    if (l->early.has_fin) {
        l->early.has_fin = false;
        event.bytes = span_of(NULL, 0);
        event.fin = true;
        splice_data(l->splice, &event);
    }
}

/* There is a connection: join it to the stream and send the request. */
static void begin(struct local *l)
{
    struct splice_options o = {
        .conn = l->near.conn,
        .carrier = l->world->carrier,
        .parser = l->near.parser,
        .on_event = on_splice,
        .owner = l,
    };

    l->splice = splice_new(&o);
    if (l->splice == NULL) {
        break_off(l, ERR_NOMEM);
        return;
    }
    conn_set_owner(l->near.conn, on_conn, l);
    splice_set_stream(l->splice, l->stream);
    h1_parser_expect(l->near.parser, &l->report.request.expect);
    if (write_request(l) != ERR_OK) {
        break_off(l, ERR_HEAD);
        return;
    }
    conn_resume(l->near.conn);
    write_early(l);
}

/* Nothing at the target is the request's affair, and shown with it; being out
 * of descriptors is the machine's. Said once in a while. */
static void tell_failed(struct local *l, enum err error, const char *why)
{
    struct local_world *w = l->world;
    uint64_t now_us = loop_now(w->loop);

    if (error == ERR_LIMIT &&
        (w->told_us == 0 || now_us - w->told_us > TELL_EACH_US)) {
        w->told_us = now_us;
        LOG(LOG_ERROR, "out-of-descriptors", log_text("why", why),
            log_text("what", "requests are answered with 502 till others end; "
                             "raise `ulimit -n`"));
    }
}

static void on_dial(struct conn *c, enum err error, const char *why,
                    void *owner)
{
    struct local *l = owner;

    l->dial = NULL;
    if (error != ERR_OK) {
        tell_failed(l, error, why);
        break_off(l, error == ERR_LIMIT ? ERR_NOMEM : ERR_SERVICE_DOWN);
        return;
    }
    l->near.conn = c;
    l->near.parser = h1_parser_new(H1_RESPONSES);
    if (l->near.parser == NULL) {
        break_off(l, ERR_NOMEM);
        return;
    }
    conn_keep_alive(c);
    begin(l);
}

static void connect_to_target(struct local *l)
{
    struct dial_options o = {
        .host = l->tunnel->target.host,
        .port = l->tunnel->target.port,
        .tls = l->tunnel->target.is_tls ? l->tunnel->tls : NULL,
        .deadline_us = LOCAL_CONNECT_US,
        .on_done = on_dial,
        .owner = l,
    };

    if (dial_start(l->world->loop, &o, &l->dial) != ERR_OK) {
        break_off(l, ERR_NOMEM);
    }
}

static struct local *local_new(struct local_world *world,
                               const struct local_tunnel *tunnel,
                               const struct session_event *open)
{
    struct local *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return NULL;
    }
    l->block = chunk_copy(open->bytes);
    if (l->block == NULL) {
        free(l);
        return NULL;
    }
    l->world = world;
    l->tunnel = tunnel;
    l->stream = open->stream;
    l->visitor_conn = open->open.visitor_conn;
    l->early.has_fin = open->fin;
    l->began_us = world->loop->now_us;
    l->report.tunnel = open->open.tunnel;
    l->report.visitor = open->open.address;
    local_set_add(&world->locals, &l->member, l);
    return l;
}

void local_open(struct local_world *world, const struct local_tunnel *tunnel,
                const struct session_event *open)
{
    struct session *s = world->carrier->session;
    struct local *l = local_new(world, tunnel, open);

    if (l == NULL) {
        session_reset(s, open->stream, ERR_NOMEM);
        return;
    }
    session_set_owner(s, l->stream, l);
    if (open->open.kind != STREAM_HTTP ||
        request_read(&l->report.request, chunk_span(l->block)) != ERR_OK) {
        break_off(l, ERR_HEAD);
        return;
    }
    if (conn_pool_take(world->pool, open->open.tunnel, l->visitor_conn,
                       &l->near)) {
        l->is_reused = true;
        begin(l);
        return;
    }
    connect_to_target(l);
}

static void on_trailers(struct local *l, const struct session_event *event)
{
    if (write_trailers(l, event->bytes) && event->fin) {
        struct session_event last = { .kind = EVENT_DATA,
                                      .stream = l->stream,
                                      .fin = true };

        splice_data(l->splice, &last);
    }
}

/* The stream is gone: so is the connection. */
static void cut(struct local *l, enum err error)
{
    l->stream = 0;
    if (l->near.conn != NULL) {
        conn_abort(l->near.conn);
        l->near.conn = NULL;
    }
    end(l, error);
}

void local_event(struct local *l, const struct session_event *event)
{
    if (event->kind == EVENT_RESET) {
        cut(l, event->code);
        return;
    }
    if (event->kind != EVENT_HEAD && event->kind != EVENT_DATA) {
        return;
    }
    if (l->splice == NULL) {
        if (early_keep(&l->early, event) != ERR_OK) {
            break_off(l, ERR_NOMEM);
        }
    } else if (event->kind == EVENT_HEAD) {
        on_trailers(l, event);
    } else {
        splice_data(l->splice, event);
    }
}

void local_writable(struct local *l)
{
    if (l->splice != NULL) {
        splice_writable(l->splice);
    }
}

void local_abandon(struct local *l)
{
    cut(l, ERR_CLOSED);
}

bool local_is_on(const struct local *l, unsigned slot)
{
    struct session *s = l->world->carrier->session;

    return session_has_stream(s, l->stream) &&
           session_stream_slot(s, l->stream) == slot;
}

void local_shed(struct local *l)
{
    cut(l, ERR_LIMIT);
}

void local_look_at_stall(struct local *l, uint64_t limit_us)
{
    if (l->splice != NULL &&
        loop_now(l->world->loop) - splice_moved_us(l->splice) >= limit_us) {
        LOG(LOG_WARN, "service-stalled", log_u64("stream", l->stream),
            log_text("why", "the service does not read its request"));
        break_off(l, ERR_TIMEOUT);
    }
}
