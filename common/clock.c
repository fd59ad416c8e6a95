/* The clocks. Nobody else asks the system for the time. */
#include "common/clock.h"

#include <time.h>

#include "proto/limits.h"

static uint64_t read_clock(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_cpu_us(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

int64_t clock_wall_s(void)
{
    return (int64_t)time(NULL);
}
