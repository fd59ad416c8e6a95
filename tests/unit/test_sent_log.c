/* Frames that wait to be acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/sent_log.h"

/* A log of three frames of 10, 20 and 30 bytes. */
static int begin(void **state)
{
    static struct sent_log log;
    static const uint8_t bytes[30] = { 7 };

    log = (struct sent_log){ .again = NULL };
    for (size_t len = 10; len <= 30; len += 10) {
        struct chunk *c = chunk_copy(span_of(bytes, len));

        assert_non_null(c);
        sent_log_put(&log, c, 100 + len);
    }
    *state = &log;
    return 0;
}

static int end(void **state)
{
    sent_log_clear(*state);
    return 0;
}

static void test_positions_count_whole_frames(void **state)
{
    struct sent_log *log = *state;

    assert_int_equal(log->end, 60);
    assert_int_equal(log->frames.head->position, 10);
    assert_int_equal(log->frames.tail->position, 60);
    assert_int_equal(log->acked, 0);
    assert_int_equal(log->moved_us, 110);
}

static void test_an_ack_frees_what_it_covers_and_no_more(void **state)
{
    struct sent_log *log = *state;
    uint64_t freed = 0;
    uint64_t cost = log->cost;

    assert_int_equal(sent_log_ack(log, 30, 500, &freed), ERR_OK);
    assert_int_equal(log->acked, 30);
    assert_int_equal(log->frames.count, 1);
    assert_int_equal(log->cost, cost - freed);
    assert_int_equal(log->moved_us, 500);
    assert_int_equal(sent_log_ack(log, 60, 600, &freed), ERR_OK);
    assert_int_equal(freed, cost);
    assert_int_equal(log->cost, 0);
}

static void test_an_ack_twice_or_of_old_changes_nothing(void **state)
{
    struct sent_log *log = *state;
    uint64_t freed = 0;

    assert_int_equal(sent_log_ack(log, 30, 500, &freed), ERR_OK);
    freed = 0;
    assert_int_equal(sent_log_ack(log, 30, 600, &freed), ERR_OK);
    assert_int_equal(sent_log_ack(log, 10, 600, &freed), ERR_OK);
    assert_int_equal(freed, 0);
    assert_int_equal(log->moved_us, 500);
}

static void test_an_ack_of_what_was_not_sent_is_refused(void **state)
{
    uint64_t freed = 0;

    assert_int_equal(sent_log_ack(*state, 61, 500, &freed), ERR_PROTOCOL);
    assert_int_equal(sent_log_ack(*state, UINT64_MAX, 500, &freed),
                     ERR_PROTOCOL);
    assert_int_equal(freed, 0);
}

static void test_an_ack_inside_a_frame_is_refused(void **state)
{
    uint64_t freed = 0;

    assert_int_equal(sent_log_ack(*state, 31, 500, &freed), ERR_PROTOCOL);
}

static void test_what_is_not_acknowledged_is_sent_again_in_order(void **state)
{
    struct sent_log *log = *state;
    uint64_t freed = 0;

    assert_int_equal(sent_log_resume(log, 10, 700, &freed), ERR_OK);
    assert_int_equal(log->frames.count, 2);
    assert_int_equal(sent_log_again(log).len, 20);
    /* On this link only that much was sent yet. */
    assert_int_equal(sent_log_ack(log, 60, 700, &freed), ERR_PROTOCOL);
    assert_int_equal(sent_log_again(log).len, 30);
    assert_int_equal(sent_log_again(log).len, 0);
    assert_int_equal(sent_log_ack(log, 60, 700, &freed), ERR_OK);
    assert_int_equal(log->end, 60);
}

static void test_a_resume_may_be_cut_off_and_begin_anew(void **state)
{
    struct sent_log *log = *state;
    uint64_t freed = 0;

    assert_int_equal(sent_log_resume(log, 0, 700, &freed), ERR_OK);
    assert_int_equal(sent_log_again(log).len, 10);
    assert_int_equal(sent_log_resume(log, 30, 700, &freed), ERR_OK);
    assert_int_equal(sent_log_again(log).len, 30);
    assert_int_equal(sent_log_resume(log, 60, 700, &freed), ERR_OK);
    assert_int_equal(sent_log_again(log).len, 0);
}

static void test_a_false_claim_is_refused_and_changes_nothing(void **state)
{
    struct sent_log *log = *state;
    uint64_t freed = 0;

    assert_int_equal(sent_log_resume(log, 61, 700, &freed), ERR_PROTOCOL);
    assert_int_equal(sent_log_resume(log, 30, 700, &freed), ERR_OK);
    assert_int_equal(sent_log_resume(log, 10, 700, &freed), ERR_PROTOCOL);
    assert_int_equal(sent_log_resume(log, 31, 700, &freed), ERR_PROTOCOL);
    assert_int_equal(sent_log_again(log).len, 30);
    assert_int_equal(sent_log_again(log).len, 0);
}

static void test_only_ends_of_frames_that_are_kept_may_be_claimed(void **state)
{
    struct sent_log *log = *state;
    uint64_t freed = 0;

    for (uint64_t position = 0; position <= 70; position++) {
        assert_int_equal(sent_log_may_resume(log, position),
                         position == 0 || position == 10 || position == 30 ||
                             position == 60);
    }
    assert_int_equal(sent_log_ack(log, 30, 500, &freed), ERR_OK);
    assert_false(sent_log_may_resume(log, 10));
    assert_true(sent_log_may_resume(log, 30));
    assert_false(sent_log_may_resume(log, UINT64_MAX));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_positions_count_whole_frames),
        CASE(test_an_ack_frees_what_it_covers_and_no_more),
        CASE(test_an_ack_twice_or_of_old_changes_nothing),
        CASE(test_an_ack_of_what_was_not_sent_is_refused),
        CASE(test_an_ack_inside_a_frame_is_refused),
        CASE(test_what_is_not_acknowledged_is_sent_again_in_order),
        CASE(test_a_resume_may_be_cut_off_and_begin_anew),
        CASE(test_a_false_claim_is_refused_and_changes_nothing),
        CASE(test_only_ends_of_frames_that_are_kept_may_be_claimed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
