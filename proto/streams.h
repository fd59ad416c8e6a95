/*
 * The table from id to stream. Ids only rise, so it is an array sorted by id:
 * new ones go to the end, a lookup halves it, a removal leaves a hole that a
 * later insertion squeezes out. No hash, so nothing for a peer to attack.
 */
#ifndef PROTO_STREAMS_H
#define PROTO_STREAMS_H

#include "proto/stream.h"

struct streams {
    uint32_t *ids;
    struct stream **at; /* NULL: a hole */
    size_t used;        /* entries, holes too */
    size_t capacity;
    size_t count; /* entries that are no holes */
};

/*
 * Add |st|, whose id is not there; in O(1) when it is higher than all before
 * it, as it is but for OPENs that cross on two links. ERR_NOMEM.
 */
MUST_CHECK enum err streams_add(struct streams *t, struct stream *st);

/* The stream with |id|, NULL when there is none. */
struct stream *streams_find(const struct streams *t, uint32_t id);

/* Remove |st|, which is there; it is the caller's now. */
void streams_remove(struct streams *t, const struct stream *st);

/* Free the table, which is empty. */
void streams_deinit(struct streams *t);

#endif
