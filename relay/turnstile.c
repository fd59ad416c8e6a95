/*
 * The others' time is the CPU time of this thread that no arrival used, and
 * the time in which it had nothing to do. The latter is free only as far as the
 * machine is: where the thread had to wait for a core, arrivals would take from
 * the others even then, and a wait is taken off once more.
 */
#include "relay/turnstile.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/platform.h"

#define CREDIT_MAX_US 10000
#define PERIOD_US (100 * US_PER_MS)
/* What the kernel does for one beside what is seen of it: poll, read, close. */
#define UNSEEN_US 10
#define LOOK_AGAIN_US (2 * US_PER_MS)

_Static_assert(TURNSTILE_SHARE > 1, "the others get something too");

enum err turnstile_init(struct turnstile *t, struct loop *loop, timer_fn *fn,
                        void *owner)
{
    *t = (struct turnstile){ .loop = loop, .waited_file = -1 };
    t->timer = timer_new(loop, fn, owner);
    if (t->timer == NULL) {
        return ERR_NOMEM;
    }
    t->waited_file = platform_open_waited();
    return ERR_OK;
}

void turnstile_deinit(struct turnstile *t)
{
    if (t->timer != NULL) {
        timer_close(t->timer);
        t->timer = NULL;
        close(t->waited_file);
        t->waited_file = -1;
    }
}

void turnstile_served(struct turnstile *t, uint64_t since_us)
{
    uint64_t now_us = t->loop->now_us;

    if (now_us > since_us + TURNSTILE_STANDING_US) {
        t->served_us = now_us;
    }
}

static bool is_sparing(const struct turnstile *t)
{
    return t->served_us != 0 &&
           t->loop->now_us < t->served_us + TURNSTILE_QUIET_US;
}

/* Of several that come at once, the visitors' next turn waits for a few. */
static unsigned most_each_tick(const struct turnstile *t)
{
    return is_sparing(t) ? TURNSTILE_EACH_TICK_SPARING : TURNSTILE_EACH_TICK;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

/* What became of the time of the period that ends now says how much arrivals
 * get in the next one. */
static void end_period(struct turnstile *t)
{
    uint64_t cpu_us = clock_cpu_us();
    uint64_t waited_us = platform_waited_us(t->waited_file);
    uint64_t wall_us = t->loop->now_us - t->period_us;
    uint64_t busy_us = cpu_us - t->cpu_us;
    uint64_t wait_us = waited_us - t->waited_us;
    uint64_t others_us = less(busy_us, t->arrivals_us);
    uint64_t free_us = less(wall_us, busy_us + 2 * wait_us);

    t->permille =
        (others_us / TURNSTILE_SHARE + free_us / TURNSTILE_FREE_SHARE) * 1000 /
        wall_us;
    if (t->permille < TURNSTILE_LEAST) {
        t->permille = TURNSTILE_LEAST;
    }
    t->period_us = t->loop->now_us;
    t->cpu_us = cpu_us;
    t->waited_us = waited_us;
    t->arrivals_us = 0;
}

/* The first time for long that arrivals are to be sparing. */
static void start_counting(struct turnstile *t)
{
    t->is_counting = true;
    t->credit_us = CREDIT_MAX_US;
    t->credited_us = t->loop->now_us;
    t->permille = 1000 / TURNSTILE_SHARE;
    t->period_us = t->loop->now_us;
    t->cpu_us = clock_cpu_us();
    t->waited_us = platform_waited_us(t->waited_file);
    t->arrivals_us = 0;
}

static void add_credit(struct turnstile *t)
{
    uint64_t since_us = t->loop->now_us - t->credited_us;

    if (t->loop->now_us - t->period_us >= PERIOD_US) {
        end_period(t);
    }
    if (since_us * t->permille < 1000) {
        return;
    }
    t->credit_us += (int64_t)(since_us * t->permille / 1000);
    if (t->credit_us > CREDIT_MAX_US) {
        t->credit_us = CREDIT_MAX_US;
    }
    t->credited_us = t->loop->now_us;
}

/* A microsecond at least from now: libuv's timers would run again in the same
 * tick otherwise. */
static void open_after(struct turnstile *t, uint64_t wait_us)
{
    if (t->timer != NULL) {
        timer_set(t->timer, t->loop->now_us + 1 + wait_us);
    }
}

bool turnstile_is_open(struct turnstile *t)
{
    loop_now(t->loop);
    if (t->tick == t->loop->tick && t->passed >= most_each_tick(t)) {
        open_after(t, 0);
        return false;
    }
    if (!is_sparing(t)) {
        t->is_counting = false;
        return true;
    }
    if (!t->is_counting) {
        start_counting(t);
    }
    add_credit(t);
    if (t->credit_us <= 0) {
        open_after(t, LOOK_AGAIN_US);
        return false;
    }
    return true;
}

void turnstile_enter(struct turnstile *t)
{
    if (t->tick != t->loop->tick) {
        t->tick = t->loop->tick;
        t->passed = 0;
    }
    t->passed++;
    if (t->is_counting) {
        t->began_us = clock_cpu_us();
    }
}

void turnstile_leave(struct turnstile *t)
{
    uint64_t took_us;

    if (t->is_counting) {
        took_us = clock_cpu_us() - t->began_us + UNSEEN_US;
        t->arrivals_us += took_us;
        t->credit_us -= (int64_t)took_us;
    }
}
