/*
 * Call me once at a time: a timer that is safe to cancel and to restart from
 * anywhere, also from its own callback, and whose owner may be freed once it
 * was closed.
 */
#ifndef COMMON_TIMER_H
#define COMMON_TIMER_H

#include "common/loop.h"

struct timer;
typedef void timer_fn(void *owner);

/* NULL without memory. Not started. */
struct timer *timer_new(struct loop *loop, timer_fn *fn, void *owner);

/* Call |fn| at |at_us| of loop's clock (once); UINT64_MAX stops it. */
void timer_set(struct timer *t, uint64_t at_us);

/* No call follows until timer_set(). */
void timer_stop(struct timer *t);

/* No call follows; frees itself later. NULL is fine. */
void timer_close(struct timer *t);

#endif
