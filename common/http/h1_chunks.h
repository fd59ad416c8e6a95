/*
 * The chunked coding, read strictly and byte for byte (RFC 9112 section 7.1):
 * sizes and the bytes between. Extensions are dropped, and bounded. Trailers
 * are the parser's: they are collected like a head.
 */
#ifndef COMMON_HTTP_H1_CHUNKS_H
#define COMMON_HTTP_H1_CHUNKS_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/span.h"

enum h1_chunks_state {
    CHUNKS_SIZE,      /* in the digits */
    CHUNKS_EXTENSION, /* behind a ';' */
    CHUNKS_SIZE_LF,   /* the CR of the size line was read */
    CHUNKS_DATA,      /* |left| bytes of it follow */
    CHUNKS_DATA_CR,
    CHUNKS_DATA_LF,
    CHUNKS_LAST /* the last chunk's line was read: trailers follow */
};

/* Zeroed: at the begin of a body. */
struct h1_chunks {
    enum h1_chunks_state state;
    uint64_t left;     /* in the size line: the size so far */
    uint16_t line_len; /* of the size line so far */
    uint8_t digits;
};

/*
 * Read from |in|; say in |*used| how much was read. Stops before data (|*data|
 * is a piece of it, inside |in| and counted in |*used|), and when the last
 * chunk's line is over (state CHUNKS_LAST); |*data| is empty otherwise.
 * ERR_HEAD with |*why| when this is no chunked body.
 */
MUST_CHECK enum err h1_chunks_step(struct h1_chunks *c, struct span in,
                                   size_t *used, struct span *data,
                                   const char **why);

#endif
