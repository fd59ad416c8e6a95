/*
 * Joins a conn to a stream, both ways, through an HTTP/1 reader and writer
 * and, once the exchange is raw, without them: backpressure, credit,
 * half-close and the ends. Heads are the owner's: the edge and the client's
 * local side each turn them their own way.
 *
 *   conn  -> h1_parser -> owner (heads) / stream (body)      "inward"
 *   stream -> owner (heads) / h1_writer -> conn              "outward"
 */
#ifndef COMMON_SPLICE_H
#define COMMON_SPLICE_H

#include "common/conn.h"
#include "common/http/h1_parser.h"
#include "common/http/h1_writer.h"
#include "common/link.h"

enum splice_event {
    SPLICE_HEAD,    /* conn: splice_head() arrived (also 1xx and trailers:
                       splice_head_kind()); give it to the stream without FIN,
                       that follows by itself */
    SPLICE_IN_END,  /* conn: the message has ended, and FIN was given to the
                       stream (not after splice_discard()); what the conn sends
                       after it stays unread in it, up to CONN_MORE_MAX */
    SPLICE_BAD,     /* conn: not HTTP: splice_why(), splice_status() */
    SPLICE_CUT,     /* conn: ended or failed in the middle of things (the
                       visitor left; the service broke off before its answer
                       was whole); or the stream's body does not fit its head:
                       splice_why(). Close it */
    SPLICE_RAW_END, /* raw: both directions have ended */
    SPLICE_OUT_END  /* stream: its message has ended and was handed to the
                       kernel (or dropped, when a service that has answered
                       closed without reading it); not in raw mode */
};

struct splice;

/*
 * Called from within splice_conn(), and at the end of the tick; never from
 * within another splice_ call. The callee may free the splice and close the
 * conn. SPLICE_BAD, SPLICE_CUT and SPLICE_RAW_END are the last event.
 */
typedef void splice_fn(struct splice *s, enum splice_event event, void *owner);

struct splice_options {
    struct conn *conn;        /* borrowed, up; its events go to splice_conn() */
    struct carrier *carrier;  /* borrowed */
    struct h1_parser *parser; /* borrowed: the conn's, between messages or
                                 behind the head of one */
    splice_fn *on_event;
    void *owner;
};

/* NULL without memory. No stream yet. */
struct splice *splice_new(const struct splice_options *o);

/* No event follows. Does not end stream or conn, which may be left paused.
 * NULL is fine. */
void splice_free(struct splice *s);

/* The stream this exchange has; till then the conn's bodies wait. */
void splice_set_stream(struct splice *s, uint32_t stream);

/* What happens to the conn. */
void splice_conn(struct splice *s, enum conn_event event);

/*
 * The stream's DATA events, and what its HEAD events say of fin (a HEAD's
 * bytes are the owner's: splice_write_head() or _trailers() first). All bytes
 * given here are granted again as the conn sends them.
 */
void splice_data(struct splice *s, const struct session_event *event);

/* The stream's queue has room again. */
void splice_writable(struct splice *s);

/* In SPLICE_HEAD: the head that just arrived, and what kind it is. Trailers
 * have passed fields_trailers(). */
struct head *splice_head(struct splice *s);
enum head_kind splice_head_kind(const struct splice *s);

/*
 * Outward: write this head to the conn and remember how the body goes.
 * Requests with |to| NULL. ERR_NOMEM. A conn that has failed is told by
 * SPLICE_CUT, not here. After a 101 call splice_raw().
 */
MUST_CHECK enum err splice_write_head(struct splice *s, const struct head *h,
                                      const struct h1_response_to *to);

/*
 * Outward: trailers end the body, the stream's FIN must follow. Dropped where
 * the body cannot have any. ERR_NOMEM; ERR_HEAD when the body has ended.
 */
MUST_CHECK enum err splice_write_trailers(struct splice *s,
                                          const struct head *h);

/*
 * Inward, after an upgrade's head: let what follows wait, unparsed (an end of
 * the conn is SPLICE_CUT); then give it, and all that follows, raw to the
 * stream, both ways; or let the parser go on with it.
 */
void splice_hold(struct splice *s);
void splice_raw(struct splice *s);
void splice_resume(struct splice *s);

/*
 * Inward: give the stream nothing more, no FIN either; of the message's rest
 * read and drop up to DISCARD_AFTER_STOP_MAX bytes, then read no more.
 */
void splice_discard(struct splice *s);

/* Whether both messages ended so that the conn can carry others: kept alive,
 * nothing unread, no end in sight. */
bool splice_may_reuse(const struct splice *s);

/* Counters for the request line on the screen: body bytes each way. */
uint64_t splice_bytes_in(const struct splice *s);
uint64_t splice_bytes_out(const struct splice *s);

/* Last time bytes moved while we wanted them to: now when nobody waits for
 * the conn. For requests' bodies and whatever is sent, not for answers. */
uint64_t splice_moved_us(const struct splice *s);

/* After SPLICE_BAD and SPLICE_CUT: a constant sentence or the conn's own, and
 * for bad requests the status to answer with. */
const char *splice_why(const struct splice *s);
unsigned splice_status(const struct splice *s);

#endif
