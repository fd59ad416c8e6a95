/*
 * Writes HTTP/1.1 messages anew from structured heads: one framing, chosen
 * here, never one that was received.
 */
#ifndef COMMON_HTTP_H1_WRITER_H
#define COMMON_HTTP_H1_WRITER_H

#include "proto/head.h"

enum h1_body_mode {
    H1_BODY_NONE,
    H1_BODY_LENGTH,
    H1_BODY_CHUNKED,
    H1_BODY_CLOSE, /* to an HTTP/1.0 visitor */
    H1_BODY_RAW    /* after 101 */
};

/* The body being written after a head. */
struct h1_body {
    enum h1_body_mode mode;
    uint64_t left; /* of H1_BODY_LENGTH */
};

/* Write a request to the service; |*body| says how its body goes. */
void h1_write_request(struct wire_writer *w, const struct head *h,
                      struct h1_body *body);

struct h1_response_to {
    unsigned version; /* the visitor's: 10 or 11 */
    bool request_is_head;
    bool close; /* say Connection: close */
};

/*
 * Write a response (1xx too: then |body| is left alone) to the visitor. An
 * HTTP/1.0 visitor gets no 1xx (nothing is written) and no chunks.
 */
void h1_write_response(struct wire_writer *w, const struct head *h,
                       const struct h1_response_to *to, struct h1_body *body);

/* Longest chunk-size line, and what follows a chunk. */
#define H1_CHUNK_LINE_MAX 16u

/*
 * Around |len| body bytes: |before| gets the chunk-size line (empty when not
 * chunked); after the bytes h1_chunk_end() is due when chunked. ERR_HEAD when
 * the body is longer than its declared length.
 */
MUST_CHECK enum err h1_body_begin(struct h1_body *b, size_t len,
                                  struct wire_writer *before);
struct span h1_chunk_end(const struct h1_body *b); /* "\r\n" or empty */

/* The body is over: last chunk with |trailers| (NULL none) when chunked.
 * ERR_HEAD when the body is shorter than its length: cut the connection. */
MUST_CHECK enum err h1_body_finish(struct h1_body *b,
                                   const struct head *trailers,
                                   struct wire_writer *w);

#endif
