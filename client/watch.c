/*
 * A netlink socket on the loop, and a look each second at the clock that goes
 * on in a sleep. Changes come in bursts: one call for each.
 */
#include "client/watch.h"

#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include "common/platform.h"
#include "common/timer.h"

#define LOOK_US (1 * US_PER_S)
/* A look that comes so late: the machine slept, or we were stopped. */
#define ASLEEP_US (2 * US_PER_S)
/* Dials begin when what changes together has changed. */
#define BURST_US (50 * US_PER_MS)

struct watch {
    uv_poll_t poll;
    struct loop *loop;
    struct timer *look;
    struct timer *burst;
    watch_fn *fn;
    void *owner;
    uint64_t looked_us; /* on the clock that does not sleep */
    int fd;
    bool is_in_burst;
};

static void on_burst_over(void *owner)
{
    struct watch *w = owner;

    w->is_in_burst = false;
    w->fn(w->owner, WATCH_NETWORK);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct watch *w = container_of(poll, struct watch, poll);

    (void)status; /* an error: more changed than could be told */
    (void)events;
    platform_drain_network(w->fd);
    if (!w->is_in_burst) {
        w->is_in_burst = true;
        timer_set(w->burst, loop_now(w->loop) + BURST_US);
    }
}

/* Also again: libuv ends a poll that met an error. */
static int poll_start(struct watch *w)
{
    if (w->fd < 0 || uv_is_active((uv_handle_t *)&w->poll)) {
        return 0;
    }
    return uv_poll_start(&w->poll, UV_READABLE, on_readable);
}

static void on_look(void *owner)
{
    struct watch *w = owner;
    uint64_t now_us = platform_boot_us();
    bool slept = now_us - w->looked_us > LOOK_US + ASLEEP_US;

    w->looked_us = now_us;
    timer_set(w->look, loop_now(w->loop) + LOOK_US);
    (void)poll_start(w);
    if (slept) {
        w->fn(w->owner, WATCH_WAKE);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = container_of(handle, struct watch, poll);

    (void)close(w->fd);
    free(w);
}

struct watch *watch_new(struct loop *l, watch_fn *fn, void *owner)
{
    struct watch *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return NULL;
    }
    w->loop = l;
    w->fn = fn;
    w->owner = owner;
    w->fd = platform_watch_network();
    if (w->fd >= 0 && uv_poll_init(&l->uv, &w->poll, w->fd) != 0) {
        (void)close(w->fd);
        w->fd = -1;
    }
    w->look = timer_new(l, on_look, w);
    w->burst = timer_new(l, on_burst_over, w);
    if (w->look == NULL || w->burst == NULL || poll_start(w) != 0) {
        watch_free(w);
        return NULL;
    }
    w->looked_us = platform_boot_us();
    timer_set(w->look, loop_now(l) + LOOK_US);
    return w;
}

void watch_free(struct watch *w)
{
    if (w == NULL) {
        return;
    }
    timer_close(w->look);
    timer_close(w->burst);
    if (w->fd >= 0) {
        uv_close((uv_handle_t *)&w->poll, on_closed);
    } else {
        free(w);
    }
}
