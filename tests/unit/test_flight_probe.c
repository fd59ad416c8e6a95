/* How the round trip is looked for anew, while somebody is in a hurry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/flight_line.h"

#define RTT_US FLIGHT_LINE_RTT_US
#define FRAME FLIGHT_LINE_FRAME

#define URGENT true
#define CALM false

/* What is known of the round trip is old: a look begins. */
static void become_due(struct flight_line *t)
{
    flight_line_ping(t, RTT_US, URGENT);
    t->now_us += 10 * US_PER_S - 2 * RTT_US - 1;
    flight_line_ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    flight_line_ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
}

static void test_the_round_trip_is_looked_for_anew(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, URGENT);
    flight_line_run(t, 400, URGENT);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    flight_line_send(t, 7 * FRAME);
    t->now_us += 11 * US_PER_S;
    flight_line_ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    /* The cap carries an eighth more: this is no longer one. */
    flight_line_ping(t, RTT_US + RTT_US / 8, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    assert_in_range(flight_rate(&t->flight), 1900000, 2100000);
    /* It goes on with a part of what it may. */
    flight_line_send(t, FLIGHT_FLOOR);
    assert_true(flight_is_full(&t->flight, &t->log, false));
}

static void test_a_probe_keeps_the_line_busy(void **state)
{
    struct flight_line *t = *state;
    uint64_t first;

    flight_line_ping(t, RTT_US, URGENT);
    flight_line_run(t, 400, URGENT);
    flight_line_send(t, 7 * FRAME);
    t->now_us += 11 * US_PER_S;
    flight_line_ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    /* It holds ten frames: till half of them are in flight, and no more. */
    flight_line_ack(t, t->log.handed - 5 * FRAME - 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    assert_true(flight_is_full(&t->flight, &t->log, true));
    flight_line_ack(t, t->log.handed - 5 * FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    flight_line_ack(t, t->log.handed - 4 * FRAME, URGENT);
    flight_line_send(t, FRAME - 1);
    assert_false(flight_is_full(&t->flight, &t->log, true));
    flight_line_send(t, 1);
    assert_true(flight_is_full(&t->flight, &t->log, true));
    first = t->log.handed;
    t->now_us += RTT_US / 2;
    flight_line_send(t, 8 * FRAME); /* of those who are in a hurry */
    t->now_us += RTT_US / 2;
    flight_line_ack(t, first, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    /* It goes on with what is in flight. */
    assert_true(flight_is_full(&t->flight, &t->log, true));
    assert_int_equal(t->flight.ramp, 8 * FRAME);
}

/* Some round trips, one each 9 s: whether a look began within them. */
static bool is_looked_at(struct flight_line *t, uint64_t rtt_us, unsigned count)
{
    flight_line_ping(t, RTT_US, URGENT);
    flight_line_run(t, 400, URGENT);
    while (count-- > 0 && t->flight.probe == FLIGHT_STEADY) {
        t->now_us += 9 * US_PER_S;
        flight_line_ping(t, rtt_us, URGENT);
    }
    assert_int_equal(t->flight.rtt_us, RTT_US);
    return t->flight.probe != FLIGHT_STEADY;
}

static void test_one_that_was_expected_needs_no_look(void **state)
{
    assert_false(is_looked_at(*state, RTT_US + RTT_US / 8, 10));
}

static void test_one_near_the_known_puts_a_look_off(void **state)
{
    assert_false(is_looked_at(*state, RTT_US + RTT_US / 8 + ACK_DELAY_US, 3));
    flight_line_begin(state);
    assert_true(is_looked_at(*state, RTT_US + RTT_US / 8 + 1, 4));
    flight_line_begin(state);
    assert_true(
        is_looked_at(*state, RTT_US + RTT_US / 8 + ACK_DELAY_US + 1, 2));
}

/* Half of the line is in flight then: it is no queue. */
static void test_a_look_finds_a_somewhat_longer_line(void **state)
{
    struct flight_line *t = *state;
    uint64_t rtt_us = RTT_US + RTT_US / 8 + 1;

    assert_true(is_looked_at(t, rtt_us, 4));
    for (unsigned i = 0; i < 6; i++) {
        flight_line_ping(t, rtt_us, URGENT);
    }
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, rtt_us);
}

static void test_a_longer_round_trip_is_looked_at_thrice(void **state)
{
    struct flight_line *t = *state;

    become_due(t);
    flight_line_ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    flight_line_ping(t, 3 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_SECOND);
    flight_line_ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_THIRD);
    assert_int_equal(t->flight.rtt_us, RTT_US);
    flight_line_ping(t, 5 * RTT_US, URGENT); /* only now nothing is away */
    assert_int_equal(t->flight.probe, FLIGHT_THIRD);
    flight_line_ping(t, 4 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, 2 * RTT_US);
}

static void test_the_third_look_waits_till_next_to_nothing_is_away(void **state)
{
    struct flight_line *t = *state;

    become_due(t);
    flight_line_ping(t, 2 * RTT_US, URGENT);
    flight_line_ping(t, 3 * RTT_US, URGENT);
    flight_line_send(t, FRAME);
    t->now_us += RTT_US;
    flight_line_send(t, 5 * FRAME);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_THIRD);
    t->now_us += US_PER_MS;
    flight_line_send(t, FRAME / 4); /* of who is in a hurry, behind them */
    t->now_us += US_PER_MS;
    flight_line_ack(t, t->log.handed - 3 * FRAME, URGENT);
    flight_line_send(t, FRAME / 4);
    t->now_us += US_PER_MS;
    flight_line_ack(t, t->log.handed - FRAME, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_THIRD);
    assert_true(flight_is_full(&t->flight, &t->log, false));
    flight_line_ack(t, t->log.handed, URGENT);
    flight_line_ping(t, RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
}

static void test_a_look_that_comes_to_no_end_is_given_up(void **state)
{
    struct flight_line *t = *state;

    become_due(t);
    flight_line_send(t, 40 * FRAME);
    t->now_us += 3 * US_PER_S - 1;
    flight_line_ack(t, t->log.acked + 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    t->now_us++;
    flight_line_ack(t, t->log.acked + 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
}

static void test_a_look_without_an_answer_is_given_up(void **state)
{
    struct flight_line *t = *state;

    become_due(t);
    flight_line_send(t, FRAME / 2);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    t->now_us += 3 * US_PER_S;
    flight_line_ack(t, t->log.handed, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
}

static void test_a_look_makes_no_holes(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, URGENT);
    flight_line_run(t, 400, URGENT);
    flight_line_send(t, 15 * FRAME);
    t->flight.probed = t->log.acked + 6 * FRAME;
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + 3 * FRAME, URGENT);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + 3 * FRAME, URGENT);
    t->now_us += RTT_US; /* the last one's was the first of others */
    flight_line_ack(t, t->log.acked + 3 * FRAME, URGENT);
    assert_int_equal(t->flight.gaps_us[0] + t->flight.gaps_us[1], 0);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.acked + 3 * FRAME, URGENT);
    assert_int_equal(t->flight.gaps_us[0], RTT_US);
}

static void test_what_was_sent_before_a_probe_is_not_its_answer(void **state)
{
    struct flight_line *t = *state;

    become_due(t);
    flight_line_send(t, FRAME / 2);
    t->now_us += RTT_US;
    flight_line_send(t, FRAME / 2);
    flight_line_ack(t, t->log.acked + FRAME / 2, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    t->flight.probe_us++; /* the second half was sent before */
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_FIRST);
    flight_line_ping(t, RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
}

/* A sender of |len| bytes each 10 ms, all of them behind a queue, till a look
 * begins: the milliseconds that took, 5 s at most. */
static unsigned look_after_ms(struct flight_line *t, size_t len)
{
    uint64_t begin_us = t->now_us;

    for (unsigned i = 0; i < 16; i++) {
        flight_line_send(t, FLIGHT_FLOOR / 16);
    }
    t->now_us += RTT_US;
    while (t->flight.probe == FLIGHT_STEADY &&
           t->now_us - begin_us < 5 * US_PER_S) {
        t->now_us += 10 * US_PER_MS;
        flight_line_send(t, len);
        flight_line_ack(t, t->log.acked + len, URGENT);
    }
    return (unsigned)((t->now_us - begin_us) / US_PER_MS);
}

static void test_a_floor_that_may_be_a_queue_is_looked_into(void **state)
{
    struct flight_line *t = *state;

    /* 400 kB/s hold 20 kB in the round trip. */
    flight_line_ping(t, RTT_US, URGENT);
    assert_in_range(look_after_ms(t, 4000), 2000, 2010);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    t->now_us += RTT_US;
    flight_line_ack(t, t->log.handed, URGENT);
    assert_false(t->flight.is_slow);
    flight_line_ping(t, RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_true(t->flight.is_slow);
    /* What it holds and an eighth, which is more than an ACK is held for. */
    t->flight.rtt_now_us = 2 * RTT_US;
    assert_true(flight_line_is_cap(t, 20000 + 20000 / 8 + FLIGHT_EXTRA, false));
    /* It is known now, and the next look is one of those that are due. */
    assert_in_range(look_after_ms(t, 4000), 5000, 5010);
}

static void test_a_look_that_was_given_up_says_nothing(void **state)
{
    struct flight_line *t = *state;

    /* The floor is in flight, on a line of 400 kB/s. */
    flight_line_ping(t, RTT_US, URGENT);
    assert_in_range(look_after_ms(t, 4000), 2000, 2010);
    t->now_us += 3 * US_PER_S;
    flight_line_ack(t, t->log.acked + 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_false(t->flight.is_slow);
    /* And is not tried again so soon. */
    assert_in_range(look_after_ms(t, 4000), 5000, 5010);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    t->now_us += 6 * US_PER_S;
    flight_line_ack(t, t->log.acked + 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
}

static void test_a_line_that_fills_the_floor_is_slow_no_more(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, URGENT);
    t->flight.is_slow = true;
    flight_line_run(t, 100, CALM); /* it holds 100 kB */
    assert_false(t->flight.is_slow);
}

static void test_a_line_that_nearly_holds_the_floor_is_not_slow(void **state)
{
    struct flight_line *t = *state;

    /* 984 kB/s hold 48 KiB and 48 bytes. */
    flight_line_ping(t, RTT_US, URGENT);
    assert_in_range(look_after_ms(t, 9840), 5000, 5010);
    t->now_us += 6 * US_PER_S;
    flight_line_ack(t, t->log.acked + 1, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    flight_line_ack(t, t->log.handed, URGENT);
    flight_line_ping(t, RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_false(t->flight.is_slow);
    t->flight.rtt_now_us = 2 * RTT_US;
    assert_true(flight_line_is_cap(t, FLIGHT_FLOOR, false));
    flight_line_begin(state);
    flight_line_ping(t, RTT_US, URGENT);
    /* After the first one, which waited for nothing. */
    assert_in_range(look_after_ms(t, 9820), 2060, 2070);
}

static void test_half_of_the_floor_in_flight_is_in_doubt(void **state)
{
    static const struct {
        size_t len;
        enum flight_probe probe;
    } cases[] = { { FLIGHT_FLOOR / 2 - 1, FLIGHT_STEADY },
                  { FLIGHT_FLOOR / 2, FLIGHT_DRAIN } };

    for (unsigned i = 0; i < 2; i++) {
        struct flight_line *t = *state;

        flight_line_begin(state);
        flight_line_ping(t, RTT_US, URGENT);
        flight_line_send(t, FRAME);
        t->now_us += 2 * US_PER_S;
        flight_line_send(t, cases[i].len);
        flight_line_ack(t, t->log.acked + FRAME, URGENT);
        assert_int_equal(t->flight.probe, cases[i].probe);
    }
}

static void test_nothing_is_probed_while_nobody_is_in_a_hurry(void **state)
{
    struct flight_line *t = *state;

    flight_line_ping(t, RTT_US, CALM);
    t->now_us += 10 * US_PER_S;
    flight_line_ping(t, 2 * RTT_US, URGENT);
    assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    flight_line_ping(t, 2 * RTT_US, CALM);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    flight_line_ping(t, 2 * RTT_US, CALM);
    assert_int_equal(t->flight.probe, FLIGHT_STEADY);
    assert_int_equal(t->flight.rtt_us, RTT_US);
}

static void test_a_look_waits_till_the_queue_of_before_is_gone(void **state)
{
    static const unsigned calm_s[] = { 11, 31 };

    for (unsigned i = 0; i < 2; i++) {
        struct flight_line *t = *state;

        flight_line_begin(state);
        flight_line_ping(t, RTT_US, URGENT);
        t->now_us += calm_s[i] * US_PER_S;
        flight_line_ping(t, 2 * RTT_US, CALM);
        t->now_us += US_PER_S - 2 * RTT_US - 1;
        flight_line_ping(t, 2 * RTT_US, URGENT);
        assert_int_equal(t->flight.probe, FLIGHT_STEADY);
        flight_line_ping(t, 2 * RTT_US, URGENT);
        assert_int_equal(t->flight.probe, FLIGHT_DRAIN);
    }
}

#define CASE(name) cmocka_unit_test_setup(name, flight_line_begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_round_trip_is_looked_for_anew),
        CASE(test_a_probe_keeps_the_line_busy),
        CASE(test_one_that_was_expected_needs_no_look),
        CASE(test_one_near_the_known_puts_a_look_off),
        CASE(test_a_look_finds_a_somewhat_longer_line),
        CASE(test_a_longer_round_trip_is_looked_at_thrice),
        CASE(test_the_third_look_waits_till_next_to_nothing_is_away),
        CASE(test_a_look_that_comes_to_no_end_is_given_up),
        CASE(test_a_look_without_an_answer_is_given_up),
        CASE(test_a_look_makes_no_holes),
        CASE(test_what_was_sent_before_a_probe_is_not_its_answer),
        CASE(test_a_look_waits_till_the_queue_of_before_is_gone),
        CASE(test_nothing_is_probed_while_nobody_is_in_a_hurry),
        CASE(test_a_floor_that_may_be_a_queue_is_looked_into),
        CASE(test_a_line_that_nearly_holds_the_floor_is_not_slow),
        CASE(test_half_of_the_floor_in_flight_is_in_doubt),
        CASE(test_a_look_that_was_given_up_says_nothing),
        CASE(test_a_line_that_fills_the_floor_is_slow_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
