/* The next delay after a failure, by outage length; pure arithmetic. */
#ifndef COMMON_BACKOFF_H
#define COMMON_BACKOFF_H

#include <stdint.h>

#include "proto/limits.h"

/*
 * How long to wait before the next dial: the first within REDIAL_FIRST_US,
 * later ones between 0 and min(15 s, max(1 s, a quarter of |outage_us|)).
 * |random| is any uniformly random number.
 */
uint64_t backoff_delay_us(unsigned attempt, uint64_t outage_us,
                          uint32_t random);

/*
 * One outage, zeroed at first. It ends when a link has held for
 * BACKOFF_HELD_US: who lets us in and cuts us off at once is not dialled four
 * times a second.
 */
struct backoff {
    unsigned attempts; /* dials in this outage */
    uint64_t since_us; /* when it began */
    uint64_t up_us;    /* when the newest link came up */
};
#define BACKOFF_HELD_US (2 * US_PER_S)

/* A link came up; the newest link was lost, or there was none yet. */
void backoff_up(struct backoff *b, uint64_t now_us);
void backoff_lost(struct backoff *b, uint64_t now_us);

/* How long from now the next dial is; it counts. */
uint64_t backoff_next_us(struct backoff *b, uint64_t now_us, uint32_t random);

#endif
