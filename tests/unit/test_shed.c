/* Whose exchange goes when several sessions share the relay's memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relay/client_session.h"
#include "relay/shed.h"
#include "relay/worker.h"
#include "tests/support/pair.h"

#define SESSION_POOL 1000u
#define RELAY_POOL 1500u

struct side {
    struct pair pair;
    struct client_session session;
    uint32_t small, large; /* streams */
};

struct house {
    struct worker worker;
    struct side one, other;
};

static struct house house;

static void side_open(struct house *h, struct side *side)
{
    struct pair *p = &side->pair;
    struct frame_open open = pair_open(1);

    pair_init_small(p, WINDOW_FIRST, SESSION_POOL);
    p->relay.receive.parent = &h->worker.receive_pool;
    pair_bind(p, 1);
    open.kind = STREAM_RAW;
    assert_int_equal(session_open(p->relay.session, 0, &open, span_text("raw"),
                                  false, &side->small),
                     ERR_OK);
    assert_int_equal(session_open(p->relay.session, 0, &open, span_text("raw"),
                                  false, &side->large),
                     ERR_OK);
    pair_settle(p);
    side->session = (struct client_session){ .worker = &h->worker };
    side->session.carrier.session = p->relay.session;
    side->session.next = h->worker.sessions;
    h->worker.sessions = &side->session;
}

static int begin(void **state)
{
    struct house *h = &house;

    *h = (struct house){ .one = { .small = 0 } };
    pool_init(&h->worker.receive_pool, NULL, RELAY_POOL);
    side_open(h, &h->one);
    side_open(h, &h->other);
    *state = h;
    return 0;
}

static int end(void **state)
{
    struct house *h = *state;

    pair_deinit(&h->one.pair);
    pair_deinit(&h->other.pair);
    assert_int_equal(h->worker.receive_pool.used, 0);
    return 0;
}

/* |len| bytes for |stream| of |side|, |at_s| seconds after the beginning. */
static void give(struct side *side, uint32_t stream, size_t len, uint64_t at_s)
{
    struct chunk *c = chunk_new(len);

    assert_non_null(c);
    memset(chunk_tail(c), 'x', len);
    chunk_grow(c, len);
    side->pair.now_us = at_s * US_PER_S;
    session_set_owner(side->pair.relay.session, stream, side);
    assert_int_equal(session_write_take(side->pair.client.session, stream, c),
                     ERR_OK);
    pair_settle(&side->pair);
    session_set_owner(side->pair.relay.session, stream, NULL);
}

static void test_a_session_at_its_bound_answers_for_itself(void **state)
{
    struct house *h = *state;
    struct shed_choice c;

    give(&h->other, h->other.large, 490, 1);
    give(&h->one, h->one.small, 300, 1);
    assert_false(shed_choose(&h->one.session, US_PER_S, &c));
    h->worker.receive_pool.max = 10 * RELAY_POOL;
    give(&h->one, h->one.large, 700, 1);
    assert_true(shed_choose(&h->one.session, US_PER_S, &c));
    assert_ptr_equal(c.session, &h->one.session);
    assert_int_equal(c.rule, SHED_LARGEST);
    assert_int_equal(c.stream.stream, h->one.large);
    assert_false(shed_choose(&h->other.session, US_PER_S, &c));
}

static void test_at_the_relays_bound_the_largest_of_all_goes(void **state)
{
    struct house *h = *state;
    struct shed_choice c;

    give(&h->one, h->one.small, 400, 1);
    give(&h->one, h->one.large, 450, 1);
    give(&h->other, h->other.large, 650, 1);
    assert_true(shed_choose(&h->one.session, US_PER_S, &c));
    assert_ptr_equal(c.session, &h->other.session);
    assert_int_equal(c.stream.stream, h->other.large);
    assert_int_equal(c.stream.held, 650);
}

static void test_at_three_quarters_the_longest_stalled_of_all_goes(void **state)
{
    struct house *h = *state;
    struct shed_choice c;

    give(&h->other, h->other.small, 300, 1);
    give(&h->one, h->one.large, 600, 2);
    give(&h->other, h->other.large, 300, 3);
    assert_false(shed_choose(&h->one.session, 30 * US_PER_S, &c));
    assert_true(shed_choose(&h->one.session, 40 * US_PER_S, &c));
    assert_ptr_equal(c.session, &h->other.session);
    assert_int_equal(c.rule, SHED_STALLED);
    assert_int_equal(c.stream.stream, h->other.small);
    assert_int_equal(c.stream.stalled_us, 39 * US_PER_S);
}

static void test_as_many_go_as_there_must(void **state)
{
    struct house *h = *state;

    give(&h->one, h->one.small, 400, 1);
    give(&h->one, h->one.large, 500, 1);
    give(&h->other, h->other.small, 100, 1);
    give(&h->other, h->other.large, 600, 1);
    h->worker.receive_pool.max = 1100;
    h->worker.loop.now_us = US_PER_S;
    shed_relieve(&h->one.session);
    assert_false(
        session_has_stream(h->other.pair.relay.session, h->other.large));
    assert_true(session_has_stream(h->one.pair.relay.session, h->one.large));
    assert_int_equal(h->worker.receive_pool.used, 1000);
    h->worker.receive_pool.max = 500;
    shed_relieve(&h->one.session);
    assert_int_equal(h->worker.receive_pool.used, 100);
    assert_true(
        session_has_stream(h->other.pair.relay.session, h->other.small));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_session_at_its_bound_answers_for_itself),
        CASE(test_at_the_relays_bound_the_largest_of_all_goes),
        CASE(test_at_three_quarters_the_longest_stalled_of_all_goes),
        CASE(test_as_many_go_as_there_must),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
