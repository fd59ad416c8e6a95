/* When ACK and PING are due, and when a peer is given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/liveness.h"

#define BUSY true
#define IDLE false

/* A link that is up at 1 s, whose first PING was sent and answered. */
static struct liveness started(void)
{
    struct liveness l = { .rtt_us = 0 };

    liveness_start(&l, 1000, US_PER_S);
    assert_true(liveness_has_output(&l, US_PER_S));
    assert_int_equal(liveness_output(&l, 1000, US_PER_S).data[6], FRAME_PING);
    liveness_heard(&l, US_PER_S + 20000);
    liveness_pong(&l, US_PER_S, US_PER_S + 20000);
    assert_false(liveness_has_output(&l, US_PER_S + 20000));
    return l;
}

static void test_an_ack_is_due_after_5_ms(void **state)
{
    struct liveness l = started();
    uint64_t now_us = 2 * US_PER_S;
    struct span frame;

    (void)state;
    liveness_received(&l, 1010, now_us);
    liveness_received(&l, 1020, now_us + 1000);
    assert_int_equal(liveness_deadline(&l, BUSY), now_us + ACK_DELAY_US);
    assert_false(liveness_has_output(&l, now_us + ACK_DELAY_US - 1));
    assert_true(liveness_has_output(&l, now_us + ACK_DELAY_US));
    frame = liveness_output(&l, 1020, now_us + ACK_DELAY_US);
    assert_int_equal(frame.len, 16);
    assert_int_equal(frame.data[6], FRAME_ACK);
    assert_int_equal(frame.data[14], 1020 >> 8);
    assert_int_equal(frame.data[15], 1020 & 255);
    assert_false(liveness_has_output(&l, now_us + US_PER_S));
}

static void test_an_ack_is_due_after_64_kib_at_once(void **state)
{
    struct liveness l = started();

    (void)state;
    liveness_received(&l, 1000 + ACK_BYTES - 1, 2 * US_PER_S);
    assert_false(liveness_has_output(&l, 2 * US_PER_S));
    liveness_received(&l, 1000 + ACK_BYTES, 2 * US_PER_S);
    assert_true(liveness_has_output(&l, 2 * US_PER_S));
    /* It may wait for a link that is full: no deadline in the past. */
    assert_true(liveness_deadline(&l, BUSY) > 2 * US_PER_S);
}

static void test_an_ack_that_is_due_keeps_no_deadline(void **state)
{
    struct liveness l = started();
    uint64_t now_us = 2 * US_PER_S;

    (void)state;
    liveness_received(&l, 1010, now_us);
    now_us += ACK_DELAY_US;
    assert_int_equal(liveness_tick(&l, BUSY, now_us), ERR_OK);
    assert_true(liveness_deadline(&l, BUSY) > now_us);
    assert_true(liveness_has_output(&l, now_us));
}

static void test_pings_come_sooner_with_streams(void **state)
{
    struct liveness l = started();

    (void)state;
    assert_int_equal(liveness_deadline(&l, BUSY), 6 * US_PER_S);
    assert_int_equal(liveness_deadline(&l, IDLE), 26 * US_PER_S + 20000);
    assert_int_equal(liveness_tick(&l, IDLE, 6 * US_PER_S), ERR_OK);
    assert_false(liveness_has_output(&l, 6 * US_PER_S));
    assert_int_equal(liveness_tick(&l, BUSY, 6 * US_PER_S), ERR_OK);
    assert_int_equal(liveness_output(&l, 1000, 6 * US_PER_S).data[6],
                     FRAME_PING);
}

static void test_silence_after_a_ping_ends_the_link(void **state)
{
    struct liveness l = started();
    uint64_t due_us = 6 * US_PER_S + PING_ANSWER_US;

    (void)state;
    assert_int_equal(liveness_tick(&l, BUSY, 6 * US_PER_S), ERR_OK);
    assert_int_equal(liveness_deadline(&l, BUSY), due_us);
    assert_int_equal(liveness_tick(&l, BUSY, due_us - 1), ERR_OK);
    assert_int_equal(liveness_tick(&l, BUSY, due_us), ERR_TIMEOUT);
}

static void test_any_byte_is_an_answer(void **state)
{
    struct liveness l = started();
    uint64_t due_us = 6 * US_PER_S + PING_ANSWER_US;

    (void)state;
    assert_int_equal(liveness_tick(&l, BUSY, 6 * US_PER_S), ERR_OK);
    liveness_heard(&l, due_us - 1);
    assert_int_equal(liveness_tick(&l, BUSY, due_us), ERR_OK);
}

static void test_a_ping_is_answered_with_what_it_said(void **state)
{
    struct liveness l = started();
    struct span frame;

    (void)state;
    liveness_ping(&l, 7);
    liveness_ping(&l, 9);
    frame = liveness_output(&l, 1000, 2 * US_PER_S);
    assert_int_equal(frame.data[6], FRAME_PONG);
    assert_int_equal(frame.data[15], 9);
    assert_int_equal(liveness_output(&l, 1000, 2 * US_PER_S).len, 0);
}

static void test_the_round_trip_is_smoothed(void **state)
{
    struct liveness l = started();

    (void)state;
    assert_int_equal(l.rtt_us, 20000);
    liveness_probe(&l, 2 * US_PER_S);
    (void)liveness_output(&l, 1000, 2 * US_PER_S);
    liveness_pong(&l, 2 * US_PER_S, 2 * US_PER_S + 60000);
    assert_int_equal(l.rtt_us, 25000);
    assert_int_equal(l.jitter_us, 17500);
}

static void test_a_pong_nobody_asked_for_changes_nothing(void **state)
{
    struct liveness l = started();

    (void)state;
    liveness_pong(&l, 0, 9 * US_PER_S);
    liveness_pong(&l, US_PER_S, 9 * US_PER_S);
    liveness_pong(&l, UINT64_MAX, 9 * US_PER_S);
    assert_int_equal(l.rtt_us, 20000);
}

static void test_silence_is_suspect_while_something_waits(void **state)
{
    struct liveness l = started();
    uint64_t heard_us = l.heard_us;

    (void)state;
    assert_int_equal(liveness_suspect_at(&l, LIVENESS_NEVER), LIVENESS_NEVER);
    assert_int_equal(liveness_suspect_at(&l, 0), heard_us + SUSPECT_US);
    assert_int_equal(liveness_suspect_at(&l, heard_us + 5),
                     heard_us + 5 + SUSPECT_US);
    l.rtt_us = US_PER_S;
    assert_int_equal(liveness_suspect_at(&l, 0), heard_us + 3 * US_PER_S);
    liveness_heard(&l, 9 * US_PER_S);
    assert_int_equal(liveness_suspect_at(&l, 0), 12 * US_PER_S);
}

static void test_an_unanswered_ping_is_suspect(void **state)
{
    struct liveness l = started();

    (void)state;
    liveness_probe(&l, 5 * US_PER_S);
    assert_int_equal(liveness_suspect_at(&l, LIVENESS_NEVER),
                     5 * US_PER_S + SUSPECT_US);
    liveness_heard(&l, 6 * US_PER_S);
    assert_int_equal(liveness_suspect_at(&l, LIVENESS_NEVER), LIVENESS_NEVER);
}

static void test_who_is_asked_must_answer_soon(void **state)
{
    struct liveness l = started();
    uint64_t now_us = 3 * US_PER_S;

    (void)state;
    liveness_ask(&l, now_us);
    liveness_ask(&l, now_us + 7);
    assert_true(liveness_has_output(&l, now_us));
    assert_int_equal(liveness_suspect_at(&l, LIVENESS_NEVER),
                     now_us + SUSPECT_ASKED_US);
    assert_int_equal(liveness_suspect_at(&l, now_us),
                     now_us + SUSPECT_ASKED_US);
    l.rtt_us = US_PER_S;
    assert_int_equal(liveness_suspect_at(&l, LIVENESS_NEVER),
                     now_us + 3 * US_PER_S);
    liveness_heard(&l, now_us + 10);
    assert_int_equal(liveness_suspect_at(&l, LIVENESS_NEVER), LIVENESS_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_ack_is_due_after_5_ms),
        cmocka_unit_test(test_an_ack_is_due_after_64_kib_at_once),
        cmocka_unit_test(test_an_ack_that_is_due_keeps_no_deadline),
        cmocka_unit_test(test_pings_come_sooner_with_streams),
        cmocka_unit_test(test_silence_after_a_ping_ends_the_link),
        cmocka_unit_test(test_any_byte_is_an_answer),
        cmocka_unit_test(test_a_ping_is_answered_with_what_it_said),
        cmocka_unit_test(test_the_round_trip_is_smoothed),
        cmocka_unit_test(test_a_pong_nobody_asked_for_changes_nothing),
        cmocka_unit_test(test_silence_is_suspect_while_something_waits),
        cmocka_unit_test(test_an_unanswered_ping_is_suspect),
        cmocka_unit_test(test_who_is_asked_must_answer_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
