/*
 * A piece of payload with room in front for a frame header, so that header and
 * payload are contiguous, and queues of such pieces. A chunk has exactly one
 * owner at a time: its reader, a stream's queue, the sent log.
 */
#ifndef PROTO_CHUNK_H
#define PROTO_CHUNK_H

#include "proto/limits.h"
#include "proto/span.h"

struct chunk {
    struct chunk *next; /* in a queue */
    uint64_t position;  /* of the frame's end, in the sent log */
    uint32_t capacity;  /* bytes behind the headroom */
    uint32_t start;     /* of the payload in |bytes|, from the block's begin */
    uint32_t len;       /* payload bytes */
    uint32_t stream;    /* whose frame it is, in the sent log */
    uint8_t type;       /* of the frame it becomes, in a stream's queue */
    uint8_t flags;      /* likewise */
    uint8_t bytes[];    /* CHUNK_HEADROOM + capacity */
};

struct chunk_queue {
    struct chunk *head;
    struct chunk *tail;
    size_t bytes; /* sum of len */
    size_t count;
};

/* A chunk with |capacity| free bytes behind its headroom; NULL without memory.
 */
struct chunk *chunk_new(size_t capacity);

/* A chunk that holds a copy of |bytes|; NULL without memory. */
struct chunk *chunk_copy(struct span bytes);

/* Free |c|, which is in no queue. NULL is fine. */
void chunk_free(struct chunk *c);

/* Where the payload begins, and the place after it for more of it. */
uint8_t *chunk_data(struct chunk *c);
uint8_t *chunk_tail(struct chunk *c);

/* How many bytes still fit behind the payload. */
size_t chunk_room(const struct chunk *c);

/* |len| bytes were written at chunk_tail(). */
void chunk_grow(struct chunk *c, size_t len);

/* Drop the first |len| bytes of the payload; they become headroom. */
void chunk_drop(struct chunk *c, size_t len);

/* The payload. */
struct span chunk_span(const struct chunk *c);

/* Take |len| bytes of headroom in front of the payload; they join it. */
uint8_t *chunk_prepend(struct chunk *c, size_t len);

/* What |c| costs in memory: what the pools are charged for it. */
static inline size_t chunk_cost(const struct chunk *c)
{
    return sizeof(*c) + CHUNK_HEADROOM + c->capacity;
}

/* The queue owns |c| from here on. */
void chunk_queue_put(struct chunk_queue *q, struct chunk *c);

/* The first chunk, now the caller's; NULL when empty. */
struct chunk *chunk_queue_take(struct chunk_queue *q);

/* Free all. */
void chunk_queue_clear(struct chunk_queue *q);

#endif
