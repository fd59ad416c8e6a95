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
    SPLICE_HEAD,    /* conn: splice_head() arrived (also 1xx, trailers:
                       splice_head_kind()); call splice_send_head() or not */
    SPLICE_IN_END,  /* conn: the message has ended; FIN was given to the
                       stream; unread input stays in the conn */
    SPLICE_BAD,     /* conn: not HTTP: splice_why(), splice_status() */
    SPLICE_CUT,     /* conn: ended or failed in the middle of things */
    SPLICE_RAW_END, /* raw: both directions have ended */
    SPLICE_OUT_END  /* stream: its body was written to the conn whole and
                       handed to the kernel */
};

struct splice;
typedef void splice_fn(struct splice *s, enum splice_event event, void *owner);

struct splice_options {
    struct conn *conn;        /* borrowed; its events go to splice_conn() */
    struct carrier *carrier;  /* borrowed */
    struct h1_parser *parser; /* borrowed: the conn's, between messages */
    splice_fn *on_event;
    void *owner;
};

/* NULL without memory. No stream yet. */
struct splice *splice_new(const struct splice_options *o);

/* No event follows. Does not end stream or conn. NULL is fine. */
void splice_free(struct splice *s);

/* The stream this exchange has (set at OPEN); 0 none. */
void splice_set_stream(struct splice *s, uint32_t stream);

/* The owner gives what it is told: conn events, stream events, writability. */
void splice_conn(struct splice *s, enum conn_event event);
void splice_data(struct splice *s, const struct session_event *event);
void splice_writable(struct splice *s);

/* Inward: the head that just arrived, and what kind it is. */
struct head *splice_head(struct splice *s);
enum head_kind splice_head_kind(const struct splice *s);

/*
 * Outward: write this head to the conn and remember how the body goes.
 * Requests with |to| NULL. After a 101 that upgrades call splice_raw() once
 * it was written.
 */
MUST_CHECK enum err splice_write_head(struct splice *s, const struct head *h,
                                      const struct h1_response_to *to);

/* Outward: trailers for the body's end, before the stream's FIN is told. */
MUST_CHECK enum err splice_write_trailers(struct splice *s,
                                          const struct head *h);

/* Hold back inward bytes after a head (an upgrade's answer is due), and let
 * them go on: raw to the stream, or to the parser. */
void splice_hold(struct splice *s);
void splice_raw(struct splice *s);
void splice_resume(struct splice *s);

/* Inward: drop up to DISCARD_AFTER_STOP_MAX more body bytes, send none. */
void splice_discard(struct splice *s);

/* Counters for the request line on the screen: body bytes each way. */
uint64_t splice_bytes_in(const struct splice *s);
uint64_t splice_bytes_out(const struct splice *s);

/* Last time bytes moved while we wanted them to, for the stall limit. */
uint64_t splice_moved_us(const struct splice *s);

/* After a failure: its sentence, the splice's own, and the HTTP status. */
const char *splice_why(const struct splice *s);
unsigned splice_status(const struct splice *s);

#endif
