/* Which stream goes when a receive pool is full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/pair.h"

#define POOL 1000u
#define STREAMS 3u

struct house {
    struct pair pair;
    uint32_t ids[STREAMS];
};

static struct house house;

/* Three raw streams, whose owners at the relay are their places. */
static int begin(void **state)
{
    struct pair *p = &house.pair;
    struct frame_open open = pair_open(1);

    pair_init_small(p, WINDOW_FIRST, POOL);
    pair_bind(p, 1);
    open.kind = STREAM_RAW;
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(session_open(p->relay.session, 0, &open,
                                      span_text("raw"), false, &house.ids[i]),
                         ERR_OK);
        session_set_owner(p->relay.session, house.ids[i], &house.ids[i]);
    }
    pair_settle(p);
    *state = &house;
    return 0;
}

static int end(void **state)
{
    struct house *h = *state;

    for (unsigned i = 0; i < STREAMS; i++) {
        session_reset(h->pair.relay.session, h->ids[i], ERR_CANCEL);
    }
    assert_int_equal(h->pair.relay.receive.used, 0);
    pair_deinit(&h->pair);
    return 0;
}

/* |len| bytes for the relay on the |i|th stream. */
static void give(struct house *h, unsigned i, size_t len)
{
    struct chunk *c = chunk_new(len);

    assert_non_null(c);
    memset(chunk_tail(c), 'x', len);
    chunk_grow(c, len);
    assert_int_equal(session_write_take(h->pair.client.session, h->ids[i], c),
                     ERR_OK);
    pair_settle(&h->pair);
}

static void consume(struct house *h, unsigned i, size_t len)
{
    session_now(h->pair.relay.session, h->pair.now_us);
    session_consumed(h->pair.relay.session, h->ids[i], len);
}

static bool is_due(const struct house *h)
{
    return session_shed_due(h->pair.relay.session, h->pair.now_us);
}

static bool find(const struct house *h, enum session_shed_rule rule,
                 struct session_shed *out)
{
    return session_shed_find(h->pair.relay.session, rule, h->pair.now_us, out);
}

static void test_how_full_a_pool_is_says_who_goes(void **state)
{
    (void)state;
    assert_int_equal(session_shed_rule(0), SHED_NONE);
    assert_int_equal(session_shed_rule(74), SHED_NONE);
    assert_int_equal(session_shed_rule(75), SHED_STALLED);
    assert_int_equal(session_shed_rule(99), SHED_STALLED);
    assert_int_equal(session_shed_rule(100), SHED_LARGEST);
    assert_int_equal(session_shed_rule(4000), SHED_LARGEST);
}

static void test_each_rule_has_its_sentence(void **state)
{
    (void)state;
    assert_string_equal(session_shed_why(SHED_NONE), "");
    assert_non_null(strstr(session_shed_why(SHED_STALLED), "short"));
    assert_non_null(strstr(session_shed_why(SHED_LARGEST), "full"));
}

static void test_nobody_goes_below_three_quarters(void **state)
{
    struct house *h = *state;

    give(h, 0, 749);
    h->pair.now_us += 3600 * US_PER_S;
    assert_int_equal(session_shed_percent(h->pair.relay.session), 74);
    assert_false(is_due(h));
}

static void test_a_full_pool_sheds_the_largest_holder(void **state)
{
    struct house *h = *state;
    struct session *relay = h->pair.relay.session;
    struct session_shed out;
    struct session_event event;

    give(h, 0, 300);
    give(h, 1, 500);
    give(h, 2, 200);
    assert_true(is_due(h));
    assert_true(find(h, SHED_LARGEST, &out));
    assert_int_equal(out.stream, h->ids[1]);
    assert_ptr_equal(out.owner, &h->ids[1]);
    assert_int_equal(out.held, 500);
    session_reset(relay, out.stream, ERR_LIMIT);
    assert_int_equal(h->pair.relay.receive.used, 500);
    assert_false(is_due(h));
    assert_true(pair_next(&h->pair, &h->pair.relay, &h->pair.client, &event));
    assert_int_equal(event.kind, EVENT_RESET);
    assert_int_equal(event.code, ERR_LIMIT);
}

static void test_a_pool_above_counts_as_well(void **state)
{
    struct house *h = *state;

    pool_charge(&h->pair.relay.receive, 2 * POOL);
    assert_int_equal(session_shed_percent(h->pair.relay.session), 100);
    assert_true(is_due(h));
    pool_release(&h->pair.relay.receive, 2 * POOL);
    assert_false(is_due(h));
}

static void test_nobody_goes_who_holds_nothing(void **state)
{
    struct house *h = *state;
    struct session_shed out;

    assert_false(find(h, SHED_LARGEST, &out));
    assert_false(find(h, SHED_STALLED, &out));
    give(h, 0, 10);
    consume(h, 0, 10);
    h->pair.now_us += 3600 * US_PER_S;
    assert_false(find(h, SHED_LARGEST, &out));
    assert_false(find(h, SHED_STALLED, &out));
}

static void test_the_one_stalled_longest_goes_after_30_s(void **state)
{
    struct house *h = *state;
    struct session_shed out;

    give(h, 0, 400);
    h->pair.now_us += US_PER_S;
    give(h, 1, 300);
    h->pair.now_us += US_PER_S;
    give(h, 2, 100);
    /* More bytes are no progress, a consumed one is. */
    give(h, 1, 1);
    consume(h, 0, 1);
    h->pair.now_us += 29 * US_PER_S - 1;
    assert_true(is_due(h));
    assert_false(find(h, SHED_STALLED, &out));
    assert_false(is_due(h));
    h->pair.now_us++;
    assert_true(is_due(h));
    assert_true(find(h, SHED_STALLED, &out));
    assert_int_equal(out.stream, h->ids[1]);
    assert_int_equal(out.stalled_us, STALL_UNDER_PRESSURE_US);
}

static void test_a_session_wakes_for_the_next_stall(void **state)
{
    struct house *h = *state;
    struct session *relay = h->pair.relay.session;
    struct session_shed out;
    uint64_t since_us;

    give(h, 0, 800);
    since_us = h->pair.now_us;
    /* First it must be asked who has stalled, then it waits for one. */
    assert_true(session_deadline(relay, 0) <= since_us);
    assert_false(find(h, SHED_STALLED, &out));
    h->pair.now_us += STALL_UNDER_PRESSURE_US - 1;
    assert_int_equal(session_tick(relay, 0, h->pair.now_us), ERR_OK);
    pair_settle(&h->pair);
    assert_int_equal(session_deadline(relay, 0),
                     since_us + STALL_UNDER_PRESSURE_US);
}

static void test_one_that_is_over_but_unread_can_go(void **state)
{
    struct house *h = *state;
    struct session *relay = h->pair.relay.session;
    struct session_shed out;
    struct session_event event;

    give(h, 0, 1000);
    assert_int_equal(session_write_fin(relay, h->ids[0]), ERR_OK);
    assert_int_equal(session_write_fin(h->pair.client.session, h->ids[0]),
                     ERR_OK);
    pair_settle(&h->pair);
    assert_false(session_has_stream(relay, h->ids[0]));
    assert_true(find(h, SHED_LARGEST, &out));
    assert_ptr_equal(out.owner, &h->ids[0]);
    session_reset(relay, out.stream, ERR_LIMIT);
    assert_int_equal(h->pair.relay.receive.used, 0);
    /* The other end has done with it. */
    assert_false(pair_next(&h->pair, &h->pair.relay, &h->pair.client, &event));
}

static void test_a_head_that_is_not_whole_is_held(void **state)
{
    struct house *h = *state;
    struct pair *p = &h->pair;
    struct frame_open open = pair_open(1);
    static const uint8_t head[40000];
    struct session_event event;
    struct session_shed out;
    uint32_t id;
    size_t len;

    assert_int_equal(session_open(p->relay.session, 0, &open,
                                  span_of(head, sizeof(head)), true, &id),
                     ERR_OK);
    pair_send(p, &p->relay, 1);
    len = pair_waiting(&p->relay);
    assert_int_equal(pair_step(p, &p->relay, &p->client, &len, &event), ERR_OK);
    assert_int_equal(event.kind, EVENT_NONE);
    assert_true(session_shed_due(p->client.session, p->now_us));
    assert_true(
        session_shed_find(p->client.session, SHED_LARGEST, p->now_us, &out));
    assert_int_equal(out.stream, id);
    assert_null(out.owner);
    session_reset(p->client.session, id, ERR_LIMIT);
    assert_int_equal(p->client.receive.used, 0);
    pair_settle(p);
    assert_false(session_has_stream(p->relay.session, id));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_how_full_a_pool_is_says_who_goes),
        CASE(test_each_rule_has_its_sentence),
        CASE(test_nobody_goes_below_three_quarters),
        CASE(test_a_full_pool_sheds_the_largest_holder),
        CASE(test_a_pool_above_counts_as_well),
        CASE(test_nobody_goes_who_holds_nothing),
        CASE(test_the_one_stalled_longest_goes_after_30_s),
        CASE(test_a_session_wakes_for_the_next_stall),
        CASE(test_one_that_is_over_but_unread_can_go),
        CASE(test_a_head_that_is_not_whole_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
