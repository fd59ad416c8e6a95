/*
 * Field rules between visitor and service: what is dropped, what is ours to
 * set, which cookie domains are narrowed. One table of names (fields.c).
 */
#ifndef COMMON_HTTP_FIELDS_H
#define COMMON_HTTP_FIELDS_H

#include "proto/head.h"

/* What we know and the visitor may not say. Texts borrowed, zero-terminated. */
struct fields_origin {
    const char *address; /* "198.51.100.4" */
    const char *host;    /* the public authority: "demo.t.example.com:8443" */
    const char *port;    /* "443": the public port */
    const char *scheme;  /* "https" */
};

/*
 * Relay: drop identity, forwarding and underscore fields of a request and set
 * ours: X-Forwarded-For, X-Real-IP, X-Forwarded-Proto, -Host, -Port.
 * ERR_LIMIT when they do not fit. |*dropped| counts what was dropped.
 */
MUST_CHECK enum err
fields_request(struct head *h, const struct fields_origin *o, size_t *dropped);

/* Client: the same names once more, whatever the relay sent: hop-by-hop
 * fields and Host stay out; ours stay in. */
void fields_request_local(struct head *h);

/*
 * Client, then relay: narrow Set-Cookie Domain attributes above |host| (the
 * tunnel's own name, no port): the attribute is removed, into |scratch| of
 * HEAD_MAX bytes. Nothing else of a response is touched.
 */
void fields_response(struct head *h, const char *host,
                     struct wire_writer *scratch);

/* Trailers: drop what may not stand there (framing, routing, identity). */
void fields_trailers(struct head *h);

#endif
