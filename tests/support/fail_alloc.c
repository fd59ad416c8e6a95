/* The wrapped allocators. */
#include "tests/support/fail_alloc.h"

#include <stddef.h>

static unsigned long left; /* 0: none fails */
static bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

void fail_alloc_after(unsigned long count)
{
    left = count;
    has_failed = false;
}

bool fail_alloc_stop(void)
{
    left = 0;
    return has_failed;
}

static bool fails_now(void)
{
    if (left == 0 || --left > 0) {
        return false;
    }
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : __real_realloc(p, size);
}
