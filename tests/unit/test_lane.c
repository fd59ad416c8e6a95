/* One direction of the line that tests/net puts between networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/lane.h"

#define MS 1000000u
#define SEED 7u

static const unsigned char packet[1500];

static struct lane *lane_of(struct lane_settings settings)
{
    struct lane *l = lane_new(SEED);

    assert_non_null(l);
    lane_set(l, 0, settings);
    return l;
}

/* How many have arrived by |now_ns|. */
static size_t arrived(struct lane *l, uint64_t now_ns)
{
    size_t count = 0;
    size_t len;

    while (lane_pop(l, now_ns, &len) != NULL) {
        assert_int_equal(len, sizeof(packet));
        count++;
    }
    return count;
}

static void push(struct lane *l, uint64_t now_ns, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        lane_push(l, now_ns, packet, sizeof(packet));
    }
}

static void test_a_packet_arrives_a_delay_and_its_length_later(void **state)
{
    /* 1,500 bytes at 12 Mbit/s are 1 ms. */
    struct lane *l = lane_of(
        (struct lane_settings){ .rate_bits = 12000000, .delay_us = 20000 });

    (void)state;
    assert_int_equal(lane_next_ns(l), LANE_NEVER);
    push(l, 5 * MS, 1);
    assert_int_equal(lane_next_ns(l), 26 * MS);
    assert_int_equal(arrived(l, 26 * MS - 1), 0);
    assert_int_equal(arrived(l, 26 * MS), 1);
    assert_int_equal(lane_next_ns(l), LANE_NEVER);
    lane_free(l);
}

static void test_packets_arrive_at_the_rate_and_in_order(void **state)
{
    struct lane *l = lane_of((struct lane_settings){ .rate_bits = 12000000 });
    const unsigned char *data;
    size_t len;

    (void)state;
    for (unsigned char i = 0; i < 100; i++) {
        lane_push(l, 0, (unsigned char[1500]){ i }, sizeof(packet));
    }
    for (unsigned char i = 0; i < 100; i++) {
        assert_int_equal(lane_next_ns(l), (i + 1u) * (uint64_t)MS);
        data = lane_pop(l, (i + 1u) * (uint64_t)MS, &len);
        assert_non_null(data);
        assert_int_equal(data[0], i);
    }
    lane_free(l);
}

static void test_a_full_queue_drops_its_tail(void **state)
{
    struct lane *l = lane_of(
        (struct lane_settings){ .rate_bits = 12000000, .queue_bytes = 15000 });

    (void)state;
    /* One goes at once, ten wait. */
    push(l, 0, 20);
    assert_int_equal(lane_counts(l).dropped, 9);
    assert_int_equal(lane_counts(l).waited, 15000);
    assert_int_equal(arrived(l, 5 * MS), 5);
    /* Who arrives at 5 ms has left place to five more. */
    push(l, 5 * MS, 20);
    assert_int_equal(lane_counts(l).dropped, 9 + 15);
    assert_int_equal(arrived(l, 100 * MS), 11);
    lane_free(l);
}

static void test_packets_are_lost_as_often_as_asked(void **state)
{
    struct lane *l = lane_of((struct lane_settings){ .loss_ppm = 10000 });
    size_t count = 0;

    (void)state;
    for (uint64_t i = 0; i < 100; i++) {
        push(l, i, 1000);
        count += arrived(l, i);
    }
    assert_int_equal(count + lane_counts(l).lost, 100000);
    assert_in_range(lane_counts(l).lost, 900, 1100);
    lane_free(l);
}

static void test_the_same_seed_loses_the_same_packets(void **state)
{
    struct lane *l = lane_of((struct lane_settings){ .loss_ppm = 300000 });
    struct lane *again = lane_of((struct lane_settings){ .loss_ppm = 300000 });

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        push(l, i, 1);
        push(again, i, 1);
        assert_int_equal(arrived(l, i), arrived(again, i));
    }
    lane_free(l);
    lane_free(again);
}

static void test_a_cut_loses_what_is_on_the_way_and_what_comes(void **state)
{
    struct lane_settings s = { .rate_bits = 12000000, .delay_us = 20000 };
    struct lane *l = lane_of(s);

    (void)state;
    push(l, 0, 10);
    s.is_cut = 1;
    lane_set(l, 5 * MS, s);
    push(l, 6 * MS, 10);
    assert_int_equal(lane_next_ns(l), LANE_NEVER);
    assert_int_equal(lane_counts(l).cut, 20);
    s.is_cut = 0;
    lane_set(l, 100 * MS, s);
    push(l, 100 * MS, 1);
    assert_int_equal(arrived(l, 121 * MS), 1);
    lane_free(l);
}

static void test_a_change_counts_for_what_still_waits(void **state)
{
    struct lane_settings s = { .rate_bits = 12000000, .delay_us = 20000 };
    struct lane *l = lane_of(s);

    (void)state;
    push(l, 0, 10);
    s = (struct lane_settings){ .rate_bits = 120000000 };
    lane_set(l, 500000, s);
    /* The first is under way: 21 ms; nobody overtakes it. */
    assert_int_equal(arrived(l, 21 * MS - 1), 0);
    assert_int_equal(arrived(l, 21 * MS), 10);
    lane_free(l);
}

static void test_no_more_packets_are_kept_than_may_be(void **state)
{
    struct lane *l = lane_of((struct lane_settings){ .delay_us = 1000000 });

    (void)state;
    push(l, 0, LANE_PACKETS_MAX + 10);
    assert_int_equal(lane_counts(l).dropped, 10);
    assert_int_equal(arrived(l, 1000 * (uint64_t)MS), LANE_PACKETS_MAX);
    lane_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_packet_arrives_a_delay_and_its_length_later),
        cmocka_unit_test(test_packets_arrive_at_the_rate_and_in_order),
        cmocka_unit_test(test_a_full_queue_drops_its_tail),
        cmocka_unit_test(test_packets_are_lost_as_often_as_asked),
        cmocka_unit_test(test_the_same_seed_loses_the_same_packets),
        cmocka_unit_test(test_a_cut_loses_what_is_on_the_way_and_what_comes),
        cmocka_unit_test(test_a_change_counts_for_what_still_waits),
        cmocka_unit_test(test_no_more_packets_are_kept_than_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
