/*
 * Reads HTTP/1 messages (RFC 9112): our strict head check over the whole head
 * first, then llhttp, then a structured head. Pure: bytes in, one event out,
 * shaped like session_step(). Received head bytes never go further than here.
 */
#ifndef COMMON_HTTP_H1_PARSER_H
#define COMMON_HTTP_H1_PARSER_H

#include "common/http/h1_head.h"

struct h1_parser;

enum h1_role { H1_REQUESTS, H1_RESPONSES };

enum h1_event {
    H1_MORE,     /* all of |in| was used, nothing more to tell */
    H1_HEAD,     /* h1_parser_head(); for responses 1xx ones too */
    H1_BODY,     /* h1_parser_body(): bytes inside the caller's |in| */
    H1_TRAILERS, /* h1_parser_head() holds the trailer fields */
    H1_END,      /* the message is over; the next one may follow */
    H1_RAW       /* after a 101: what follows is not HTTP; none is used */
};

/* NULL without memory. A head buffer is only held while there is a head. */
struct h1_parser *h1_parser_new(enum h1_role role);
void h1_parser_free(struct h1_parser *p);

/* Responses: what the request was, before its response is parsed. */
void h1_parser_expect(struct h1_parser *p, const struct h1_expect *e);

/*
 * Take one step. H1_HEAD's head borrows from the parser until the next step.
 * A request's fields are as received but for Host (authority), the framing
 * fields, Connection and the fields it names, and other hop-by-hop fields,
 * which are taken out and put into the head's members; names are lower case.
 * Trailers have passed fields_trailers(). Call again after every event but
 * H1_MORE and H1_RAW, with what is left of |in|, empty or not: H1_END may be
 * told without another byte.
 * ERR_HEAD: h1_parser_why(), and for requests the status to answer with in
 * h1_parser_status(); the connection cannot go on, every later call fails.
 */
MUST_CHECK enum err h1_parser_step(struct h1_parser *p, struct span in,
                                   size_t *used, enum h1_event *event);

/*
 * The connection ended. |*event| is H1_END when a close-delimited body ends
 * properly by that (call it for a clean end only), H1_MORE between messages;
 * ERR_HEAD when a message was cut short.
 */
MUST_CHECK enum err h1_parser_eof(struct h1_parser *p, enum h1_event *event);

/* Of the last H1_HEAD or H1_TRAILERS; the caller may change it. */
struct head *h1_parser_head(struct h1_parser *p);
/* That head is not needed any more, before the next step: idle connections and
 * upgraded ones hold none. */
void h1_parser_drop_head(struct h1_parser *p);
/* Of the last H1_BODY. */
struct span h1_parser_body(const struct h1_parser *p);

/* What it was made for. */
enum h1_role h1_parser_role(const struct h1_parser *p);

/* Of the message whose head came last. */
unsigned h1_parser_version(const struct h1_parser *p); /* 10 or 11 */
bool h1_parser_keeps_alive(const struct h1_parser *p);
bool h1_parser_expects_continue(const struct h1_parser *p);
/* Whether body bytes or trailers may follow that head. False as well for a
 * 1xx, after which the next head follows. */
bool h1_parser_has_body(const struct h1_parser *p);

/* Nothing of a next message was seen yet, and none is unfinished. */
bool h1_parser_is_idle(const struct h1_parser *p);

/*
 * All of the next bytes of this message are plain body bytes (length or close
 * framing), so that whole chunks may bypass h1_parser_step(): how many; 0 when
 * not so. h1_parser_skip() says that |len| of them did. H1_END is still told
 * by the next step.
 */
uint64_t h1_parser_plain_body(const struct h1_parser *p);
void h1_parser_skip(struct h1_parser *p, uint64_t len);

const char *h1_parser_why(const struct h1_parser *p);
unsigned h1_parser_status(const struct h1_parser *p); /* 400 414 431 501 505 */

#endif
