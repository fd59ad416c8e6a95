/* Monotonic microseconds, and the wall clock for what people read. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Since some fixed moment; never goes back. */
uint64_t clock_us(void);

/* CPU time of this thread. */
uint64_t clock_cpu_us(void);

/* Seconds since 1970. */
int64_t clock_wall_s(void);

#endif
