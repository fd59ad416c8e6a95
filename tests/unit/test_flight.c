/* The rate of a line, its round trip, and how much may be in flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/flight.h"

#define RTT_US (50 * US_PER_MS)
#define FRAME 10000u /* with its header */

#define URGENT true
#define CALM false

#define AWAY_MAX 40u /* frames */

/* A line whose positions the test moves by itself. */
struct line_test {
    struct flight flight;
    struct sent_log log;
    uint64_t now_us;
    uint64_t acks_us[AWAY_MAX]; /* when they come: a ring */
    uint64_t free_us;           /* the line is, at its far end */
};

static int begin(void **state)
{
    static struct line_test t;

    t = (struct line_test){ .now_us = US_PER_S };
    flight_start(&t.flight, &t.log, t.now_us);
    *state = &t;
    return 0;
}

static void send(struct line_test *t, size_t len)
{
    t->log.handed += len;
    flight_sent(&t->flight, &t->log, t->now_us);
}

static void ack(struct line_test *t, uint64_t position, bool is_urgent)
{
    t->log.acked = position;
    flight_acked(&t->flight, &t->log, is_urgent, t->now_us);
}

static uint64_t away(const struct line_test *t)
{
    return t->log.handed - t->log.acked;
}

/*
 * A sender that has always more, and nothing away before, on a line of 2 MB/s:
 * a frame is acknowledged RTT_US after it was sent, if it waits for no other.
 * Nothing is away after it.
 */
static void run(struct line_test *t, unsigned frames, bool is_urgent)
{
    unsigned sent = 0;

    for (unsigned acked = 0; acked < frames; acked++) {
        while (sent < frames && sent - acked < AWAY_MAX &&
               (is_urgent ? !flight_is_full(&t->flight, &t->log, false)
                          : away(t) < 30 * FRAME)) {
            send(t, FRAME);
            t->free_us += 5 * US_PER_MS;
            if (t->free_us < t->now_us + RTT_US) {
                t->free_us = t->now_us + RTT_US;
            }
            t->acks_us[sent++ % AWAY_MAX] = t->free_us;
        }
        t->now_us = t->acks_us[acked % AWAY_MAX];
        ack(t, t->log.acked + FRAME, is_urgent);
    }
}

/* One frame by itself. */
static void ping(struct line_test *t, uint64_t rtt_us, bool is_urgent)
{
    t->log.handed += FRAME;
    flight_dry(&t->flight, &t->log);
    flight_sent(&t->flight, &t->log, t->now_us);
    t->now_us += rtt_us;
    ack(t, t->log.handed, is_urgent);
}

static void test_a_new_link_may_have_the_least_in_flight(void **state)
{
    struct line_test *t = *state;

    send(t, FLIGHT_FLOOR - 1);
    assert_false(flight_is_full(&t->flight, &t->log, false));
    send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    assert_int_equal(flight_rate(&t->flight), 0);
    assert_int_equal(flight_quantum(&t->flight), FLIGHT_QUANTUM_MIN);
    assert_int_equal(flight_ahead(&t->flight), FLIGHT_QUANTUM_MIN);
}

static void test_rate_and_round_trip_make_the_cap(void **state)
{
    struct line_test *t = *state;
    uint64_t cap = 2000000 / 20 * 5 / 4 + FLIGHT_EXTRA;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
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
static bool is_cap_apart(struct line_test *t, uint64_t cap)
{
    struct sent_log log = t->log;
    bool is_free;

    log.handed = log.acked + cap - 1;
    is_free = !flight_is_full(&t->flight, &log, true);
    log.handed++;
    return is_free && flight_is_full(&t->flight, &log, true);
}

static void test_apart_a_quarter_more_may_be_in_flight(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
    assert_true(is_cap_apart(t, 100000 / 2 * 3 + FLIGHT_EXTRA));
}

/* It is acknowledged no sooner than what was lost, but it waits in no queue. */
static void test_what_is_behind_a_hole_does_not_count_apart(void **state)
{
    struct line_test *t = *state;
    uint64_t cap = 100000 / 2 * 3 + FLIGHT_EXTRA;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
    send(t, 2 * FRAME);
    t->now_us += RTT_US;
    ack(t, t->log.acked + FRAME, CALM);
    assert_true(is_cap_apart(t, cap)); /* it only began */
    t->now_us += 10 * US_PER_MS;
    ack(t, t->log.handed, CALM);
    send(t, 3 * FRAME);
    t->now_us += RTT_US;
    ack(t, t->log.acked + FRAME, CALM);
    send(t, 5 * FRAME);
    t->now_us += 80 * US_PER_MS;
    ack(t, t->log.acked + FRAME, CALM);
    assert_true(is_cap_apart(t, cap + 2 * 80000));
    t->now_us += 120 * US_PER_MS;
    ack(t, t->log.acked + FRAME, CALM);
    assert_true(is_cap_apart(t, cap + 2 * 2 * RTT_US));
    ack(t, t->log.handed, CALM);
    run(t, 600, CALM);
    assert_true(is_cap_apart(t, cap));
}

static void test_a_fast_line_has_whole_frames_and_batches(void **state)
{
    struct line_test *t = *state;

    for (unsigned i = 0; i < 20; i++) {
        send(t, 10 * MIB);
        t->now_us += 10 * US_PER_MS;
        ack(t, t->log.handed, CALM);
    }
    assert_int_equal(flight_quantum(&t->flight), FRAME_PAYLOAD_MAX);
    assert_int_equal(flight_ahead(&t->flight), WRITE_BATCH);
}

static void test_a_slow_sender_tells_nothing_of_the_rate(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
    for (unsigned i = 0; i < 200; i++) {
        ping(t, RTT_US, CALM);
    }
    assert_int_equal(flight_rate(&t->flight), 2000000);
}

static void test_a_slow_sender_tells_of_a_higher_rate(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    ping(t, RTT_US / 2, CALM);
    assert_int_equal(flight_rate(&t->flight), FRAME * US_PER_S / (RTT_US / 2));
}

static void test_a_line_that_became_slow_is_noticed(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
    for (unsigned i = 0; i < 300; i++) {
        send(t, FRAME);
        t->now_us += 10 * US_PER_MS;
        ack(t, t->log.acked + FRAME, CALM);
    }
    assert_in_range(flight_rate(&t->flight), 900000, 1100000);
}

static void test_acks_that_came_together_make_no_rate(void **state)
{
    struct line_test *t = *state;

    /* Ten frames in 100 ms; the way back holds up all ACKs but one. */
    for (unsigned i = 0; i < 10; i++) {
        send(t, FRAME);
        t->now_us += 10 * US_PER_MS;
    }
    ack(t, FRAME, CALM);
    send(t, FRAME);
    t->now_us += 10 * US_PER_MS;
    ack(t, t->log.handed, CALM);
    assert_in_range(flight_rate(&t->flight), 900000, 1100000);
}

static void test_a_sender_that_was_slow_bursts_not(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
    ping(t, RTT_US, CALM);
    send(t, FLIGHT_FLOOR + FRAME);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    /* And with each ACK it may send twice what that covers. */
    t->now_us += RTT_US;
    ack(t, t->log.acked + FRAME, URGENT);
    send(t, 2 * FRAME - 1);
    assert_false(flight_is_full(&t->flight, &t->log, false));
    send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

static void test_what_is_large_and_dry_is_no_slow_sender(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    run(t, 300, CALM);
    send(t, FRAME);
    flight_dry(&t->flight, &t->log);
    assert_int_equal(t->flight.limited, t->log.handed);
    send(t, 14 * FRAME);
    flight_dry(&t->flight, &t->log);
    assert_true(t->flight.limited < t->log.handed);
}

static void test_the_round_trip_is_looked_for_anew(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, URGENT);
    run(t, 400, URGENT);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    send(t, 7 * FRAME);
    t->now_us += 11 * US_PER_S;
    ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    t->now_us += RTT_US;
    ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    t->now_us += RTT_US;
    ack(t, t->log.handed, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    /* The peer may hold an ACK back: this is no longer one. */
    ping(t, RTT_US + RTT_US / 8 + ACK_DELAY_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    assert_in_range(flight_rate(&t->flight), 1900000, 2100000);
    /* It goes on with a part of what it may. */
    send(t, FLIGHT_FLOOR);
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

static void test_a_probe_keeps_the_line_busy(void **state)
{
    struct line_test *t = *state;
    uint64_t first;

    ping(t, RTT_US, URGENT);
    run(t, 400, URGENT);
    send(t, 7 * FRAME);
    t->now_us += 11 * US_PER_S;
    ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    /* It holds ten frames: till half of them are in flight, and no more. */
    ack(t, t->log.handed - 5 * FRAME - 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    assert_true(flight_is_full(&t->flight, &t->log, true));
    ack(t, t->log.handed - 5 * FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    ack(t, t->log.handed - 4 * FRAME, URGENT);
    send(t, FRAME - 1);
    assert_false(flight_is_full(&t->flight, &t->log, true));
    send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, true));
    first = t->log.handed;
    t->now_us += RTT_US / 2;
    send(t, 8 * FRAME); /* of those who are in a hurry */
    t->now_us += RTT_US / 2;
    ack(t, first, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    /* It goes on with what is in flight. */
    assert_true(flight_is_full(&t->flight, &t->log, true));
    assert_int_equal(t->flight.ramp, 8 * FRAME);
}

static void test_a_longer_round_trip_is_looked_at_thrice(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, URGENT);
    t->now_us += 10 * US_PER_S;
    ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    ping(t, 3 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_SECOND);
    ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_THIRD);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    ping(t, 4 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, 2 * RTT_US);
}

static void test_what_was_sent_before_a_probe_is_not_its_answer(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, URGENT);
    t->now_us += 10 * US_PER_S;
    ping(t, 2 * RTT_US, URGENT);
    send(t, FRAME / 2);
    t->now_us += RTT_US;
    send(t, FRAME / 2);
    ack(t, t->log.acked + FRAME / 2, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    t->flight.probe_us++; /* the second half was sent before */
    t->now_us += RTT_US;
    ack(t, t->log.handed, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    ping(t, RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
}

static void test_nothing_is_probed_while_nobody_is_in_a_hurry(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, CALM);
    t->now_us += 10 * US_PER_S;
    ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    ping(t, 2 * RTT_US, CALM);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    ping(t, 2 * RTT_US, CALM);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
}

static void test_samples_are_bounded(void **state)
{
    struct line_test *t = *state;

    for (unsigned i = 0; i < 3 * FLIGHT_SAMPLES; i++) {
        send(t, FRAME);
        send(t, FRAME); /* at the same time: no sample of its own */
        t->now_us += 10 * US_PER_MS;
    }
    assert_int_equal(t->flight.count, FLIGHT_SAMPLES);
    assert_int_equal(t->flight.samples[1].position, 3 * FRAME);
    ack(t, t->log.handed, CALM);
    assert_int_equal(t->flight.count, 0);
    ack(t, t->log.handed, CALM); /* the same one: nothing new */
    send(t, FRAME);
    assert_int_equal(t->flight.count, 1);
}

static void test_an_ack_without_a_sample_counts_bytes_only(void **state)
{
    struct line_test *t = *state;

    send(t, FRAME);
    send(t, FRAME);
    t->now_us += RTT_US;
    ack(t, FRAME, CALM);
    t->now_us += US_PER_S;
    ack(t, 2 * FRAME, URGENT);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    assert_int_equal(t->flight.ramp, FLIGHT_FLOOR + 2 * FRAME);
}

static void test_a_peer_that_lies_gains_a_bounded_cap(void **state)
{
    struct line_test *t = *state;

    for (unsigned i = 0; i < 100; i++) {
        send(t, SENT_LOG_SESSION);
        ack(t, t->log.handed, CALM); /* at once */
        send(t, SENT_LOG_SESSION);
        t->now_us += 100 * US_PER_S;
        ack(t, t->log.handed, CALM);
    }
    send(t, SENT_LOG_SESSION - 1);
    assert_false(flight_is_full(&t->flight, &t->log, false));
    send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

static void test_a_new_link_knows_nothing_of_the_old(void **state)
{
    struct line_test *t = *state;

    ping(t, RTT_US, URGENT);
    run(t, 300, URGENT);
    t->log.handed = t->log.acked; /* as after a resume: sent again */
    flight_start(&t->flight, &t->log, t->now_us);
    assert_int_equal(flight_rate(&t->flight), 0);
    assert_int_equal(t->flight.count, 0);
    send(t, FLIGHT_FLOOR);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    t->now_us += RTT_US;
    ack(t, t->log.handed, URGENT);
    assert_int_equal(flight_rate(&t->flight), FLIGHT_FLOOR * US_PER_S / RTT_US);
}

#define CASE(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_new_link_may_have_the_least_in_flight),
        CASE(test_rate_and_round_trip_make_the_cap),
        CASE(test_apart_a_quarter_more_may_be_in_flight),
        CASE(test_what_is_behind_a_hole_does_not_count_apart),
        CASE(test_a_fast_line_has_whole_frames_and_batches),
        CASE(test_a_slow_sender_tells_nothing_of_the_rate),
        CASE(test_a_slow_sender_tells_of_a_higher_rate),
        CASE(test_a_line_that_became_slow_is_noticed),
        CASE(test_acks_that_came_together_make_no_rate),
        CASE(test_a_sender_that_was_slow_bursts_not),
        CASE(test_what_is_large_and_dry_is_no_slow_sender),
        CASE(test_the_round_trip_is_looked_for_anew),
        CASE(test_a_probe_keeps_the_line_busy),
        CASE(test_a_longer_round_trip_is_looked_at_thrice),
        CASE(test_what_was_sent_before_a_probe_is_not_its_answer),
        CASE(test_nothing_is_probed_while_nobody_is_in_a_hurry),
        CASE(test_samples_are_bounded),
        CASE(test_an_ack_without_a_sample_counts_bytes_only),
        CASE(test_a_peer_that_lies_gains_a_bounded_cap),
        CASE(test_a_new_link_knows_nothing_of_the_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
