/*
 * Accounts: charges reach the parents, percentages say how full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/pool.h"

static void test_a_charge_reaches_every_parent(void **state)
{
    struct pool relay, session, stream;

    (void)state;
    pool_init(&relay, NULL, 1000);
    pool_init(&session, &relay, 100);
    pool_init(&stream, &session, 10);
    pool_charge(&stream, 7);
    pool_charge(&session, 3);
    assert_int_equal(stream.used, 7);
    assert_int_equal(session.used, 10);
    assert_int_equal(relay.used, 10);
}

static void test_what_is_released_is_gone_from_every_parent(void **state)
{
    struct pool relay, session;

    (void)state;
    pool_init(&relay, NULL, 1000);
    pool_init(&session, &relay, 100);
    pool_charge(&session, 50);
    pool_release(&session, 20);
    assert_int_equal(session.used, 30);
    assert_int_equal(relay.used, 30);
    pool_release(&session, 30);
    assert_int_equal(session.used, 0);
    assert_int_equal(relay.used, 0);
}

static void test_the_percentage_is_of_the_fullest(void **state)
{
    struct pool relay, one, other;

    (void)state;
    pool_init(&relay, NULL, 200);
    pool_init(&one, &relay, 100);
    pool_init(&other, &relay, 100);
    assert_int_equal(pool_percent(&one), 0);
    pool_charge(&one, 60);
    assert_int_equal(pool_percent(&one), 60);
    assert_int_equal(pool_percent(&other), 30);
    pool_charge(&relay, 140);
    assert_int_equal(pool_percent(&one), 100);
    assert_int_equal(pool_percent(&other), 100);
}

static void test_a_charge_may_pass_the_bound(void **state)
{
    struct pool p;

    (void)state;
    pool_init(&p, NULL, 10);
    pool_charge(&p, 25);
    assert_int_equal(pool_percent(&p), 250);
}

static void test_a_percentage_without_bound_does_not_wrap(void **state)
{
    struct pool p;

    (void)state;
    pool_init(&p, NULL, 1);
    pool_charge(&p, UINT64_MAX / 100);
    assert_int_equal(pool_percent(&p), UINT32_MAX);
    pool_release(&p, UINT64_MAX / 100);
    assert_int_equal(pool_percent(&p), 0);
}

static void test_how_far_it_has_fallen_is_remembered(void **state)
{
    struct pool p;

    (void)state;
    pool_init(&p, NULL, 100);
    pool_charge(&p, 60);
    pool_release(&p, 50);
    pool_charge(&p, 20);
    assert_int_equal(pool_fallen(&p), 30);
    pool_forget_peak(&p);
    assert_int_equal(pool_fallen(&p), 0);
    pool_release(&p, 30);
    assert_int_equal(pool_fallen(&p), 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_charge_reaches_every_parent),
        cmocka_unit_test(test_what_is_released_is_gone_from_every_parent),
        cmocka_unit_test(test_the_percentage_is_of_the_fullest),
        cmocka_unit_test(test_a_charge_may_pass_the_bound),
        cmocka_unit_test(test_a_percentage_without_bound_does_not_wrap),
        cmocka_unit_test(test_how_far_it_has_fallen_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
