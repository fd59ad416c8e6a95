/*
 * What strangers may take of a worker's time. To accept or refuse somebody and
 * to answer a ClientHello costs more than to ask for it, and comes before
 * anybody has shown anything. While visitors of some standing are being served,
 * arrivals get a share of the time and wait in line for more; otherwise they
 * get all they want, a few each tick. It counts; what waits is its owner's.
 */
#ifndef RELAY_TURNSTILE_H
#define RELAY_TURNSTILE_H

#include "common/loop.h"
#include "common/timer.h"

struct turnstile {
    struct loop *loop;
    struct timer *timer;  /* when it opens again */
    uint64_t tick;        /* in which |passed| were let in */
    unsigned passed;      /* in this tick */
    uint64_t served_us;   /* a visitor of some standing, last; 0 never */
    bool is_counting;     /* what follows is kept */
    int64_t credit_us;    /* of time; at zero it is closed */
    uint64_t credited_us; /* up to when */
    uint64_t permille;    /* of the time is credited now */
    uint64_t period_us;   /* when the period began that says it anew */
    uint64_t cpu_us;      /* the thread's CPU time then */
    uint64_t waited_us;   /* and the time it had waited for a core */
    uint64_t arrivals_us; /* CPU time of arrivals since */
    uint64_t began_us;    /* CPU time when the one who passes began */
    int waited_file;      /* where |waited_us| is read; -1 nowhere */
};

/* Open; |fn| is called from the loop when it is open after having been closed,
 * and must ask again for each that waits. ERR_NOMEM. */
MUST_CHECK enum err turnstile_init(struct turnstile *t, struct loop *loop,
                                   timer_fn *fn, void *owner);

/* No call follows. Once is enough, again is fine. */
void turnstile_deinit(struct turnstile *t);

/*
 * A visitor whose connection was accepted at |since_us| was served. It counts
 * when the visitor has been there for TURNSTILE_STANDING_US.
 */
void turnstile_served(struct turnstile *t, uint64_t since_us);

/* May an arrival take time now? False: it waits for |fn|. */
bool turnstile_is_open(struct turnstile *t);

/* One does, from the first call to the second. */
void turnstile_enter(struct turnstile *t);
void turnstile_leave(struct turnstile *t);

#endif
