/*
 * A splice's inward direction: from the conn through the parser, or raw, to
 * the stream, as long as that has room; and what the conn's end means there.
 */
#include "common/splice_private.h"

/* Reads up to this size are a person's or a voice's; see splice_note_read(). */
#define INTERACTIVE_READ_MAX (4u * KIB)
#define INTERACTIVE_AFTER 8u

_Static_assert(CONN_MORE_MAX == SENT_AHEAD_MAX, "splice_watch() keeps to it");

/* Give a chunk to the stream. False: it is gone, or there is no memory. */
static bool splice_give(struct splice *s, struct chunk *chunk)
{
    size_t len;
    enum err err;

    if (chunk == NULL) {
        splice_stop(s, SPLICE_CUT, error_text(ERR_NOMEM));
        return false;
    }
    len = chunk->len;
    err = session_write_take(s->carrier->session, s->stream, chunk);
    if (err == ERR_ABSENT) {
        /* Its owner has heard, or will hear, how it ended: till then the rest
         * is dropped, while an answer may still be on its way out. */
        s->in = s->is_raw ? IN_STOPPED : IN_DISCARD;
        return true;
    }
    if (err != ERR_OK) {
        splice_stop(s, SPLICE_CUT, error_text(err));
        return false;
    }
    s->bytes_in += len;
    return true;
}

/* Whether the stream takes bytes now; if not, reading waits for
 * splice_writable(), or the rest is dropped when the stream is gone. */
static bool splice_has_room(struct splice *s)
{
    bool was_blocked = s->is_blocked;

    s->is_blocked = session_room(s->carrier->session, s->stream) == 0;
    if (s->is_blocked && s->stream != 0 && !s->is_raw &&
        !session_has_stream(s->carrier->session, s->stream)) {
        s->is_blocked = false;
        s->in = IN_DISCARD;
        return false;
    }
    if (s->is_blocked) {
        conn_pause(s->conn);
    } else if (was_blocked) {
        s->moved_us = splice_now(s);
    }
    return !s->is_blocked;
}

/* Body bytes, which are not yet consumed in the conn. */
static bool splice_body(struct splice *s, struct span bytes)
{
    s->moved_us = splice_now(s);
    if (s->in == IN_DISCARD) {
        s->discarded += bytes.len;
        return true;
    }
    while (bytes.len > 0) {
        size_t len =
            bytes.len < FRAME_PAYLOAD_MAX ? bytes.len : FRAME_PAYLOAD_MAX;

        if (!splice_give(s, chunk_copy(span_of(bytes.data, len)))) {
            return false;
        }
        bytes = span_after(bytes, len);
    }
    return true;
}

/* A whole chunk of nothing but body goes to the stream without a copy. */
static bool splice_take_body(struct splice *s, size_t len)
{
    h1_parser_skip(s->parser, len);
    s->moved_us = splice_now(s);
    return splice_give(s, conn_take_input(s->conn));
}

static void splice_in_end(struct splice *s)
{
    if (s->in == IN_HTTP) {
        /* A stream that is gone needs none. */
        (void)!session_write_fin(s->carrier->session, s->stream);
        /* Now, because the owner may free the splice when it is told. */
        link_wake_carrier(s->carrier);
    }
    s->in = IN_ENDED;
    splice_tell(s, SPLICE_IN_END);
}

static void splice_tell_head(struct splice *s, enum h1_event event)
{
    if (event == H1_TRAILERS) {
        s->head_kind = HEAD_TRAILERS;
    } else if (h1_parser_role(s->parser) == H1_REQUESTS) {
        s->head_kind = HEAD_REQUEST;
    } else {
        unsigned status = h1_parser_head(s->parser)->status;

        s->head_kind =
            status >= 200 || status == 101 ? HEAD_FINAL : HEAD_INFORMATIONAL;
    }
    if (s->in == IN_HTTP) {
        splice_tell(s, SPLICE_HEAD);
    }
    if (!s->is_freed) {
        h1_parser_drop_head(s->parser);
    }
}

/* What the parser said of the first |used| bytes of the conn's input. False:
 * nothing more to do now. */
static bool splice_parsed(struct splice *s, enum h1_event event, size_t used)
{
    bool goes_on = true;

    if (event == H1_BODY) {
        goes_on = splice_body(s, h1_parser_body(s->parser));
    }
    if (s->is_freed) {
        return false;
    }
    conn_consume(s->conn, used);
    switch (event) {
    case H1_BODY:
        return goes_on;
    case H1_MORE:
        return false;
    case H1_HEAD:
    case H1_TRAILERS:
        splice_tell_head(s, event);
        break;
    case H1_END:
        splice_in_end(s);
        break;
    case H1_RAW:
        s->in = IN_HOLD;
        break;
    }
    return !s->is_freed;
}

/* One step of the parser over the conn's input. False: wait. */
static bool splice_parse(struct splice *s)
{
    struct span in = conn_input(s->conn);
    enum h1_event event;
    size_t used;
    enum err err;

    if (s->in == IN_HTTP) {
        uint64_t plain = h1_parser_plain_body(s->parser);

        if (!splice_has_room(s)) {
            return s->in == IN_DISCARD;
        }
        if (in.len > 0 && plain >= in.len) {
            return splice_take_body(s, in.len);
        }
    } else if (s->discarded > DISCARD_AFTER_STOP_MAX) {
        conn_pause(s->conn);
        return false;
    }

    err = h1_parser_step(s->parser, in, &used, &event);
    if (err != ERR_OK) {
        s->status = h1_parser_status(s->parser);
        splice_stop(s, err == ERR_HEAD ? SPLICE_BAD : SPLICE_CUT,
                    h1_parser_why(s->parser));
        return false;
    }
    return splice_parsed(s, event, used);
}

/*
 * Voice, keys and mouse come in small reads and must overtake; a file sent
 * over a WebSocket must not. A few small reads in a row are needed to come
 * back, because the end of each large message is one.
 */
static void splice_note_read(struct splice *s, size_t len)
{
    if (len > INTERACTIVE_READ_MAX) {
        s->small_reads = 0;
    } else if (s->small_reads < INTERACTIVE_AFTER) {
        s->small_reads++;
    }
    if (s->is_interactive && s->small_reads == 0) {
        s->is_interactive = false;
        session_set_class(s->carrier->session, s->stream, CLASS_AUTO);
    } else if (!s->is_interactive && s->small_reads == INTERACTIVE_AFTER) {
        s->is_interactive = true;
        session_set_class(s->carrier->session, s->stream, CLASS_INTERACTIVE);
    }
}

static bool splice_take_raw(struct splice *s)
{
    size_t len = conn_input(s->conn).len;

    if (len == 0 || !splice_has_room(s)) {
        return false;
    }
    splice_note_read(s, len);
    return splice_give(s, conn_take_input(s->conn));
}

/* Bytes that are not for this message: they stay in the conn, but it reads on
 * a little, so that its end is noticed. */
static void splice_watch(struct splice *s)
{
    if (conn_input(s->conn).len > 0 &&
        conn_more(s->conn, CONN_MORE_MAX) != ERR_OK) {
        conn_pause(s->conn);
    }
}

/* Move what can be moved. */
void splice_in_pump(struct splice *s)
{
    bool goes_on = true;

    if (s->in == IN_HOLD || s->in == IN_RAW) {
        /* An upgraded connection lives long: not with its head. */
        h1_parser_drop_head(s->parser);
    }
    while (goes_on) {
        switch (s->in) {
        case IN_HTTP:
        case IN_DISCARD:
            goes_on = splice_parse(s);
            break;
        case IN_RAW:
            goes_on = splice_take_raw(s);
            break;
        case IN_HOLD:
        case IN_ENDED:
            splice_watch(s);
            goes_on = false;
            break;
        case IN_RAW_ENDED:
        case IN_STOPPED:
            goes_on = false;
            break;
        }
    }
}

static void splice_eof_of_message(struct splice *s)
{
    enum h1_event event;

    if (!conn_eof_is_clean(s->conn)) {
        splice_stop(s, SPLICE_CUT,
                    "the connection broke off without its TLS end");
    } else if (h1_parser_eof(s->parser, &event) != ERR_OK) {
        splice_stop(s, SPLICE_CUT, h1_parser_why(s->parser));
    } else if (event == H1_END) {
        splice_in_end(s);
    } else {
        splice_stop(s, SPLICE_CUT, "the connection ended");
    }
}

bool splice_in_is_answered(const struct splice *s)
{
    return s->in == IN_ENDED && h1_parser_role(s->parser) == H1_RESPONSES;
}

/* The conn has ended and all of its bytes were used. */
static void splice_eof(struct splice *s)
{
    switch (s->in) {
    case IN_HTTP:
        splice_eof_of_message(s);
        break;
    case IN_RAW:
        (void)!session_write_fin(s->carrier->session, s->stream);
        s->in = IN_RAW_ENDED;
        break;
    case IN_ENDED:
        if (splice_in_is_answered(s)) {
            splice_out_drop(s);
            break;
        }
        splice_stop(s, SPLICE_CUT, "the connection ended");
        break;
    case IN_DISCARD:
    case IN_HOLD:
        splice_stop(s, SPLICE_CUT, "the connection ended");
        break;
    case IN_RAW_ENDED:
    case IN_STOPPED:
        break;
    }
}

void splice_in_look_at_eof(struct splice *s)
{
    bool is_all_used =
        s->in == IN_HOLD || s->in == IN_ENDED || conn_input(s->conn).len == 0;

    if (s->has_eof && is_all_used) {
        splice_eof(s);
    }
}

void splice_hold(struct splice *s)
{
    if (s->in == IN_HTTP) {
        s->in = IN_HOLD;
    }
}

void splice_raw(struct splice *s)
{
    if (s->in != IN_HTTP && s->in != IN_HOLD) {
        return;
    }
    s->in = IN_RAW;
    s->is_raw = true;
    s->body = (struct h1_body){ .mode = H1_BODY_RAW };
    s->is_interactive = true;
    s->small_reads = INTERACTIVE_AFTER;
    session_set_class(s->carrier->session, s->stream, CLASS_INTERACTIVE);
    splice_wake(s);
}

void splice_resume(struct splice *s)
{
    if (s->in == IN_HOLD) {
        s->in = IN_HTTP;
        s->moved_us = splice_now(s);
        splice_wake(s);
    }
}

void splice_discard(struct splice *s)
{
    if (s->in == IN_HTTP || s->in == IN_HOLD) {
        s->in = IN_DISCARD;
        s->is_blocked = false;
        splice_wake(s);
    }
}
