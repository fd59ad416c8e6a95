/*
 * The allocator keeps what lies free between live blocks, and after a crowd of
 * stalled visitors that is nearly all they held.
 */
#include "common/memory.h"

#include "common/platform.h"

/* Less than this is left to the next burst. */
#define FALLEN_MIN (8u * MIB)

void memory_return(struct pool *receive, struct pool *sent)
{
    if (pool_fallen(receive) + pool_fallen(sent) < FALLEN_MIN) {
        return;
    }
    pool_forget_peak(receive);
    pool_forget_peak(sent);
    platform_return_memory();
}
