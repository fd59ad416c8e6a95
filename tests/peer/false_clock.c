/*
 * A wall clock that is wrong by $FALSE_CLOCK_S seconds, for LD_PRELOAD: what
 * the C library tells a program of the date. The monotonic clock is right, as
 * on a machine whose date was set wrong.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int clock_fn(clockid_t clock, struct timespec *out);

static long long shift_s(void)
{
    const char *text = getenv("FALSE_CLOCK_S");

    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static int real_clock(clockid_t clock, struct timespec *out)
{
    static clock_fn *next;

    if (next == NULL) {
        /* ISO C knows no conversion from data to function. */
        *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
    }
    return next(clock, out);
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int result = real_clock(clock, out);

    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) {
        out->tv_sec += shift_s();
    }
    return result;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) {
        *out = now.tv_sec;
    }
    return now.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
    return 0;
}
