/* Credit of both ends of a direction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/window.h"

static struct window_grant grant_of(uint32_t first)
{
    struct window_grant w;

    window_grant_init(&w, first);
    return w;
}

/* |len| bytes came and were consumed at once. */
static void pass(struct window_grant *w, size_t len, uint64_t now_us)
{
    assert_int_equal(window_grant_receive(w, len, now_us), ERR_OK);
    window_grant_consume(w, len);
}

static void test_credit_is_used_and_added(void **state)
{
    struct window_credit w;

    (void)state;
    window_credit_init(&w, 1000);
    window_credit_use(&w, 1000);
    assert_int_equal(w.left, 0);
    assert_int_equal(window_credit_add(&w, 7), ERR_OK);
    assert_int_equal(w.left, 7);
}

static void test_credit_past_the_largest_window_is_refused(void **state)
{
    struct window_credit w;

    (void)state;
    window_credit_init(&w, UINT32_MAX);
    assert_int_equal(w.left, WINDOW_MAX);
    assert_int_equal(window_credit_add(&w, 1), ERR_FLOW);
    assert_int_equal(w.left, WINDOW_MAX);
    window_credit_use(&w, 1);
    assert_int_equal(window_credit_add(&w, 1), ERR_OK);
    assert_int_equal(window_credit_add(&w, UINT32_MAX), ERR_FLOW);
}

static void test_bytes_past_the_window_are_refused(void **state)
{
    struct window_grant w = grant_of(100);

    (void)state;
    assert_int_equal(window_grant_receive(&w, 101, 0), ERR_FLOW);
    assert_int_equal(window_grant_receive(&w, 100, 0), ERR_OK);
    assert_int_equal(window_grant_receive(&w, 1, 0), ERR_FLOW);
    assert_int_equal(w.received, 100);
}

static void test_credit_comes_back_at_a_quarter(void **state)
{
    struct window_grant w = grant_of(WINDOW_FIRST);

    (void)state;
    pass(&w, WINDOW_FIRST / 4 - 1, 0);
    assert_int_equal(window_grant_due(&w), 0);
    pass(&w, 1, 0);
    assert_int_equal(window_grant_due(&w), WINDOW_FIRST / 4);
    window_grant_promise(&w, WINDOW_FIRST / 4);
    assert_int_equal(window_grant_due(&w), 0);
}

static void test_a_low_window_gives_credit_early(void **state)
{
    struct window_grant w = grant_of(WINDOW_FIRST);
    size_t rest = 2 * FRAME_PAYLOAD_MAX - 1;

    (void)state;
    assert_int_equal(window_grant_receive(&w, WINDOW_FIRST - rest, 0), ERR_OK);
    assert_true(window_grant_is_low(&w));
    window_grant_consume(&w, WINDOW_LOW_CONSUMED - 1);
    assert_int_equal(window_grant_due(&w), 0);
    window_grant_consume(&w, 1);
    assert_int_equal(window_grant_due(&w), WINDOW_LOW_CONSUMED);
}

static void test_the_smallest_window_gives_back_all_that_came(void **state)
{
    struct window_grant w = grant_of(10);

    (void)state;
    assert_int_equal(window_grant_receive(&w, 2, 0), ERR_OK);
    window_grant_consume(&w, 1);
    assert_int_equal(window_grant_due(&w), 0);
    window_grant_consume(&w, 1);
    assert_int_equal(window_grant_due(&w), 2);
}

static void test_a_window_doubles_for_who_keeps_up(void **state)
{
    struct window_grant w = grant_of(WINDOW_FIRST);

    (void)state;
    /* All of it came in this very turn: nobody could have consumed it. */
    assert_int_equal(window_grant_receive(&w, WINDOW_FIRST, 5), ERR_OK);
    window_grant_grow(&w);
    assert_int_equal(w.size, 2 * WINDOW_FIRST);
    assert_int_equal(window_grant_due(&w), WINDOW_FIRST);
    window_grant_consume(&w, WINDOW_FIRST);
    assert_int_equal(window_grant_due(&w), 2 * WINDOW_FIRST);
}

static void test_a_window_stays_for_who_is_behind(void **state)
{
    struct window_grant w = grant_of(WINDOW_FIRST);

    (void)state;
    assert_int_equal(window_grant_receive(&w, WINDOW_FIRST / 4, 5), ERR_OK);
    assert_int_equal(window_grant_receive(&w, 1, 6), ERR_OK);
    window_grant_grow(&w);
    assert_int_equal(w.size, WINDOW_FIRST);
    window_grant_consume(&w, 1);
    window_grant_grow(&w);
    assert_int_equal(w.size, 2 * WINDOW_FIRST);
}

static void test_a_window_never_passes_the_largest(void **state)
{
    struct window_grant w = grant_of(WINDOW_MAX / 2 + 1);

    (void)state;
    window_grant_grow(&w);
    assert_int_equal(w.size, WINDOW_MAX);
    window_grant_grow(&w);
    assert_int_equal(w.size, WINDOW_MAX);
    w = grant_of(UINT32_MAX);
    assert_int_equal(w.size, WINDOW_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_credit_is_used_and_added),
        cmocka_unit_test(test_credit_past_the_largest_window_is_refused),
        cmocka_unit_test(test_bytes_past_the_window_are_refused),
        cmocka_unit_test(test_credit_comes_back_at_a_quarter),
        cmocka_unit_test(test_a_low_window_gives_credit_early),
        cmocka_unit_test(test_the_smallest_window_gives_back_all_that_came),
        cmocka_unit_test(test_a_window_doubles_for_who_keeps_up),
        cmocka_unit_test(test_a_window_stays_for_who_is_behind),
        cmocka_unit_test(test_a_window_never_passes_the_largest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
