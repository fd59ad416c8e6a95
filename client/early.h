/*
 * What comes of a request before there is a connection to write it to: its
 * body, within the stream's window, its trailers and its end.
 */
#ifndef CLIENT_EARLY_H
#define CLIENT_EARLY_H

#include "proto/chunk.h"
#include "proto/session.h"

/* All zeros: nothing has come. */
struct early {
    struct chunk_queue body;
    struct chunk *trailers; /* the encoded block, NULL: none */
    bool has_fin;
};

/* Keep a copy of |event|'s bytes (DATA, or HEAD with trailers). ERR_NOMEM. */
MUST_CHECK enum err early_keep(struct early *e,
                               const struct session_event *event);

/* Forget all of it. */
void early_clear(struct early *e);

#endif
