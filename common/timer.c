/*
 * Timers over libuv's, which count in milliseconds from the begin of the
 * tick: here a timer never fires early, and moving its time later costs
 * nothing, as timers of connections do all the time.
 */
#include "common/timer.h"

#include <stdlib.h>
#include <uv.h>

struct timer {
    uv_timer_t uv;
    struct loop *loop;
    timer_fn *fn;
    void *owner;
    uint64_t at_us;    /* when wanted, UINT64_MAX never */
    uint64_t armed_us; /* when libuv will call, UINT64_MAX never */
    bool is_closed;
};

static void on_timer_due(uv_timer_t *handle);

static void timer_arm(struct timer *t, uint64_t now_us)
{
    uint64_t wait_us = t->at_us > now_us ? t->at_us - now_us : 0;

    /* libuv adds to its own idea of now, which is older than ours. */
    uv_update_time(&t->loop->uv);
    uv_timer_start(&t->uv, on_timer_due,
                   wait_us / US_PER_MS + (wait_us % US_PER_MS != 0), 0);
    t->armed_us = t->at_us;
}

static void on_timer_due(uv_timer_t *handle)
{
    struct timer *t = container_of(handle, struct timer, uv);
    uint64_t now_us = loop_now(t->loop);

    t->armed_us = UINT64_MAX;
    if (t->at_us == UINT64_MAX) {
        return;
    }
    if (now_us < t->at_us) {
        timer_arm(t, now_us);
        return;
    }
    t->at_us = UINT64_MAX;
    t->fn(t->owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct timer, uv));
}

struct timer *timer_new(struct loop *loop, timer_fn *fn, void *owner)
{
    struct timer *t = calloc(1, sizeof(*t));

    if (t == NULL) {
        return NULL;
    }
    t->loop = loop;
    t->fn = fn;
    t->owner = owner;
    t->at_us = UINT64_MAX;
    t->armed_us = UINT64_MAX;
    uv_timer_init(&loop->uv, &t->uv);
    return t;
}

void timer_set(struct timer *t, uint64_t at_us)
{
    assert(!t->is_closed);
    t->at_us = at_us;
    if (at_us == UINT64_MAX) {
        timer_stop(t);
        return;
    }
    /* Armed for an earlier moment: look again then. */
    if (t->armed_us > at_us) {
        timer_arm(t, loop_now(t->loop));
    }
}

void timer_stop(struct timer *t)
{
    t->at_us = UINT64_MAX;
    t->armed_us = UINT64_MAX;
    uv_timer_stop(&t->uv);
}

void timer_close(struct timer *t)
{
    if (t == NULL || t->is_closed) {
        return;
    }
    t->is_closed = true;
    timer_stop(t);
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}
