/* Whose turn it is to send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/sched.h"
#include "tests/support/pair.h"

#define STREAMS 4u

struct turn_test {
    struct sched sched;
    struct stream *st[STREAMS];
    uint64_t now_us;
};

static int begin(void **state)
{
    static struct turn_test t;
    struct frame_open open = pair_open(1);

    t = (struct turn_test){ .now_us = 1 };
    for (uint32_t i = 0; i < STREAMS; i++) {
        t.st[i] = stream_new(2 * i + 2, 0, &open);
        assert_non_null(t.st[i]);
    }
    *state = &t;
    return 0;
}

static int end(void **state)
{
    struct turn_test *t = *state;

    for (unsigned i = 0; i < STREAMS; i++) {
        sched_remove(t->st[i]);
        chunk_queue_clear(&t->st[i]->unsent);
        stream_free(t->st[i]);
    }
    return 0;
}

/* Give |st| |count| chunks of |len| bytes of |type| to send. */
static void fill(struct turn_test *t, struct stream *st, uint8_t type,
                 size_t len, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct chunk *c = chunk_new(len);

        assert_non_null(c);
        c->type = type;
        memset(chunk_tail(c), 0, len);
        chunk_grow(c, len);
        chunk_queue_put(&st->unsent, c);
    }
    if (!stream_list_has(st, LIST_READY)) {
        sched_put(&t->sched, st);
    }
}

/* Send one frame; whose it was, 0 for nobody's. */
static uint32_t turn(struct turn_test *t, enum sched_scope scope)
{
    struct stream *st;
    struct chunk *c;
    bool is_ready = sched_is_ready(&t->sched, scope);

    st = sched_take(&t->sched, scope, FRAME_PAYLOAD_MAX);
    assert_int_equal(is_ready, st != NULL);
    if (st == NULL) {
        return 0;
    }
    c = chunk_queue_take(&st->unsent);
    sched_sent(&t->sched, st, c->type, c->len, t->now_us);
    chunk_free(c);
    if (st->unsent.head != NULL) {
        sched_put(&t->sched, st);
    } else {
        sched_remove(st);
    }
    return st->id;
}

static void test_opens_leave_in_id_order(void **state)
{
    struct turn_test *t = *state;

    for (unsigned i = 0; i < STREAMS; i++) {
        fill(t, t->st[i], FRAME_OPEN, 50, 1);
    }
    for (uint32_t i = 0; i < STREAMS; i++) {
        assert_int_equal(turn(t, SCHED_ALL), 2 * i + 2);
    }
    assert_int_equal(turn(t, SCHED_ALL), 0);
}

static void test_heads_and_small_data_overtake_bulk(void **state)
{
    struct turn_test *t = *state;

    t->st[0]->class = CLASS_BULK;
    t->st[1]->class = CLASS_INTERACTIVE;
    fill(t, t->st[0], FRAME_DATA, 16000, 3);
    fill(t, t->st[1], FRAME_DATA, 100, 1);
    fill(t, t->st[2], FRAME_HEAD, 100, 1);
    fill(t, t->st[3], FRAME_DATA, 100, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_not_equal(turn(t, SCHED_ALL), t->st[0]->id);
    }
    assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
}

static void test_bulk_is_shared_by_bytes_not_by_frames(void **state)
{
    struct turn_test *t = *state;
    size_t sent[2] = { 0, 0 };

    t->st[0]->class = CLASS_BULK;
    t->st[1]->class = CLASS_BULK;
    fill(t, t->st[0], FRAME_DATA, 16000, 40);
    fill(t, t->st[1], FRAME_DATA, 1000, 640);
    for (unsigned i = 0; i < 300; i++) {
        uint32_t id = turn(t, SCHED_ALL);

        sent[id == t->st[0]->id ? 0 : 1] += id == t->st[0]->id ? 16000 : 1000;
    }
    assert_in_range(sent[0], sent[1] - 40000, sent[1] + 40000);
}

static void test_interactive_does_not_starve_bulk(void **state)
{
    struct turn_test *t = *state;
    unsigned bulk = 0;

    t->st[0]->class = CLASS_BULK;
    fill(t, t->st[0], FRAME_DATA, 4000, 300);
    t->st[1]->class = CLASS_INTERACTIVE;
    fill(t, t->st[1], FRAME_HEAD, 4000, 300);
    for (unsigned i = 0; i < 200; i++) {
        bulk += turn(t, SCHED_ALL) == t->st[0]->id ? 1 : 0;
    }
    /* Every other one, after the first batch. */
    assert_in_range(bulk, 85, 100);
}

static void test_too_much_in_flight_holds_back_bulk_only(void **state)
{
    struct turn_test *t = *state;

    t->st[0]->class = CLASS_BULK;
    fill(t, t->st[0], FRAME_DATA, 4000, 100);
    assert_int_equal(turn(t, SCHED_URGENT), 0);
    t->st[1]->class = CLASS_INTERACTIVE;
    fill(t, t->st[1], FRAME_DATA, 1000, 1);
    fill(t, t->st[2], FRAME_HEAD, 1000, 1);
    assert_int_not_equal(turn(t, SCHED_URGENT), 0);
    assert_int_not_equal(turn(t, SCHED_URGENT), 0);
    assert_int_equal(turn(t, SCHED_URGENT), 0);
    assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
}

static void test_a_crowd_does_not_starve_bulk_that_is_held_back(void **state)
{
    struct turn_test *t = *state;
    unsigned bulk = 0;

    t->st[0]->class = CLASS_BULK;
    fill(t, t->st[0], FRAME_DATA, 4000, 300);
    t->st[1]->class = CLASS_INTERACTIVE;
    fill(t, t->st[1], FRAME_HEAD, 4000, 300);
    for (unsigned i = 0; i < 200; i++) {
        bulk += turn(t, SCHED_URGENT) == t->st[0]->id ? 1 : 0;
    }
    assert_in_range(bulk, 85, 100);
}

static void test_bulk_is_shared_in_small_quanta_too(void **state)
{
    struct turn_test *t = *state;
    unsigned turns[2] = { 0, 0 };

    t->st[0]->class = CLASS_BULK;
    t->st[1]->class = CLASS_BULK;
    fill(t, t->st[0], FRAME_DATA, 16000, 1);
    fill(t, t->st[1], FRAME_DATA, 16000, 1);
    for (unsigned i = 0; i < 10; i++) {
        struct stream *st = sched_take(&t->sched, SCHED_ALL, 2000);

        turns[st == t->st[0] ? 0 : 1]++;
        assert_in_range(st->deficit, 2000, 2000);
        chunk_drop(st->unsent.head, 1000);
        st->unsent.bytes -= 1000;
        sched_sent(&t->sched, st, FRAME_DATA, 2000, t->now_us);
        sched_put(&t->sched, st);
    }
    assert_int_equal(turns[0], turns[1]);
}

static void test_only_interactive_streams_are_waited_for(void **state)
{
    struct turn_test *t = *state;

    assert_false(sched_is_urgent(t->st[0]));
    t->st[0]->class = CLASS_INTERACTIVE;
    assert_true(sched_is_urgent(t->st[0]));
    fill(t, t->st[0], FRAME_DATA, 16000, 20);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
    }
    assert_false(sched_is_urgent(t->st[0]));
}

static void test_a_long_burst_makes_a_stream_bulk_till_it_rests(void **state)
{
    struct turn_test *t = *state;

    t->st[0]->class = CLASS_INTERACTIVE;
    fill(t, t->st[0], FRAME_DATA, 16000, 40);
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
    }
    t->st[1]->class = CLASS_BULK;
    fill(t, t->st[1], FRAME_DATA, 100, 1);
    fill(t, t->st[0], FRAME_DATA, 100, 2);
    assert_int_equal(turn(t, SCHED_ALL), t->st[1]->id);
    t->now_us += 20 * US_PER_S;
    assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
    fill(t, t->st[1], FRAME_DATA, 100, 1);
    assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
}

static void test_steady_voice_never_becomes_bulk(void **state)
{
    struct turn_test *t = *state;

    t->st[0]->class = CLASS_INTERACTIVE;
    t->st[1]->class = CLASS_BULK;
    fill(t, t->st[1], FRAME_DATA, 16000, 700);
    for (unsigned i = 0; i < 60 * 25; i++) {
        fill(t, t->st[0], FRAME_DATA, 2600, 1);
        assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
        if (i % 3 == 0) {
            (void)turn(t, SCHED_ALL);
        }
        t->now_us += 40 * US_PER_MS;
    }
}

static void test_the_first_bytes_of_a_response_are_interactive(void **state)
{
    struct turn_test *t = *state;

    fill(t, t->st[0], FRAME_DATA, 16000, 4);
    t->st[1]->class = CLASS_BULK;
    fill(t, t->st[1], FRAME_DATA, 16000, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
    }
    assert_int_equal(turn(t, SCHED_ALL), t->st[1]->id);
}

static void test_a_full_log_lets_heads_pass_then_nothing(void **state)
{
    struct turn_test *t = *state;

    fill(t, t->st[0], FRAME_DATA, 100, 1);
    assert_false(sched_is_ready(&t->sched, SCHED_HEADS_ONLY));
    assert_int_equal(turn(t, SCHED_HEADS_ONLY), 0);
    fill(t, t->st[1], FRAME_HEAD, 100, 1);
    fill(t, t->st[2], FRAME_OPEN, 100, 1);
    assert_int_equal(turn(t, SCHED_NOTHING), 0);
    assert_int_equal(turn(t, SCHED_HEADS_ONLY), t->st[2]->id);
    assert_int_equal(turn(t, SCHED_HEADS_ONLY), t->st[1]->id);
    assert_int_equal(turn(t, SCHED_HEADS_ONLY), 0);
    assert_int_equal(turn(t, SCHED_ALL), t->st[0]->id);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_opens_leave_in_id_order),
        CASE(test_heads_and_small_data_overtake_bulk),
        CASE(test_bulk_is_shared_by_bytes_not_by_frames),
        CASE(test_interactive_does_not_starve_bulk),
        CASE(test_too_much_in_flight_holds_back_bulk_only),
        CASE(test_a_crowd_does_not_starve_bulk_that_is_held_back),
        CASE(test_bulk_is_shared_in_small_quanta_too),
        CASE(test_only_interactive_streams_are_waited_for),
        CASE(test_a_long_burst_makes_a_stream_bulk_till_it_rests),
        CASE(test_steady_voice_never_becomes_bulk),
        CASE(test_the_first_bytes_of_a_response_are_interactive),
        CASE(test_a_full_log_lets_heads_pass_then_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
