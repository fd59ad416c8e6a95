/* When a link counts as full: not at once, not by one look, not for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/link_quality.h"

/* Look so often, while bytes are held back or are not. */
static void look(struct link_quality *q, unsigned looks, bool is_held)
{
    for (unsigned i = 0; i < looks; i++) {
        q->is_held = is_held;
        link_quality_note(q);
    }
}

static void test_a_link_is_full_after_a_while_of_holding_back(void **state)
{
    struct link_quality q = { 0 };

    (void)state;
    look(&q, LINK_QUALITY_HELD_LOOKS - 1, true);
    assert_false(q.is_full);
    look(&q, 1, true);
    assert_true(q.is_full);
}

static void test_one_look_that_sees_nothing_held_only_delays_it(void **state)
{
    struct link_quality q = { 0 };

    (void)state;
    look(&q, LINK_QUALITY_HELD_LOOKS - 1, true);
    look(&q, 1, false);
    look(&q, 1, true);
    assert_false(q.is_full);
    look(&q, 1, true);
    assert_true(q.is_full);
}

static void test_bytes_held_at_every_other_look_do_not_fill_it(void **state)
{
    struct link_quality q = { 0 };

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        look(&q, 1, true);
        look(&q, 1, false);
        assert_false(q.is_full);
    }
}

static void test_it_has_room_again_after_a_while_without_any(void **state)
{
    struct link_quality q = { 0 };

    (void)state;
    look(&q, LINK_QUALITY_HELD_LOOKS, true);
    for (unsigned i = 0; i < 5; i++) {
        look(&q, LINK_QUALITY_FREE_LOOKS - 1, false);
        assert_true(q.is_full);
        look(&q, 1, true);
        assert_true(q.is_full);
    }
    look(&q, LINK_QUALITY_FREE_LOOKS, false);
    assert_false(q.is_full);
    assert_int_equal(q.held_looks, 0);
}

static void test_a_free_link_fills_as_slowly_as_a_new_one(void **state)
{
    struct link_quality q = { 0 };

    (void)state;
    look(&q, LINK_QUALITY_HELD_LOOKS, true);
    look(&q, 10 * LINK_QUALITY_FREE_LOOKS, false);
    look(&q, LINK_QUALITY_HELD_LOOKS - 1, true);
    assert_false(q.is_full);
    look(&q, 1, true);
    assert_true(q.is_full);
}

static void test_without_a_session_there_is_nothing_to_measure(void **state)
{
    struct link_quality q = { .is_held = true, .has_link = true, .rtt_us = 7 };
    struct carrier none = { 0 };

    (void)state;
    link_quality_measure(&q, &none);
    assert_false(q.has_link);
    assert_false(q.is_held);
    assert_int_equal(q.rtt_us, 0);
    assert_int_equal(q.streams, 0);
    assert_int_equal(q.waiting_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_is_full_after_a_while_of_holding_back),
        cmocka_unit_test(test_one_look_that_sees_nothing_held_only_delays_it),
        cmocka_unit_test(test_bytes_held_at_every_other_look_do_not_fill_it),
        cmocka_unit_test(test_it_has_room_again_after_a_while_without_any),
        cmocka_unit_test(test_a_free_link_fills_as_slowly_as_a_new_one),
        cmocka_unit_test(test_without_a_session_there_is_nothing_to_measure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
