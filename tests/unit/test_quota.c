/*
 * Accounts of addresses: how many, how fast, how many failed logins.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/keys.h"
#include "relay/quota.h"

#define NOW (1000 * US_PER_S)

static struct visitor_address v4(uint8_t last)
{
    return (struct visitor_address){ .family = 4,
                                     .bytes = { 192, 0, 2, last } };
}

static struct quota *quota_of(uint64_t connections, uint64_t handshakes,
                              uint64_t rate, uint64_t burst)
{
    struct quota_limits limits = { connections, handshakes, rate, burst };
    struct quota *q;

    assert_int_equal(keys_start(), ERR_OK);
    q = quota_new(&limits);
    assert_non_null(q);
    return q;
}

static void test_an_address_has_so_many_connections(void **state)
{
    struct quota *q = quota_of(2, 10, 100, 100);
    struct visitor_address a = v4(1), b = v4(2);
    struct quota_hold one, two, three, other;
    struct quota_refusal r;

    (void)state;
    assert_int_equal(quota_enter(q, &a, NOW, &one, &r), ERR_OK);
    assert_int_equal(quota_enter(q, &a, NOW, &two, &r), ERR_OK);
    assert_int_equal(quota_enter(q, &a, NOW, &three, &r), ERR_LIMIT);
    assert_true(r.is_first);
    assert_int_equal(quota_enter(q, &a, NOW, &three, &r), ERR_LIMIT);
    assert_false(r.is_first);
    assert_int_equal(quota_enter(q, &b, NOW, &other, &r), ERR_OK);
    quota_leave(q, &one, NOW);
    quota_leave(q, &one, NOW);
    assert_int_equal(quota_enter(q, &a, NOW, &three, &r), ERR_OK);
    quota_leave(q, &two, NOW);
    quota_leave(q, &three, NOW);
    quota_leave(q, &other, NOW);
    quota_free(q);
}

static void test_handshakes_count_until_they_are_done(void **state)
{
    struct quota *q = quota_of(10, 1, 100, 100);
    struct visitor_address a = v4(1);
    struct quota_hold one, two;
    struct quota_refusal r;

    (void)state;
    assert_int_equal(quota_enter(q, &a, NOW, &one, &r), ERR_OK);
    assert_int_equal(quota_enter(q, &a, NOW, &two, &r), ERR_LIMIT);
    quota_settled(&one);
    quota_settled(&one);
    assert_int_equal(quota_enter(q, &a, NOW, &two, &r), ERR_OK);
    quota_leave(q, &one, NOW);
    quota_leave(q, &two, NOW);
    quota_free(q);
}

static void test_a_burst_passes_and_then_the_rate_holds(void **state)
{
    struct quota *q = quota_of(1000, 1000, 100, 30);
    struct visitor_address a = v4(1);
    struct quota_hold hold;
    struct quota_refusal r;
    size_t passed = 0;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        if (quota_enter(q, &a, NOW, &hold, &r) == ERR_OK) {
            quota_leave(q, &hold, NOW);
            passed++;
        }
    }
    assert_int_equal(passed, 30);
    assert_int_equal(quota_enter(q, &a, NOW + US_PER_S / 100, &hold, &r),
                     ERR_OK);
    quota_leave(q, &hold, NOW);
    assert_int_equal(quota_enter(q, &a, NOW + US_PER_S / 100, &hold, &r),
                     ERR_LIMIT);
    quota_free(q);
}

static void test_addresses_of_one_64_count_as_one(void **state)
{
    struct quota *q = quota_of(1, 10, 100, 100);
    struct visitor_address a = { .family = 6, .bytes = { 0x20, 1, 0xd, 0xb8 } };
    struct visitor_address b = a, c = a;
    struct quota_hold one, two, three;
    struct quota_refusal r;

    (void)state;
    b.bytes[15] = 7;
    c.bytes[7] = 7;
    assert_int_equal(quota_enter(q, &a, NOW, &one, &r), ERR_OK);
    assert_int_equal(quota_enter(q, &b, NOW, &two, &r), ERR_LIMIT);
    assert_int_equal(quota_enter(q, &c, NOW, &three, &r), ERR_OK);
    quota_leave(q, &one, NOW);
    quota_leave(q, &three, NOW);
    quota_free(q);
}

static void test_failed_logins_make_the_address_wait_longer(void **state)
{
    struct quota *q = quota_of(10, 10, 100, 100);
    struct visitor_address a = v4(1);
    struct quota_hold hold;
    struct quota_refusal r;
    uint64_t now_us = NOW;

    (void)state;
    assert_int_equal(quota_enter(q, &a, now_us, &hold, &r), ERR_OK);
    for (size_t i = 0; i < LOGIN_FAILURES_PER_MINUTE - 1; i++) {
        quota_login_failed(&hold, now_us);
        assert_int_equal(quota_login_wait_us(&hold, now_us), 0);
    }
    for (uint64_t wait_us = US_PER_S; wait_us < LOGIN_PENALTY_MAX_US;
         wait_us *= 2) {
        quota_login_failed(&hold, now_us);
        assert_int_equal(quota_login_wait_us(&hold, now_us), wait_us);
        now_us += wait_us;
        assert_int_equal(quota_login_wait_us(&hold, now_us), 0);
    }
    quota_login_failed(&hold, now_us);
    assert_int_equal(quota_login_wait_us(&hold, now_us), LOGIN_PENALTY_MAX_US);
    quota_leave(q, &hold, now_us);
    quota_free(q);
}

static void test_what_has_no_effect_any_more_is_forgotten(void **state)
{
    struct quota *q = quota_of(10, 10, 100, 100);
    struct quota_hold hold;
    struct quota_refusal r;

    (void)state;
    for (uint8_t i = 0; i < 200; i++) {
        struct visitor_address a = v4(i);

        assert_int_equal(quota_enter(q, &a, NOW, &hold, &r), ERR_OK);
        quota_leave(q, &hold, NOW);
    }
    assert_int_equal(quota_count(q), 200);
    for (uint8_t i = 0; i < 2; i++) {
        struct visitor_address a = v4(i);
        uint64_t later_us = NOW + 60 * US_PER_S;

        assert_int_equal(quota_enter(q, &a, later_us, &hold, &r), ERR_OK);
        quota_leave(q, &hold, later_us);
    }
    assert_in_range(quota_count(q), 1, 2);
    quota_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_address_has_so_many_connections),
        cmocka_unit_test(test_handshakes_count_until_they_are_done),
        cmocka_unit_test(test_a_burst_passes_and_then_the_rate_holds),
        cmocka_unit_test(test_addresses_of_one_64_count_as_one),
        cmocka_unit_test(test_failed_logins_make_the_address_wait_longer),
        cmocka_unit_test(test_what_has_no_effect_any_more_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
