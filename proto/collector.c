/*
 * Head blocks that come in pieces. Doubling from one frame's size to HEAD_MAX
 * keeps a lying peer's cost at what it has really sent, times two.
 */
#include "proto/collector.h"

#include <stdlib.h>

void collector_begin(struct collector *c, enum head_kind kind)
{
    assert(!c->is_active && c->len == 0);
    c->kind = kind;
    c->is_active = true;
}

enum err collector_add(struct collector *c, struct span piece)
{
    size_t capacity = c->capacity == 0 ? FRAME_MAX : c->capacity;
    uint8_t *bytes;

    assert(c->is_active);
    if (piece.len > HEAD_MAX - c->len) {
        return ERR_PROTOCOL;
    }
    while (capacity < c->len + piece.len) {
        capacity *= 2;
    }
    if (capacity != c->capacity) {
        bytes = realloc(c->bytes, capacity);
        if (bytes == NULL) {
            return ERR_NOMEM;
        }
        c->bytes = bytes;
        c->capacity = capacity;
    }
    if (piece.len > 0) {
        memcpy(c->bytes + c->len, piece.data, piece.len);
        c->len += piece.len;
    }
    return ERR_OK;
}

uint8_t *collector_end(struct collector *c)
{
    uint8_t *bytes = c->bytes;

    *c = (struct collector){ .bytes = NULL };
    return bytes;
}

void collector_deinit(struct collector *c)
{
    free(collector_end(c));
}
