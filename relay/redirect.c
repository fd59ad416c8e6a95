/*
 * Reads one head, strictly, and answers it. The target goes into Location only
 * when the Host is a name of ours, so nobody is sent anywhere else.
 */
#include "relay/redirect.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/http/h1_parser.h"
#include "common/http/h1_writer.h"
#include "common/log.h"
#include "proto/hostname.h"
#include "relay/edge.h"
#include "relay/error_page.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

#define REDIRECT_LINGER_US (2 * US_PER_S)

struct redirect {
    struct redirect *next, *prev;
    struct worker *worker;
    struct conn *conn;
    struct timer *timer;
    struct h1_parser *parser;
    struct quota_hold hold;
};

static void drop(struct redirect *r, uint64_t linger_us)
{
    struct worker *w = r->worker;

    conn_close(r->conn, linger_us);
    timer_close(r->timer);
    h1_parser_free(r->parser);
    quota_leave(w->quota, &r->hold, loop_now(&w->loop));
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        w->redirecting = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    free(r);
    drain_look(w);
}

static void write_redirect(struct wire_writer *out, struct span location,
                           const struct h1_response_to *to)
{
    struct head head = { .status = 308, .framing = BODY_LENGTH };
    struct h1_body mode;

    if (head_add(&head, span_text("location"), location) == ERR_OK) {
        h1_write_response(out, &head, to, &mode);
    }
}

/* Where |h| should have gone, into |out|; false when it is not ours. */
static bool location_of(const struct worker *w, const struct head *h,
                        struct wire_writer *out)
{
    struct span label;
    char host[256];
    char label_text[64];
    char url[URL_MAX_LEN + 1];

    if (hostname_normalise(h->authority, host, sizeof(host)) != ERR_OK) {
        return false;
    }
    label = hostname_label(host, w->settings->domain);
    if (label.data == NULL || label.len >= sizeof(label_text)) {
        return false;
    }
    (void)snprintf(label_text, sizeof(label_text), "%.*s", (int)label.len,
                   (const char *)label.data);
    relay_settings_url(w->settings, label_text, url, sizeof(url));
    wire_write_text(out, url);
    if (h->target.len > 0 && h->target.data[0] == '/') {
        wire_write_bytes(out, h->target);
    } else {
        wire_write_text(out, "/");
    }
    return wire_writer_done(out);
}

static void answer(struct redirect *r)
{
    struct head *h = h1_parser_head(r->parser);
    struct error_page unknown = {
        .kind = PAGE_NAME_UNKNOWN,
        .is_navigation = error_page_is_navigation(h),
    };
    struct h1_response_to to = {
        .version = h1_parser_version(r->parser),
        .request_is_head = span_equal(h->method, span_text("HEAD")),
        .close = true,
    };
    struct wire_writer location, out;

    wire_writer_init(&location, r->worker->scratch, HEAD_MAX / 2);
    wire_writer_init(&out, r->worker->scratch + HEAD_MAX / 2, HEAD_MAX / 2);
    if (location_of(r->worker, h, &location)) {
        write_redirect(&out, wire_written(&location), &to);
    } else {
        error_page_write(&out, &unknown, &to);
    }
    if (!wire_writer_done(&out) ||
        conn_write(r->conn, wire_written(&out)) != ERR_OK) {
        drop(r, 0);
        return;
    }
    drop(r, REDIRECT_LINGER_US);
}

static void refuse(struct redirect *r)
{
    struct error_page bad = { .kind = PAGE_BAD,
                              .status = h1_parser_status(r->parser),
                              .detail = h1_parser_why(r->parser) };
    struct h1_response_to to = { .version = 11, .close = true };
    struct wire_writer out;

    wire_writer_init(&out, r->worker->scratch, HEAD_MAX);
    error_page_write(&out, &bad, &to);
    if (conn_write(r->conn, wire_written(&out)) != ERR_OK) {
        drop(r, 0);
        return;
    }
    drop(r, REDIRECT_LINGER_US);
}

static void read_head(struct redirect *r)
{
    for (;;) {
        struct span in = conn_input(r->conn);
        enum h1_event event;
        size_t used = 0;

        if (h1_parser_step(r->parser, in, &used, &event) != ERR_OK) {
            refuse(r);
            return;
        }
        if (event == H1_HEAD) {
            answer(r);
            return;
        }
        conn_consume(r->conn, used);
        if (used == in.len) {
            return;
        }
    }
}

static void on_redirect_conn(struct conn *c, enum conn_event event, void *owner)
{
    (void)c;
    switch (event) {
    case CONN_DATA:
        read_head(owner);
        break;
    case CONN_EOF:
    case CONN_DOWN:
        drop(owner, 0);
        break;
    case CONN_UP:
    case CONN_SENT:
        break;
    }
}

static void on_redirect_late(void *owner)
{
    drop(owner, 0);
}

void redirect_accept(int fd, void *worker)
{
    struct worker *w = worker;
    struct conn_options o = { .on_event = on_redirect_conn };
    struct handoff h;
    struct redirect *r = NULL;

    if (!edge_admit(w, fd, &o, &h)) {
        return;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        goto fail;
    }
    r->timer = timer_new(&w->loop, on_redirect_late, r);
    r->parser = h1_parser_new(H1_REQUESTS);
    if (r->timer == NULL || r->parser == NULL) {
        goto fail;
    }
    r->worker = w;
    r->conn = h.conn;
    r->hold = h.hold;
    r->next = w->redirecting;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    w->redirecting = r;
    timer_set(r->timer, h.accepted_us + REQUEST_HEAD_US);
    conn_set_owner(h.conn, on_redirect_conn, r);
    return;

fail:
    quota_leave(w->quota, &h.hold, h.accepted_us);
    conn_abort(h.conn);
    if (r != NULL) {
        timer_close(r->timer);
        h1_parser_free(r->parser);
        free(r);
    }
}

void redirect_close_all(struct worker *w)
{
    struct redirect *next;

    for (struct redirect *r = w->redirecting; r != NULL; r = next) {
        next = r->next;
        drop(r, 0);
    }
}
