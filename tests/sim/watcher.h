/*
 * A second opinion on the wire: sees every frame as it is put out and knows
 * the rules of PROTOCOL.md by itself, without the code under test: order of a
 * stream's frames, credit, positions, acknowledgements.
 */
#ifndef TESTS_SIM_WATCHER_H
#define TESTS_SIM_WATCHER_H

#include "tests/support/pair.h"

#define WATCHER_STREAMS 512

/* What one end has put out for one stream. */
struct watcher_half {
    uint64_t credit; /* granted by the other end and not used */
    uint64_t used;   /* payload sent */
    bool has_fin;
    bool has_reset;
    bool in_head;
    bool has_final;
    bool has_trailers;
    bool has_stop;
};

struct watcher_stream {
    bool is_open;
    unsigned slot; /* for life */
    struct watcher_half relay;
    struct watcher_half client;
};

/* What one end has put out on one slot. */
struct watcher_side {
    uint64_t position; /* bytes of sequenced frames put out */
    uint64_t acked;    /* the last ACK put out */
    uint32_t last_open;
    uint64_t frames;
    uint64_t again;   /* position sent again up to; |position|: all new */
    uint8_t *history; /* every sequenced byte so far */
    size_t capacity;
};

struct watcher {
    struct pair *pair;
    uint32_t window; /* the client's first */
    struct watcher_side relay[SLOTS_MAX];
    struct watcher_side client[SLOTS_MAX];
    /* One end of a slot has begun anew, the other does not know it yet. */
    bool is_torn[SLOTS_MAX];
    uint64_t bytes; /* of sequenced frames, in all */
    struct watcher_stream streams[WATCHER_STREAMS];
};

/* Watch |p|, whose sessions are new, from now on. */
void watcher_init(struct watcher *w, struct pair *p, uint32_t window);

/* Frees what watcher_init() and the frames since have taken. */
void watcher_deinit(struct watcher *w);

/* |end| has a new link in |slot|, on which the other end has everything before
 * |position|: the rest must come again as it was. */
void watcher_resume(struct watcher *w, const struct pair_end *end,
                    unsigned slot, uint64_t position);

/* |slot| begins anew at |end|: nothing that was on it may be seen again. */
void watcher_clear(struct watcher *w, const struct pair_end *end,
                   unsigned slot);

/* What the watcher calls when a rule is broken; ends the program. */
_Noreturn void watcher_fail(const char *why);

#endif
