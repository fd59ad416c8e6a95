/* The next delay after a failure, by outage length; pure arithmetic. */
#ifndef COMMON_BACKOFF_H
#define COMMON_BACKOFF_H

#include <stdint.h>

/*
 * How long to wait before the next dial: the first within REDIAL_FIRST_US,
 * later ones between 0 and min(15 s, max(1 s, a quarter of |outage_us|)).
 * |random| is any uniformly random number.
 */
uint64_t backoff_delay_us(unsigned attempt, uint64_t outage_us,
                          uint32_t random);

#endif
