/*
 * What arrivals get of a worker's time: all of it, so many each tick, and a
 * part while visitors of some standing are served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "relay/turnstile.h"

struct door {
    struct loop loop;
    struct turnstile turnstile;
    unsigned openings;
};

static void on_open(void *owner)
{
    struct door *d = owner;

    d->openings += turnstile_is_open(&d->turnstile);
}

static int begin(void **state)
{
    static struct door d;

    d = (struct door){ .openings = 0 };
    *state = &d;
    return loop_open(&d.loop) == ERR_OK &&
                   turnstile_init(&d.turnstile, &d.loop, on_open, &d) == ERR_OK
               ? 0
               : -1;
}

static int end(void **state)
{
    struct door *d = *state;

    turnstile_deinit(&d->turnstile);
    turnstile_deinit(&d->turnstile);
    loop_close(&d->loop);
    return 0;
}

/* One arrival that takes so much of the thread's time. */
static void arrive(struct door *d, uint64_t takes_us)
{
    uint64_t since_us;

    turnstile_enter(&d->turnstile);
    since_us = clock_cpu_us();
    while (clock_cpu_us() - since_us < takes_us) {
    }
    turnstile_leave(&d->turnstile);
}

static void serve(struct door *d, uint64_t there_for_us)
{
    turnstile_served(&d->turnstile, loop_now(&d->loop) - there_for_us);
}

static void wait_for_opening(struct door *d)
{
    while (d->openings == 0) {
        uv_run(&d->loop.uv, UV_RUN_ONCE);
    }
}

static void test_so_many_pass_in_a_tick(void **state)
{
    struct door *d = *state;

    for (unsigned i = 0; i < TURNSTILE_EACH_TICK; i++) {
        assert_true(turnstile_is_open(&d->turnstile));
        arrive(d, 0);
    }
    assert_false(turnstile_is_open(&d->turnstile));
    wait_for_opening(d);
}

static void test_time_is_free_while_nobody_is_served(void **state)
{
    struct door *d = *state;

    for (unsigned i = 0; i < 3; i++) {
        assert_true(turnstile_is_open(&d->turnstile));
        arrive(d, 10 * US_PER_MS);
    }
    assert_true(turnstile_is_open(&d->turnstile));
}

static void test_who_came_just_now_is_of_no_standing(void **state)
{
    struct door *d = *state;

    serve(d, TURNSTILE_STANDING_US / 2);
    assert_true(turnstile_is_open(&d->turnstile));
    arrive(d, 20 * US_PER_MS);
    assert_true(turnstile_is_open(&d->turnstile));
}

static void test_few_pass_in_a_tick_while_others_are_served(void **state)
{
    struct door *d = *state;

    for (unsigned i = 0; i < TURNSTILE_EACH_TICK_SPARING; i++) {
        serve(d, 2 * TURNSTILE_STANDING_US);
        assert_true(turnstile_is_open(&d->turnstile));
        arrive(d, 0);
    }
    serve(d, 2 * TURNSTILE_STANDING_US);
    assert_false(turnstile_is_open(&d->turnstile));
    wait_for_opening(d);
}

static void test_arrivals_wait_while_others_are_served(void **state)
{
    struct door *d = *state;

    serve(d, 2 * TURNSTILE_STANDING_US);
    assert_true(turnstile_is_open(&d->turnstile));
    arrive(d, 200 * US_PER_MS);
    serve(d, 2 * TURNSTILE_STANDING_US);
    assert_false(turnstile_is_open(&d->turnstile));
    assert_int_equal(d->openings, 0);
    /* Nobody is served any more. */
    wait_for_opening(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_so_many_pass_in_a_tick, begin,
                                        end),
        cmocka_unit_test_setup_teardown(
            test_time_is_free_while_nobody_is_served, begin, end),
        cmocka_unit_test_setup_teardown(
            test_who_came_just_now_is_of_no_standing, begin, end),
        cmocka_unit_test_setup_teardown(
            test_few_pass_in_a_tick_while_others_are_served, begin, end),
        cmocka_unit_test_setup_teardown(
            test_arrivals_wait_while_others_are_served, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
