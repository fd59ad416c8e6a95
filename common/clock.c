/* The two clocks. Nobody else asks the system for the time. */
#include "common/clock.h"

#include <time.h>

#include "proto/limits.h"

uint64_t clock_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000u;
}

int64_t clock_wall_s(void)
{
    return (int64_t)time(NULL);
}
