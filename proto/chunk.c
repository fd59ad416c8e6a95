/*
 * Pieces of payload with headroom, and queues of them. One allocation holds
 * the chunk, its headroom and its bytes; a queue owns what is in it.
 */
#include "proto/chunk.h"

#include <stdlib.h>

#include "proto/limits.h"

/* All of |c|'s block: headroom and capacity. */
static size_t chunk_block(const struct chunk *c)
{
    return (size_t)CHUNK_HEADROOM + c->capacity;
}

struct chunk *chunk_new(size_t capacity)
{
    struct chunk *c;

    assert(capacity <= UINT32_MAX - CHUNK_HEADROOM);
    c = malloc(sizeof(*c) + CHUNK_HEADROOM + capacity);
    if (c == NULL) {
        return NULL;
    }
    *c = (struct chunk){
        .capacity = (uint32_t)capacity,
        .start = CHUNK_HEADROOM,
    };
    return c;
}

struct chunk *chunk_copy(struct span bytes)
{
    struct chunk *c = chunk_new(bytes.len);

    if (c != NULL) {
        span_copy(chunk_tail(c), bytes);
        chunk_grow(c, bytes.len);
    }
    return c;
}

void chunk_free(struct chunk *c)
{
    assert(c == NULL || c->next == NULL);
    free(c);
}

uint8_t *chunk_data(struct chunk *c)
{
    return c->bytes + c->start;
}

uint8_t *chunk_tail(struct chunk *c)
{
    return c->bytes + c->start + c->len;
}

size_t chunk_room(const struct chunk *c)
{
    return chunk_block(c) - c->start - c->len;
}

void chunk_grow(struct chunk *c, size_t len)
{
    assert(len <= chunk_room(c));
    c->len += (uint32_t)len;
}

void chunk_drop(struct chunk *c, size_t len)
{
    assert(len <= c->len);
    c->start += (uint32_t)len;
    c->len -= (uint32_t)len;
}

struct span chunk_span(const struct chunk *c)
{
    return span_of(c->bytes + c->start, c->len);
}

uint8_t *chunk_prepend(struct chunk *c, size_t len)
{
    assert(len <= c->start);
    c->start -= (uint32_t)len;
    c->len += (uint32_t)len;
    return c->bytes + c->start;
}

void chunk_queue_put(struct chunk_queue *q, struct chunk *c)
{
    assert(c->next == NULL && c != q->tail);
    if (q->tail == NULL) {
        q->head = c;
    } else {
        q->tail->next = c;
    }
    q->tail = c;
    q->bytes += c->len;
    q->count++;
}

struct chunk *chunk_queue_take(struct chunk_queue *q)
{
    struct chunk *c = q->head;

    if (c == NULL) {
        assert(q->bytes == 0 && q->count == 0);
        return NULL;
    }
    q->head = c->next;
    if (q->head == NULL) {
        q->tail = NULL;
    }
    assert(q->bytes >= c->len && q->count > 0);
    q->bytes -= c->len;
    q->count--;
    c->next = NULL;
    return c;
}

void chunk_queue_clear(struct chunk_queue *q)
{
    struct chunk *c;

    while ((c = chunk_queue_take(q)) != NULL) {
        chunk_free(c);
    }
}
