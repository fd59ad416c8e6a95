/*
 * A clock that a test moves on, for programs that know nothing of it: loaded
 * with LD_PRELOAD. The monotonic clock is ahead by the seconds in the file
 * of $CLOCK, which the test and the program share in memory
 * (tests/support/clock.py writes it). Who sleeps till then has to be woken.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int clock_fn(clockid_t id, struct timespec *out);

static _Atomic uint64_t *ahead_s;
static clock_fn *real;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *shared;

    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (fd < 0) {
        return;
    }
    shared = mmap(NULL, sizeof(*ahead_s), PROT_READ, MAP_SHARED, fd, 0);
    ahead_s = shared == MAP_FAILED ? NULL : shared;
    close(fd);
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int status;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    status = real(id, out);
    if (status == 0 && ahead_s != NULL &&
        (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
        out->tv_sec += (time_t)atomic_load(ahead_s);
    }
    return status;
}
