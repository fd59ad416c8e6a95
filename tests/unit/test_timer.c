/* Timers: not early, safe to move, stop and close from anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/timer.h"

#define STEP_US (5 * US_PER_MS)

struct alarm_clock {
    struct loop loop;
    struct timer *timer;
    uint64_t due_us;
    unsigned rings;
    unsigned again; /* sets itself so often */
    bool closes;    /* itself, when it rings */
};

static void on_ring(void *owner)
{
    struct alarm_clock *a = owner;

    a->rings++;
    assert_true(a->loop.now_us >= a->due_us);
    if (a->again > 0) {
        a->again--;
        a->due_us = a->loop.now_us + STEP_US;
        timer_set(a->timer, a->due_us);
    }
    if (a->closes) {
        timer_close(a->timer);
        a->timer = NULL;
    }
}

static void alarm_open(struct alarm_clock *a)
{
    *a = (struct alarm_clock){ .rings = 0 };
    assert_int_equal(loop_open(&a->loop), ERR_OK);
    a->timer = timer_new(&a->loop, on_ring, a);
    assert_non_null(a->timer);
}

static void alarm_set(struct alarm_clock *a, uint64_t after_us)
{
    a->due_us = loop_now(&a->loop) + after_us;
    timer_set(a->timer, a->due_us);
}

static void alarm_close(struct alarm_clock *a)
{
    timer_close(a->timer);
    loop_close(&a->loop);
}

static void test_a_timer_rings_once_and_not_early(void **state)
{
    struct alarm_clock a;

    (void)state;
    for (uint64_t us = 0; us < 3000; us += 313) {
        alarm_open(&a);
        alarm_set(&a, us);
        loop_run(&a.loop);
        assert_int_equal(a.rings, 1);
        alarm_close(&a);
    }
}

static void test_a_later_time_replaces_an_earlier_one(void **state)
{
    struct alarm_clock a;
    uint64_t begun;

    (void)state;
    alarm_open(&a);
    begun = a.loop.now_us;
    alarm_set(&a, 1 * US_PER_MS);
    alarm_set(&a, 20 * US_PER_MS);
    loop_run(&a.loop);
    assert_int_equal(a.rings, 1);
    assert_true(a.loop.now_us - begun >= 20 * US_PER_MS);
    alarm_close(&a);
}

static void test_an_earlier_time_replaces_a_later_one(void **state)
{
    struct alarm_clock a;
    uint64_t begun;

    (void)state;
    alarm_open(&a);
    begun = a.loop.now_us;
    alarm_set(&a, 3600 * US_PER_S);
    alarm_set(&a, 2 * US_PER_MS);
    loop_run(&a.loop);
    assert_int_equal(a.rings, 1);
    assert_true(a.loop.now_us - begun < 10 * US_PER_S);
    alarm_close(&a);
}

static void test_a_stopped_timer_does_not_ring(void **state)
{
    struct alarm_clock a;

    (void)state;
    alarm_open(&a);
    alarm_set(&a, 1 * US_PER_MS);
    timer_stop(a.timer);
    loop_run(&a.loop);
    alarm_set(&a, 1 * US_PER_MS);
    timer_set(a.timer, UINT64_MAX);
    loop_run(&a.loop);
    assert_int_equal(a.rings, 0);
    alarm_close(&a);
}

static void test_a_timer_may_set_itself_again(void **state)
{
    struct alarm_clock a;

    (void)state;
    alarm_open(&a);
    a.again = 3;
    alarm_set(&a, STEP_US);
    loop_run(&a.loop);
    assert_int_equal(a.rings, 4);
    alarm_close(&a);
}

static void test_a_timer_may_close_itself(void **state)
{
    struct alarm_clock a;

    (void)state;
    alarm_open(&a);
    a.closes = true;
    alarm_set(&a, STEP_US);
    loop_run(&a.loop);
    assert_int_equal(a.rings, 1);
    alarm_close(&a);
}

static void test_a_closed_timer_does_not_ring(void **state)
{
    struct alarm_clock a;

    (void)state;
    alarm_open(&a);
    alarm_set(&a, 0);
    timer_close(a.timer);
    a.timer = NULL;
    loop_run(&a.loop);
    assert_int_equal(a.rings, 0);
    alarm_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_timer_rings_once_and_not_early),
        cmocka_unit_test(test_a_later_time_replaces_an_earlier_one),
        cmocka_unit_test(test_an_earlier_time_replaces_a_later_one),
        cmocka_unit_test(test_a_stopped_timer_does_not_ring),
        cmocka_unit_test(test_a_timer_may_set_itself_again),
        cmocka_unit_test(test_a_timer_may_close_itself),
        cmocka_unit_test(test_a_closed_timer_does_not_ring),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
