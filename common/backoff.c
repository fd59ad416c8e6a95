/*
 * The next delay after a failure, see backoff.h. Full jitter: a relay that
 * comes back is not met by all its clients in one instant.
 */
#include "common/backoff.h"

static uint64_t within(uint64_t bound_us, uint32_t random)
{
    return bound_us * random / UINT32_MAX;
}

uint64_t backoff_delay_us(unsigned attempt, uint64_t outage_us, uint32_t random)
{
    uint64_t bound_us = outage_us / 4;

    if (attempt == 0) {
        return within(REDIAL_FIRST_US, random);
    }
    bound_us = bound_us < REDIAL_FLOOR_US ? REDIAL_FLOOR_US : bound_us;
    bound_us = bound_us > REDIAL_CEILING_US ? REDIAL_CEILING_US : bound_us;
    return within(bound_us, random);
}

void backoff_up(struct backoff *b, uint64_t now_us)
{
    b->up_us = now_us;
}

void backoff_lost(struct backoff *b, uint64_t now_us)
{
    if (b->attempts == 0 || now_us - b->up_us >= BACKOFF_HELD_US) {
        b->attempts = 0;
        b->since_us = now_us;
    }
}

uint64_t backoff_next_us(struct backoff *b, uint64_t now_us, uint32_t random)
{
    return backoff_delay_us(b->attempts++, now_us - b->since_us, random);
}
