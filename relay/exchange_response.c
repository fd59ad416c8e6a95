/*
 * What comes back from the client is decoded as strictly as what a visitor
 * sends: heads are rebuilt from fields, and a response that cannot be finished
 * properly ends with the visitor's connection cut, never with a last chunk.
 */
#include "relay/exchange_response.h"

#include "common/http/fields.h"
#include "common/log.h"
#include "relay/client_session.h"
#include "relay/worker.h"

/* Informational heads have no window to hold them back: with more than this
 * unread by the visitor they are dropped, as they may be. */
#define INFORMATIONAL_UNSENT_MAX HEAD_MAX

/* The response is over; what of the request is left decides how it ends. */
static void look_at_end(struct exchange *x)
{
    if (!x->out_ended) {
        return;
    }
    if (x->in_ended) {
        exchange_finish(x, EXCHANGE_DONE, ERR_OK);
    } else if (x->is_stopped ||
               !session_has_stream(x->session->carrier.session, x->stream)) {
        /* PROTOCOL.md, STOP: nobody wants the rest of the upload. */
        exchange_finish(x, EXCHANGE_LINGER, ERR_OK);
    }
}

static void send_trailers(struct exchange *x)
{
    struct head *h = splice_head(x->splice);
    struct wire_writer w;

    fields_trailers(h);
    if (h->count == 0) {
        return;
    }
    wire_writer_init(&w, x->worker->scratch, HEAD_MAX);
    head_encode(&w, h);
    if (!wire_writer_done(&w) ||
        session_write_head(x->session->carrier.session, x->stream,
                           HEAD_TRAILERS, wire_written(&w), false) != ERR_OK) {
        LOG(LOG_WARN, "trailers-dropped", log_text("host", x->host));
    }
}

static void visitor_is_bad(struct exchange *x)
{
    struct error_page page = { .kind = PAGE_BAD,
                               .status = splice_status(x->splice),
                               .host = x->host,
                               .detail = splice_why(x->splice),
                               .is_navigation = x->is_navigation };

    LOG(LOG_INFO, "request-refused", log_text("host", x->host),
        log_text("why", page.detail));
    if (x->status != 0) {
        exchange_finish(x, EXCHANGE_CUT, ERR_HEAD);
    } else {
        exchange_finish_with(x, &page, ERR_HEAD);
    }
}

void exchange_response_spliced(struct splice *s, enum splice_event event,
                               void *owner)
{
    struct exchange *x = owner;

    assert(s == x->splice);
    switch (event) {
    case SPLICE_HEAD:
        /* The request's head was read before the splice began. */
        assert(splice_head_kind(s) == HEAD_TRAILERS);
        send_trailers(x);
        break;
    case SPLICE_IN_END:
        x->in_ended = true;
        x->gave_fin = !x->is_stopped;
        look_at_end(x);
        break;
    case SPLICE_OUT_END:
        x->out_ended = true;
        look_at_end(x);
        break;
    case SPLICE_RAW_END:
        x->in_ended = true;
        x->gave_fin = true;
        x->out_ended = true;
        exchange_finish(x, EXCHANGE_LINGER, ERR_OK);
        break;
    case SPLICE_BAD:
        visitor_is_bad(x);
        break;
    case SPLICE_CUT:
        LOG(LOG_DEBUG, "exchange-cut", log_text("host", x->host),
            log_text("why", splice_why(s)));
        exchange_finish(x, EXCHANGE_CUT, ERR_CANCEL);
        break;
    }
}

/* What the client sent cannot be a response: its fault, not the visitor's. */
static void service_is_bad(struct exchange *x, const char *why)
{
    LOG(LOG_WARN, "response-refused", log_text("host", x->host),
        log_text("why", why));
    if (x->status != 0) {
        exchange_finish(x, EXCHANGE_CUT, ERR_HEAD);
    } else {
        exchange_finish_page(x, PAGE_SERVICE_BROKE, ERR_HEAD);
    }
}

static const char *wrong_status(const struct exchange *x, enum head_kind kind,
                                const struct head *h)
{
    if (h->status == 0) {
        return "a head that is not a response's";
    }
    if (kind == HEAD_INFORMATIONAL) {
        return h->status >= 200 || h->status == 101
                   ? "an informational head with a final status"
                   : NULL;
    }
    if (h->status == 101) {
        return x->is_upgrade && h->is_upgrade
                   ? NULL
                   : "101 without an upgrade that was asked for";
    }
    return h->status < 200 ? "a final head with an informational status" : NULL;
}

/* Write the head to the visitor. |x| may have ended when it returns. */
static enum err write_head(struct exchange *x, enum head_kind kind,
                           struct head *h)
{
    struct h1_response_to to = { .version = x->version,
                                 .request_is_head = x->is_head };
    struct wire_writer scratch;

    wire_writer_init(&scratch, x->worker->scratch, HEAD_MAX);
    fields_response(h, x->host, &scratch);
    if (kind == HEAD_FINAL) {
        /*
         * Before the request's end the connection cannot be reused: what is
         * left of the upload would be taken for a request (design 3.1, 8).
         * A body of unknown length ends for HTTP/1.0 with the connection.
         */
        x->said_close = !x->keeps_alive || drain_is_on(x->worker) ||
                        (!x->in_ended && h->status != 101) ||
                        (x->version == 10 && h->framing == BODY_UNKNOWN);
        to.close = x->said_close;
        x->status = h->status;
    }
    TRY(splice_write_head(x->splice, h, &to));
    if (kind == HEAD_FINAL && h->status == 101) {
        x->is_raw = true;
        splice_raw(x->splice);
    }
    return ERR_OK;
}

static void take_head(struct exchange *x, const struct session_event *event)
{
    const char *why = "a malformed head";
    struct head h;

    if (head_decode(event->bytes, &h, &why) != ERR_OK) {
        service_is_bad(x, why);
        return;
    }
    if (event->head == HEAD_TRAILERS) {
        fields_trailers(&h);
        if (splice_write_trailers(x->splice, &h) != ERR_OK) {
            service_is_bad(x, "trailers without a chunked body");
        }
        return;
    }
    why = wrong_status(x, event->head, &h);
    if (why != NULL) {
        service_is_bad(x, why);
        return;
    }
    if (event->head == HEAD_FINAL && x->is_upgrade && h.status != 101) {
        /* No upgrade after all: the request's end may be read now. */
        splice_resume(x->splice);
        if (!exchange_is_on(x)) {
            return;
        }
    }
    if (event->head == HEAD_INFORMATIONAL &&
        conn_unsent(x->conn) > INFORMATIONAL_UNSENT_MAX) {
        LOG(LOG_DEBUG, "informational-dropped", log_text("host", x->host),
            log_u64("status", h.status));
        return;
    }
    if (write_head(x, event->head, &h) != ERR_OK) {
        service_is_bad(x, "a head that cannot be written");
    }
}

static void take_stop(struct exchange *x)
{
    x->is_stopped = true;
    if (!x->in_ended) {
        splice_discard(x->splice);
    }
    if (exchange_is_on(x)) {
        look_at_end(x);
    }
}

static void take_reset(struct exchange *x, enum err code)
{
    if (x->out_received) {
        /* The answer is whole: only the rest of the upload is unwanted. */
        take_stop(x);
    } else if (x->status != 0) {
        exchange_finish(x, EXCHANGE_CUT, code);
    } else if (code == ERR_SERVICE_DOWN) {
        exchange_finish_page(x, PAGE_SERVICE_DOWN, code);
    } else if (code == ERR_REFUSED || code == ERR_LIMIT) {
        exchange_finish_page(x, PAGE_BUSY, code);
    } else {
        exchange_finish_page(x, PAGE_SERVICE_BROKE, code);
    }
}

void exchange_response_event(struct exchange *x,
                             const struct session_event *event)
{
    struct session_event rest = *event;

    switch (event->kind) {
    case EVENT_HEAD:
        take_head(x, event);
        if (event->fin && exchange_is_on(x)) {
            x->out_received = true;
            rest.kind = EVENT_DATA;
            rest.bytes = span_of(NULL, 0);
            splice_data(x->splice, &rest);
        }
        break;
    case EVENT_DATA:
        x->out_received = event->fin;
        splice_data(x->splice, event);
        break;
    case EVENT_RESET:
        take_reset(x, event->code);
        break;
    case EVENT_STOP:
        take_stop(x);
        break;
    case EVENT_NONE:
    case EVENT_OPEN:
    case EVENT_BIND:
    case EVENT_BOUND:
    case EVENT_REFUSED:
    case EVENT_UNBIND:
    case EVENT_UNBOUND:
    case EVENT_GOAWAY:
    case EVENT_NEXT_KEY:
        assert(!"not an event of a stream");
        break;
    }
}
