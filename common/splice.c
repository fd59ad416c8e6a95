/*
 * Inward bytes are pumped when the conn has some and the stream has room;
 * outward bytes are written as they come, and their credit is given back as
 * the kernel takes them. What the owner is told, it is told from the conn's
 * events and at the end of the tick, never from within its own calls.
 */
#include <stdlib.h>

#include "common/splice_private.h"

void splice_wake(struct splice *s)
{
    if (!s->is_freed) {
        loop_flush_later(s->loop, &s->turn);
    }
}

void splice_tell(struct splice *s, enum splice_event event)
{
    assert(s->depth > 0 && !s->is_freed);
    s->on_event(s, event, s->owner);
}

void splice_stop(struct splice *s, enum splice_event event, const char *why)
{
    if (s->in == IN_STOPPED) {
        return;
    }
    s->in = IN_STOPPED;
    s->why = why;
    conn_pause(s->conn);
    splice_tell(s, event);
}

static void on_splice_turn(struct flush *f);

struct splice *splice_new(const struct splice_options *o)
{
    struct splice *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->conn = o->conn;
    s->loop = conn_loop(o->conn);
    s->carrier = o->carrier;
    s->parser = o->parser;
    s->on_event = o->on_event;
    s->owner = o->owner;
    s->turn.run = on_splice_turn;
    s->why = "";
    s->moved_us = splice_now(s);
    return s;
}

void splice_free(struct splice *s)
{
    if (s == NULL) {
        return;
    }
    if (!s->is_freed) {
        s->is_freed = true;
        loop_flush_cancel(s->loop, &s->turn);
    }
    if (s->depth == 0) {
        free(s);
    }
}

static void splice_enter(struct splice *s)
{
    s->depth++;
}

static void splice_leave(struct splice *s)
{
    s->depth--;
    if (s->is_freed && s->depth == 0) {
        free(s);
    }
}

void splice_set_stream(struct splice *s, uint32_t stream)
{
    s->stream = stream;
    splice_wake(s);
}

/* Tell the ends that are reached. */
static void splice_look_at_ends(struct splice *s)
{
    if (s->out == OUT_FINISHED && conn_unsent(s->conn) == 0) {
        s->out = OUT_ENDED;
        if (!s->is_raw) {
            splice_tell(s, SPLICE_OUT_END);
        }
    }
    if (!s->is_freed && s->is_raw && s->in == IN_RAW_ENDED &&
        s->out == OUT_ENDED) {
        s->in = IN_STOPPED;
        splice_tell(s, SPLICE_RAW_END);
    }
}

/* After anything that may have moved something. */
static void splice_settle(struct splice *s)
{
    if (!s->is_freed && s->in != IN_STOPPED) {
        splice_in_look_at_eof(s);
    }
    if (!s->is_freed && s->out == OUT_BROKEN) {
        splice_stop(s, SPLICE_CUT, s->why);
    }
    if (!s->is_freed && s->in != IN_STOPPED) {
        splice_look_at_ends(s);
    }
    if (!s->is_freed) {
        splice_out_credit(s);
        link_wake_carrier(s->carrier);
    }
}

void splice_conn(struct splice *s, enum conn_event event)
{
    splice_enter(s);
    switch (event) {
    case CONN_UP:
        break;
    case CONN_DATA:
        splice_in_pump(s);
        break;
    case CONN_SENT:
        s->moved_us = splice_now(s);
        break;
    case CONN_EOF:
        s->has_eof = true;
        break;
    case CONN_DOWN:
        s->has_eof = true;
        if (!splice_in_is_answered(s)) {
            splice_stop(s, SPLICE_CUT, conn_why(s->conn));
        }
        break;
    }
    splice_settle(s);
    splice_leave(s);
}

/* At the end of the tick: what a call of the owner has made possible. */
static void on_splice_turn(struct flush *f)
{
    struct splice *s = container_of(f, struct splice, turn);

    splice_enter(s);
    if (s->out != OUT_BROKEN && s->in != IN_STOPPED) {
        if (conn_input(s->conn).len == 0) {
            splice_in_pump(s);
        }
        /* What lies unread comes as CONN_DATA in this tick. */
        if (!s->is_freed && !s->is_blocked && s->in != IN_STOPPED) {
            conn_resume(s->conn);
        }
    }
    splice_settle(s);
    splice_leave(s);
}

void splice_writable(struct splice *s)
{
    s->is_blocked = false;
    s->moved_us = splice_now(s);
    splice_wake(s);
}

struct head *splice_head(struct splice *s)
{
    return h1_parser_head(s->parser);
}

enum head_kind splice_head_kind(const struct splice *s)
{
    return s->head_kind;
}

bool splice_may_reuse(const struct splice *s)
{
    return s->in == IN_ENDED && s->out == OUT_ENDED && !s->is_raw &&
           !s->has_eof && conn_error(s->conn) == ERR_OK &&
           conn_input(s->conn).len == 0 && h1_parser_keeps_alive(s->parser);
}

uint64_t splice_bytes_in(const struct splice *s)
{
    return s->bytes_in;
}

uint64_t splice_bytes_out(const struct splice *s)
{
    return s->bytes_out;
}

uint64_t splice_moved_us(const struct splice *s)
{
    bool waits_in = h1_parser_role(s->parser) == H1_REQUESTS &&
                    (s->in == IN_HTTP || s->in == IN_DISCARD) && !s->is_blocked;

    return waits_in || conn_unsent(s->conn) > 0 ? s->moved_us : splice_now(s);
}

const char *splice_why(const struct splice *s)
{
    return s->why;
}

unsigned splice_status(const struct splice *s)
{
    return s->status;
}
