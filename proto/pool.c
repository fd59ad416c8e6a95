/*
 * The account of bytes in use. Charging never fails: promises may pass the
 * bound, and whoever promises asks pool_percent() first (PROTOCOL.md, "Flow
 * control"). No memory is held or given here.
 */
#include "proto/pool.h"

#include <assert.h>
#include <limits.h>
#include <stddef.h>

/* So that a percentage of it is still a uint64_t. */
#define POOL_USED_MAX (UINT64_MAX / 100)

void pool_init(struct pool *p, struct pool *parent, uint64_t max)
{
    assert(max > 0);
    assert(parent != p);
    *p = (struct pool){ .parent = parent, .max = max };
}

void pool_charge(struct pool *p, uint64_t len)
{
    for (; p != NULL; p = p->parent) {
        assert(len <= POOL_USED_MAX - p->used);
        p->used += len;
        p->peak = p->used > p->peak ? p->used : p->peak;
    }
}

void pool_release(struct pool *p, uint64_t len)
{
    for (; p != NULL; p = p->parent) {
        assert(len <= p->used);
        p->used -= len;
    }
}

uint64_t pool_fallen(const struct pool *p)
{
    return p->peak - p->used;
}

void pool_forget_peak(struct pool *p)
{
    p->peak = p->used;
}

unsigned pool_percent(const struct pool *p)
{
    uint64_t fullest = 0;

    for (; p != NULL; p = p->parent) {
        uint64_t percent = p->used * 100 / p->max;

        if (percent > fullest) {
            fullest = percent;
        }
    }
    return fullest > UINT_MAX ? UINT_MAX : (unsigned)fullest;
}
