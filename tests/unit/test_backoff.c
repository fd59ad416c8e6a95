/* Redial delays stay within design's bounds and are spread over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/backoff.h"
#include "proto/limits.h"

static void test_the_first_delay_is_within_250_ms(void **state)
{
    (void)state;
    assert_int_equal(backoff_delay_us(0, 0, 0), 0);
    assert_int_equal(backoff_delay_us(0, 0, UINT32_MAX), REDIAL_FIRST_US);
    assert_int_equal(backoff_delay_us(0, 3600 * US_PER_S, UINT32_MAX),
                     REDIAL_FIRST_US);
}

static void test_later_delays_follow_the_outage_within_bounds(void **state)
{
    static const struct {
        uint64_t outage_s, most_s;
    } rows[] = { { 0, 1 }, { 4, 1 }, { 8, 2 }, { 60, 15 }, { 86400, 15 } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t outage_us = rows[i].outage_s * US_PER_S;

        assert_int_equal(backoff_delay_us(9, outage_us, UINT32_MAX),
                         rows[i].most_s * US_PER_S);
        assert_int_equal(backoff_delay_us(9, outage_us, 0), 0);
        assert_in_range(backoff_delay_us(9, outage_us, UINT32_MAX / 2),
                        rows[i].most_s * US_PER_S / 2 - 2,
                        rows[i].most_s * US_PER_S / 2 + 2);
    }
}

static void test_a_link_that_did_not_hold_ends_no_outage(void **state)
{
    struct backoff b = { 0 };
    uint64_t now_us = 1000 * US_PER_S;

    (void)state;
    backoff_up(&b, now_us);
    backoff_lost(&b, now_us);
    assert_int_equal(backoff_next_us(&b, now_us, UINT32_MAX), REDIAL_FIRST_US);
    backoff_up(&b, now_us);
    now_us += BACKOFF_HELD_US - 1;
    backoff_lost(&b, now_us);
    assert_int_equal(backoff_next_us(&b, now_us, UINT32_MAX), REDIAL_FLOOR_US);
    backoff_up(&b, now_us);
    now_us += BACKOFF_HELD_US;
    backoff_lost(&b, now_us);
    assert_int_equal(backoff_next_us(&b, now_us, UINT32_MAX), REDIAL_FIRST_US);
    /* Dials that fail go on counting. */
    assert_int_equal(backoff_next_us(&b, now_us, UINT32_MAX), REDIAL_FLOOR_US);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_delay_is_within_250_ms),
        cmocka_unit_test(test_later_delays_follow_the_outage_within_bounds),
        cmocka_unit_test(test_a_link_that_did_not_hold_ends_no_outage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
