/* The rate of a line, its round trip, and how much may be in flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/flight_line.h"

#define RTT_US FLIGHT_LINE_RTT_US
#define FRAME FLIGHT_LINE_FRAME

#define URGENT true
#define CALM false

static void test_a_new_link_may_have_the_least_in_flight(void **state)
{
    struct flight_line *t = *state;

    flight_line_send(t, FLIGHT_FLOOR - 1);
    assert_false(flight_is_full(&t->flight, &t->log, false));
    flight_line_send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    assert_int_equal(flight_rate(&t->flight), 0);
    assert_int_equal(flight_quantum(&t->flight), FLIGHT_QUANTUM_MIN);
    assert_int_equal(flight_ahead(&t->flight), FLIGHT_QUANTUM_MIN);
}

static void test_rate_and_round_trip_make_the_cap(void **state)
{
    struct flight_line *t = *state;
    uint64_t cap = 2000000 / 20 / 8 * 9 + FLIGHT_EXTRA;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    assert_int_equal(flight_rate(&t->flight), 2000000);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    assert_int_equal(flight_quantum(&t->flight), 6000);
    assert_int_equal(flight_ahead(&t->flight), 6000);
    t->log.handed = t->log.acked + cap - 1;
    assert_false(flight_is_full(&t->flight, &t->log, false));
    t->log.handed++;
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

/* Whether exactly |cap| may be in flight beside a hurry on another link. */
static bool is_cap_apart(const struct flight_line *t, uint64_t cap)
{
    return flight_line_is_cap(t, cap, true);
}

static void test_an_empty_line_may_be_tried_with_more(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    t->flight.rtt_now_us = RTT_US + RTT_US / 16;
    assert_true(is_cap_apart(t, 100000 + 100000 / 3 + FLIGHT_EXTRA));
    t->flight.rtt_now_us++;
    assert_true(is_cap_apart(t, 100000 + 100000 / 8 + FLIGHT_EXTRA));
}

static void test_a_short_line_has_room_for_held_acks(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    t->flight.ramp = SENT_LOG_SESSION;
    t->flight.rtt_us = 10 * US_PER_MS;
    t->flight.rates[0] = 10000000;
    assert_true(is_cap_apart(t, 100000 + 50000 + FLIGHT_EXTRA));
    t->flight.rates[0] = 20000000;
    assert_true(is_cap_apart(t, 200000 + ACK_BYTES + FLIGHT_EXTRA));
}

/* It is acknowledged no sooner than what was lost, but it waits in no queue. */
static void test_what_is_behind_a_hole_does_not_count_apart(void **state)
{
    struct flight_line *t = *state;
    uint64_t cap = 100000 / 8 * 9 + FLIGHT_EXTRA;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    flight_line_send(t, 2 * FRAME);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + FRAME, CALM);
    assert_true(is_cap_apart(t, cap)); /* it only began */
    t->now_us += 10 * US_PER_MS;
    flight_line_ack(t, t->log.handed, CALM);
    flight_line_send(t, 3 * FRAME);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + FRAME, CALM);
    flight_line_send(t, 13 * FRAME);
    t->now_us += 80 * US_PER_MS;
    flight_line_ack(t, t->log.acked + 3 * FRAME, CALM); /* slow to come */
    assert_true(is_cap_apart(t, cap));
    t->now_us += 80 * US_PER_MS;
    flight_line_ack(t, t->log.acked + 4 * FRAME, CALM);
    assert_true(is_cap_apart(t, cap + 2 * 80000));
    t->now_us += 120 * US_PER_MS;
    flight_line_ack(t, t->log.acked + 6 * FRAME, CALM);
    assert_true(is_cap_apart(t, cap + 2 * 2 * RTT_US));
    flight_line_ack(t, t->log.handed, CALM);
    flight_line_run(t, 600, CALM);
    assert_true(is_cap_apart(t, cap));
}

static void test_a_slow_line_is_noticed_by_who_rests_often(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    for (unsigned i = 0; i < 40; i++) { /* 200 kB/s, a rest each 300 ms */
        flight_line_send(t, 3 * FRAME);
        t->now_us += RTT_US;
        flight_line_send_last(t, FRAME);
        t->now_us += 100 * US_PER_MS;
        flight_line_ack(t, t->log.handed - FRAME, URGENT);
        t->now_us += RTT_US;
        flight_line_ack(t, t->log.handed, URGENT);
        t->now_us += 100 * US_PER_MS;
    }
    assert_in_range(flight_rate(&t->flight), 150000, 250000);
}

static void test_a_slow_line_takes_long_for_a_frame(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_send(t, 40 * FRAME);
    for (unsigned i = 0; i < 100; i++) { /* 125 kB/s: a frame takes 131 ms */
        t->now_us += 80 * US_PER_MS;
        flight_line_ack(t, t->log.acked + FRAME, CALM);
        flight_line_send(t, FRAME);
    }
    assert_in_range(flight_rate(&t->flight), 120000, 130000);
    assert_int_equal(t->flight.gaps_us[0] + t->flight.gaps_us[1], 0);
    t->now_us += 270 * US_PER_MS;
    flight_line_ack(t, t->log.acked + FRAME, CALM);
    assert_int_equal(t->flight.gaps_us[0], 270 * US_PER_MS);
}

static void test_a_fast_line_has_whole_frames_and_batches(void **state)
{
    struct flight_line *t = *state;

    for (unsigned i = 0; i < 20; i++) {
        flight_line_send(t, 10 * MIB);
        t->now_us += 10 * US_PER_MS;
        flight_line_ack(t, t->log.handed, CALM);
    }
    assert_int_equal(flight_quantum(&t->flight), FRAME_PAYLOAD_MAX);
    assert_int_equal(flight_ahead(&t->flight), WRITE_BATCH);
}

static void test_a_slow_sender_tells_nothing_of_the_rate(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    for (unsigned i = 0; i < 200; i++) {
        flight_line_ping(t, RTT_US, CALM);
    }
    assert_int_equal(flight_rate(&t->flight), 2000000);
}

static void test_a_slow_sender_tells_of_a_higher_rate(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_ping(t, RTT_US / 2, CALM);
    assert_int_equal(flight_rate(&t->flight), FRAME * US_PER_S / (RTT_US / 2));
}

static void test_a_line_that_became_slow_is_noticed(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    for (unsigned i = 0; i < 300; i++) {
        flight_line_send(t, FRAME);
        t->now_us += 10 * US_PER_MS;
        flight_line_ack(t, t->log.acked + FRAME, CALM);
    }
    assert_in_range(flight_rate(&t->flight), 900000, 1100000);
}

static void test_acks_that_came_together_make_no_rate(void **state)
{
    struct flight_line *t = *state;

    /* Ten frames in 100 ms; the way back holds up all ACKs but one. */
    for (unsigned i = 0; i < 10; i++) {
        flight_line_send(t, FRAME);
        t->now_us += 10 * US_PER_MS;
    }
    flight_line_ack(t, FRAME, CALM);
    flight_line_send(t, FRAME);
    t->now_us += 10 * US_PER_MS;
    flight_line_ack(t, t->log.handed, CALM);
    assert_in_range(flight_rate(&t->flight), 900000, 1100000);
}

static void test_a_sender_that_was_slow_bursts_not(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    flight_line_ping(t, RTT_US, CALM);
    flight_line_send(t, FLIGHT_FLOOR);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    /* And with each ACK it may send twice what that covers. */
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + FRAME, URGENT);
    flight_line_send(t, 2 * FRAME - 1);
    assert_false(flight_is_full(&t->flight, &t->log, false));
    flight_line_send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

static void test_what_is_large_and_dry_is_no_slow_sender(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    flight_line_send_last(t, FRAME);
    assert_int_equal(t->flight.limited, t->log.handed);
    flight_line_send_last(t, 14 * FRAME);
    assert_true(t->flight.limited < t->log.handed);
}

static void test_who_is_late_only_goes_on_as_before(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    assert_true(t->flight.ramp > 40 * FRAME);
    flight_line_send_last(t, 8 * FRAME);
    t->now_us += RTT_US / 4 - 1;
    flight_line_send_last(t, FRAME);
    assert_true(t->flight.ramp > 40 * FRAME);
    t->now_us += RTT_US / 4;
    flight_line_send(t, FRAME);
    assert_int_equal(t->flight.ramp, 9 * FRAME);
    /* It was told of once. */
    t->now_us += RTT_US / 4;
    t->flight.ramp = MIB;
    flight_line_send(t, FRAME);
    assert_int_equal(t->flight.ramp, MIB);
}

static void test_all_that_went_in_a_rest_leaves_the_least(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    flight_line_send_last(t, 40 * FRAME); /* more than the line holds */
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, CALM);
    flight_line_send(t, FRAME);
    assert_int_equal(t->flight.ramp, FLIGHT_FLOOR);
}

static void test_a_rest_takes_five_milliseconds_at_least(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, 4 * US_PER_MS, CALM);
    t->flight.ramp = MIB;
    flight_line_send_last(t, 8 * FRAME);
    t->now_us += 5 * US_PER_MS - 1;
    flight_line_send_last(t, FRAME);
    assert_int_equal(t->flight.ramp, MIB);
    t->now_us += 5 * US_PER_MS;
    flight_line_send(t, FRAME);
    assert_int_equal(t->flight.ramp, 9 * FRAME);
}

static void test_what_is_not_used_grows_not(void **state)
{
    struct flight_line *t = *state;

    flight_line_send(t, FLIGHT_FLOOR / 2);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, CALM);
    assert_int_equal(t->flight.ramp, FLIGHT_FLOOR);
    flight_line_send(t, FLIGHT_FLOOR / 2 + 1);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, CALM);
    assert_int_equal(t->flight.ramp, FLIGHT_FLOOR + FLIGHT_FLOOR / 2 + 1);
}

/* After a rest twenty frames are away, of which a round trip takes one. */
static void crawl(struct flight_line *t, unsigned rounds)
{
    t->flight.is_dry = true;
    t->flight.dry_us = t->now_us - US_PER_S;
    flight_line_send(t, 20 * FRAME);
    for (unsigned i = 0; i < rounds; i++) {
        t->now_us += RTT_US;
        flight_line_ack(t, t->log.acked + FRAME, URGENT);
        flight_line_send(t, FRAME);
    }
}

static void test_a_rate_outlives_the_beginning_after_a_rest(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    crawl(t, 8 + 20);
    assert_int_equal(flight_rate(&t->flight), 2000000);
}

static void test_a_line_that_became_slow_in_a_rest_is_noticed(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    flight_line_run(t, 300, CALM);
    crawl(t, 60);
    assert_in_range(flight_rate(&t->flight), 150000, 250000);
}

static void test_samples_are_bounded(void **state)
{
    struct flight_line *t = *state;

    for (unsigned i = 0; i < 3 * FLIGHT_SAMPLES; i++) {
        flight_line_send(t, FRAME);
        flight_line_send(t, FRAME); /* at the same time: no sample of its own */
        t->now_us += 10 * US_PER_MS;
    }
    assert_int_equal(t->flight.count, FLIGHT_SAMPLES);
    assert_int_equal(t->flight.samples[1].position, 3 * FRAME);
    flight_line_ack(t, t->log.handed, CALM);
    assert_int_equal(t->flight.count, 0);
    flight_line_ack(t, t->log.handed, CALM); /* the same one: nothing new */
    flight_line_send(t, FRAME);
    assert_int_equal(t->flight.count, 1);
}

static void test_an_ack_without_a_sample_counts_bytes_only(void **state)
{
    struct flight_line *t = *state;

    flight_line_send(t, FRAME);
    flight_line_send(t, FRAME);
    t->now_us += RTT_US;
    flight_line_ack(t, FRAME, CALM);
    t->now_us += US_PER_S;
    flight_line_ack(t, 2 * FRAME, URGENT);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    assert_int_equal(t->flight.ramp, FLIGHT_FLOOR);
}

static void test_a_peer_that_lies_gains_a_bounded_cap(void **state)
{
    struct flight_line *t = *state;

    for (unsigned i = 0; i < 100; i++) {
        flight_line_send(t, SENT_LOG_SESSION);
        flight_line_ack(t, t->log.handed, CALM); /* at once */
        flight_line_send(t, SENT_LOG_SESSION);
        t->now_us += 100 * US_PER_S;
        flight_line_ack(t, t->log.handed, CALM);
    }
    flight_line_send(t, SENT_LOG_SESSION - 1);
    assert_false(flight_is_full(&t->flight, &t->log, false));
    flight_line_send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

static void test_a_new_link_knows_nothing_of_the_old(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, URGENT);
    flight_line_run(t, 300, URGENT);
    t->log.handed = t->log.acked; /* as after a resume: sent again */
    flight_start(&t->flight, &t->log, t->now_us);
    assert_int_equal(flight_rate(&t->flight), 0);
    assert_int_equal(t->flight.count, 0);
    flight_line_send(t, FLIGHT_FLOOR);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, URGENT);
    assert_int_equal(flight_rate(&t->flight), FLIGHT_FLOOR * US_PER_S / RTT_US);
}

#define CASE(name) cmocka_unit_test_setup(name, flight_line_begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_new_link_may_have_the_least_in_flight),
        CASE(test_rate_and_round_trip_make_the_cap),
        CASE(test_an_empty_line_may_be_tried_with_more),
        CASE(test_a_short_line_has_room_for_held_acks),
        CASE(test_what_is_behind_a_hole_does_not_count_apart),
        CASE(test_a_slow_line_is_noticed_by_who_rests_often),
        CASE(test_a_slow_line_takes_long_for_a_frame),
        CASE(test_a_fast_line_has_whole_frames_and_batches),
        CASE(test_a_slow_sender_tells_nothing_of_the_rate),
        CASE(test_a_slow_sender_tells_of_a_higher_rate),
        CASE(test_a_line_that_became_slow_is_noticed),
        CASE(test_acks_that_came_together_make_no_rate),
        CASE(test_a_sender_that_was_slow_bursts_not),
        CASE(test_what_is_large_and_dry_is_no_slow_sender),
        CASE(test_who_is_late_only_goes_on_as_before),
        CASE(test_all_that_went_in_a_rest_leaves_the_least),
        CASE(test_a_rest_takes_five_milliseconds_at_least),
        CASE(test_what_is_not_used_grows_not),
        CASE(test_a_rate_outlives_the_beginning_after_a_rest),
        CASE(test_a_line_that_became_slow_in_a_rest_is_noticed),
        CASE(test_samples_are_bounded),
        CASE(test_an_ack_without_a_sample_counts_bytes_only),
        CASE(test_a_peer_that_lies_gains_a_bounded_cap),
        CASE(test_a_new_link_knows_nothing_of_the_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
