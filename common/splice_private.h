/*
 * What splice.c, splice_in.c and splice_out.c share: one object, seen from its
 * two directions. Nobody else includes this.
 */
#ifndef COMMON_SPLICE_PRIVATE_H
#define COMMON_SPLICE_PRIVATE_H

#include "common/splice.h"

enum splice_in {
    IN_HTTP,      /* to the parser, bodies to the stream */
    IN_DISCARD,   /* to the parser, bodies dropped */
    IN_HOLD,      /* left in the conn: an upgrade's answer is due */
    IN_RAW,       /* to the stream */
    IN_ENDED,     /* the message is over: the next one is left in the conn */
    IN_RAW_ENDED, /* FIN was given */
    IN_STOPPED    /* nothing more is read or told */
};

enum splice_out {
    OUT_OPEN,
    OUT_FINISHED, /* the FIN came; what is queued is still leaving */
    OUT_ENDED,
    OUT_DROPPED, /* nobody reads it any more: dropped till the FIN */
    OUT_BROKEN   /* does not fit its head: nothing more is written */
};

struct splice {
    struct conn *conn;
    struct loop *loop; /* the conn's: the owner may abort that first */
    struct carrier *carrier;
    struct h1_parser *parser;
    splice_fn *on_event;
    void *owner;
    struct flush turn;
    uint32_t stream;
    enum splice_in in;
    enum splice_out out;
    enum head_kind head_kind;
    struct h1_body body;
    uint64_t received; /* DATA bytes from the stream */
    uint64_t consumed; /* of them, granted again */
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t discarded;
    uint64_t moved_us;
    const char *why;
    unsigned status;
    unsigned small_reads;
    unsigned depth;  /* of calls that may tell the owner something */
    bool is_freed;   /* by the owner, within such a call */
    bool is_blocked; /* the stream has no room */
    bool is_interactive;
    bool has_head; /* a final head or a request was written */
    bool has_eof;
    bool is_raw;
};

/* The loop's time. */
static inline uint64_t splice_now(const struct splice *s)
{
    return s->loop->now_us;
}

/* Look at |s| again at the end of this tick. */
void splice_wake(struct splice *s);

/* Tell the owner, who may free |s|: look at is_freed after it. Only between
 * splice_conn()'s or the turn's begin and end. */
void splice_tell(struct splice *s, enum splice_event event);

/* The last event, unless there was one already; nothing more is read. */
void splice_stop(struct splice *s, enum splice_event event, const char *why);

/* Inward: move what can be moved; and the end of the conn, when it is due. */
void splice_in_pump(struct splice *s);
void splice_in_look_at_eof(struct splice *s);

/* Whether the service's answer is whole: its conn may end now. */
bool splice_in_is_answered(const struct splice *s);

/* Outward: nobody reads any more, but the inward message was whole. */
void splice_out_drop(struct splice *s);

/* Outward: give back the credit of what has left for the kernel. */
void splice_out_credit(struct splice *s);

#endif
