/*
 * The pieces of one stream's head block while other streams' frames come
 * between them. Grows by need up to HEAD_MAX; a block that came in one frame
 * never passes through here. Whoever holds it charges its capacity.
 */
#ifndef PROTO_COLLECTOR_H
#define PROTO_COLLECTOR_H

#include "proto/error.h"
#include "proto/frame.h"

struct collector {
    uint8_t *bytes;
    size_t len;
    size_t capacity;
    size_t credited;     /* of |len|: their credit was returned early */
    enum head_kind kind; /* while active */
    bool is_active;      /* a block has begun and not ended */
};

/* A block of |kind| begins. */
void collector_begin(struct collector *c, enum head_kind kind);

/*
 * The next piece. ERR_PROTOCOL past HEAD_MAX, ERR_NOMEM without memory; the
 * collector keeps what it had.
 */
MUST_CHECK enum err collector_add(struct collector *c, struct span piece);

/* The block has ended: its memory is the caller's (free()), who holds it. */
uint8_t *collector_end(struct collector *c);

/* Free what is held. */
void collector_deinit(struct collector *c);

#endif
