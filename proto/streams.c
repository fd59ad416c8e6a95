/*
 * Streams by id. Entries before |used| rise; |used| is at most twice the
 * number of streams that ever lived at once, plus a constant.
 */
#include "proto/streams.h"

#include <stdlib.h>

#define STREAMS_FIRST 16u

/* Close the holes. */
static void streams_squeeze(struct streams *t)
{
    size_t kept = 0;

    for (size_t i = 0; i < t->used; i++) {
        if (t->at[i] != NULL) {
            t->ids[kept] = t->ids[i];
            t->at[kept] = t->at[i];
            kept++;
        }
    }
    assert(kept == t->count);
    t->used = kept;
}

static enum err streams_widen(struct streams *t)
{
    size_t capacity = t->capacity == 0 ? STREAMS_FIRST : t->capacity * 2;
    uint32_t *ids = realloc(t->ids, capacity * sizeof(*ids));
    struct stream **at;

    if (ids == NULL) {
        return ERR_NOMEM;
    }
    t->ids = ids;
    at = realloc(t->at, capacity * sizeof(struct stream *));
    if (at == NULL) {
        return ERR_NOMEM;
    }
    t->at = at;
    t->capacity = capacity;
    return ERR_OK;
}

enum err streams_add(struct streams *t, struct stream *st)
{
    size_t place;

    /* Squeezing when at least half are holes costs O(1) an insertion. */
    if (t->used == t->capacity && t->count <= t->used / 2) {
        streams_squeeze(t);
    }
    if (t->used == t->capacity) {
        TRY(streams_widen(t));
    }
    for (place = t->used; place > 0 && t->ids[place - 1] >= st->id; place--) {
        assert(t->ids[place - 1] != st->id || t->at[place - 1] == NULL);
        t->ids[place] = t->ids[place - 1];
        t->at[place] = t->at[place - 1];
    }
    t->ids[place] = st->id;
    t->at[place] = st;
    t->used++;
    t->count++;
    return ERR_OK;
}

/* Where |id| stands, or would stand. */
static size_t streams_place(const struct streams *t, uint32_t id)
{
    size_t low = 0;
    size_t high = t->used;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct stream *streams_find(const struct streams *t, uint32_t id)
{
    size_t place = streams_place(t, id);

    return place < t->used && t->ids[place] == id ? t->at[place] : NULL;
}

void streams_remove(struct streams *t, const struct stream *st)
{
    size_t place = streams_place(t, st->id);

    assert(place < t->used && t->at[place] == st);
    t->at[place] = NULL;
    t->count--;
    /* Holes at the end need no squeezing. */
    while (t->used > 0 && t->at[t->used - 1] == NULL) {
        t->used--;
    }
}

void streams_deinit(struct streams *t)
{
    assert(t->count == 0);
    free(t->ids);
    free(t->at);
    *t = (struct streams){ .ids = NULL };
}
