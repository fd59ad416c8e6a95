/*
 * A splice's outward direction: heads and bodies written to the conn as the
 * stream brings them, and the credit for them given back as they leave.
 */
#include <stdlib.h>

#include "common/splice_private.h"

/* What a head's text needs beside its fields: reason, framing, connection. */
#define HEAD_TEXT_SLACK 512u

/* What has left for the kernel is granted again. The conn's unsent bytes are
 * counted with TLS and framing, so this is late rather than early. */
void splice_out_credit(struct splice *s)
{
    size_t unsent = conn_unsent(s->conn);
    uint64_t left = s->received > unsent ? s->received - unsent : 0;

    if (left > s->consumed) {
        session_now(s->carrier->session, splice_now(s));
        session_consumed(s->carrier->session, s->stream,
                         (size_t)(left - s->consumed));
        s->consumed = left;
    }
}

void splice_out_drop(struct splice *s)
{
    if (s->out == OUT_OPEN) {
        s->out = OUT_DROPPED;
    }
}

/* Nothing more can be written: the owner is told at the end of the tick. */
static void splice_break(struct splice *s, const char *why)
{
    if (s->out != OUT_BROKEN) {
        s->out = OUT_BROKEN;
        s->why = why;
    }
    splice_wake(s);
}

static void splice_write(struct splice *s, struct span bytes)
{
    if (conn_unsent(s->conn) == 0) {
        s->moved_us = splice_now(s);
    }
    if (conn_write(s->conn, bytes) == ERR_NOMEM) {
        splice_break(s, error_text(ERR_NOMEM));
    }
}

/* Room enough for |h| as text. */
static size_t splice_text_len(const struct head *h)
{
    size_t len =
        HEAD_TEXT_SLACK + h->method.len + h->target.len + h->authority.len;

    for (size_t i = 0; i < h->count; i++) {
        len += h->fields[i].name.len + h->fields[i].value.len + 4;
    }
    return len;
}

enum err splice_write_head(struct splice *s, const struct head *h,
                           const struct h1_response_to *to)
{
    size_t size = splice_text_len(h);
    struct wire_writer w;
    void *text = malloc(size);

    if (text == NULL) {
        return ERR_NOMEM;
    }
    wire_writer_init(&w, text, size);
    if (to == NULL) {
        h1_write_request(&w, h, &s->body);
    } else {
        h1_write_response(&w, h, to, &s->body);
    }
    assert(wire_writer_done(&w));
    s->has_head =
        s->has_head || to == NULL || h->status >= 200 || h->status == 101;
    if (w.len > 0) {
        splice_write(s, wire_written(&w));
    }
    free(text);
    return ERR_OK;
}

enum err splice_write_trailers(struct splice *s, const struct head *h)
{
    size_t size = splice_text_len(h);
    struct wire_writer w;
    enum err err;
    void *text;

    if (s->out != OUT_OPEN || !s->has_head) {
        return ERR_HEAD;
    }
    if (s->body.mode != H1_BODY_CHUNKED) {
        return ERR_OK;
    }
    text = malloc(size);
    if (text == NULL) {
        return ERR_NOMEM;
    }
    wire_writer_init(&w, text, size);
    err = h1_body_finish(&s->body, h, &w);
    assert(err == ERR_OK && wire_writer_done(&w));
    splice_write(s, wire_written(&w));
    free(text);
    return err;
}

/* A chunk's line, bytes and end in one piece: one TLS record, not three. */
static void splice_write_chunk(struct splice *s, struct span bytes)
{
    uint8_t text[FRAME_PAYLOAD_MAX + H1_CHUNK_LINE_MAX + 2];
    struct wire_writer w;
    enum err err;

    while (bytes.len > 0) {
        size_t len =
            bytes.len < FRAME_PAYLOAD_MAX ? bytes.len : FRAME_PAYLOAD_MAX;

        wire_writer_init(&w, text, sizeof(text));
        err = h1_body_begin(&s->body, len, &w);
        wire_write_bytes(&w, span_of(bytes.data, len));
        wire_write_bytes(&w, h1_chunk_end(&s->body));
        assert(err == ERR_OK && wire_writer_done(&w));
        splice_write(s, wire_written(&w));
        bytes = span_after(bytes, len);
    }
}

static void splice_write_body(struct splice *s, struct span bytes)
{
    struct wire_writer none;

    if (s->body.mode == H1_BODY_CHUNKED) {
        splice_write_chunk(s, bytes);
    } else {
        wire_writer_init(&none, NULL, 0);
        if (h1_body_begin(&s->body, bytes.len, &none) != ERR_OK) {
            splice_break(s, "the body is longer than its head said");
            return;
        }
        splice_write(s, bytes);
    }
    s->bytes_out += bytes.len;
}

static void splice_finish(struct splice *s)
{
    uint8_t text[8];
    struct wire_writer w;

    wire_writer_init(&w, text, sizeof(text));
    if (h1_body_finish(&s->body, NULL, &w) != ERR_OK) {
        splice_break(s, "the body is shorter than its head said");
        return;
    }
    if (w.len > 0) {
        splice_write(s, wire_written(&w));
    }
    if (s->is_raw) {
        conn_shutdown(s->conn);
    }
    if (s->out == OUT_OPEN) {
        s->out = OUT_FINISHED;
    }
    splice_wake(s);
}

void splice_data(struct splice *s, const struct session_event *event)
{
    struct span bytes =
        event->kind == EVENT_DATA ? event->bytes : span_of(NULL, 0);

    s->received += bytes.len;
    if (s->out != OUT_OPEN) {
        /* Nobody reads it any more, but its credit goes back. */
        if (s->out == OUT_DROPPED && event->fin) {
            s->out = OUT_FINISHED;
        }
        splice_wake(s);
        return;
    }
    if (!s->has_head) {
        if (bytes.len > 0 || event->fin) {
            splice_break(s, "a body came before its head");
        }
        return;
    }
    if (bytes.len > 0) {
        splice_write_body(s, bytes);
    }
    if (event->fin && s->out == OUT_OPEN) {
        splice_finish(s);
    }
}
