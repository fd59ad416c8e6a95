/* Told by the environment: a program cannot know who runs it. */
#include "tests/support/slower.h"

#include <stdlib.h>

#include "proto/limits.h"

#define TIMES_MAX 16u

unsigned slower_times(void)
{
    const char *text = getenv("TESTS_SLOWER");
    unsigned long times = text == NULL ? 1 : strtoul(text, NULL, 10);

    return times < 1 || times > TIMES_MAX ? 1 : (unsigned)times;
}

uint64_t slower_mib(unsigned count)
{
    return (uint64_t)count * MIB / slower_times();
}
