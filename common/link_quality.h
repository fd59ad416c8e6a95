/*
 * How well a session's links carry it: round trip, jitter, what waits to be
 * sent, and whether more is there than they take away. Looks while there are
 * streams; who is told what is the owner's affair.
 */
#ifndef COMMON_LINK_QUALITY_H
#define COMMON_LINK_QUALITY_H

#include "common/link.h"

#define LINK_QUALITY_LOOK_US (500 * US_PER_MS)
/* So many looks that found bytes held back, more than those that did not, make
 * the way out full; so many in a row that found none make it free again. */
#define LINK_QUALITY_HELD_LOOKS 4u
#define LINK_QUALITY_FREE_LOOKS 6u

struct link_quality {
    bool has_link;   /* at least one is there */
    bool is_held;    /* at the last look something waited for a link */
    bool is_full;    /* it does so for a while */
    size_t streams;  /* live */
    uint64_t rtt_us; /* smoothed, 0 unknown */
    uint64_t jitter_us;
    uint64_t waiting_bytes; /* not yet given to the kernel, on all links */
    unsigned held_looks;    /* up to LINK_QUALITY_HELD_LOOKS */
    unsigned free_looks;    /* in a row */
};

/* What can be measured of |carrier| now; all of it is 0 without a session. */
void link_quality_measure(struct link_quality *q,
                          const struct carrier *carrier);

/* One look more, of which |q->is_held| tells: |q->is_full| may change. */
void link_quality_note(struct link_quality *q);

struct link_quality_watch;

/* After each look. May not free the watch. */
typedef void link_quality_fn(void *owner, const struct link_quality *q);

/* NULL without memory. |carrier| is borrowed; its session may come and go. */
struct link_quality_watch *link_quality_watch_new(struct loop *l,
                                                  const struct carrier *carrier,
                                                  link_quality_fn *fn,
                                                  void *owner);

/* Something has come or changed, a stream or a link: look from now on, till
 * there is no stream and nothing is held back. */
void link_quality_watch_wake(struct link_quality_watch *w);

/* No call follows. NULL is fine. */
void link_quality_watch_free(struct link_quality_watch *w);

#endif
