/* When a connection beside a link that is in doubt may log in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "client/doubt.h"
#include "tests/support/pair.h"

struct scene {
    struct pair pair;
    struct loop loop;
    struct relay_pin relay;
    struct key_pair key;
    struct redial *redial;
    struct carrier carrier;
    char link; /* stands for one: nobody looks into it */
};

static bool never(void *owner)
{
    (void)owner;
    return false;
}

/* A client's session with a link, and a redial that is on. */
static int begin(void **state)
{
    static struct scene s;
    static const struct redial_pace pace;
    struct redial_options o = { .relay = &s.relay,
                                .key = &s.key,
                                .may_login = never };

    pair_init(&s.pair, WINDOW_FIRST);
    pair_settle(&s.pair);
    assert_int_equal(loop_open(&s.loop), ERR_OK);
    s.redial = redial_new(&s.loop, &o);
    assert_non_null(s.redial);
    s.carrier.session = s.pair.client.session;
    s.carrier.links[0] = (struct link *)(void *)&s.link;
    doubt_begin(s.redial, &pace);
    *state = &s;
    return 0;
}

static int end(void **state)
{
    struct scene *s = *state;

    redial_free(s->redial);
    loop_close(&s->loop);
    pair_deinit(&s->pair);
    return 0;
}

static bool may_login(struct scene *s)
{
    return doubt_may_login(&s->carrier, 0, s->redial, s->pair.now_us);
}

static void test_a_link_that_is_well_ends_the_dials(void **state)
{
    struct scene *s = *state;

    assert_true(redial_is_on(s->redial));
    assert_false(may_login(s));
    assert_false(redial_is_on(s->redial));
}

static void test_a_link_that_was_just_asked_has_the_right_of_way(void **state)
{
    struct scene *s = *state;

    session_probe(s->carrier.session, 0, s->pair.now_us);
    assert_false(doubt_is_over(&s->carrier, 0, s->pair.now_us));
    assert_false(may_login(s));
    assert_true(redial_is_on(s->redial));
    /* And when it answers there is no more to dial for. */
    pair_settle(&s->pair);
    assert_true(doubt_is_over(&s->carrier, 0, s->pair.now_us));
    assert_false(may_login(s));
    assert_false(redial_is_on(s->redial));
}

static void test_a_link_that_stays_silent_gives_way(void **state)
{
    struct scene *s = *state;

    session_probe(s->carrier.session, 0, s->pair.now_us);
    s->pair.now_us += SUSPECT_ASKED_US;
    assert_false(doubt_is_over(&s->carrier, 0, s->pair.now_us));
    assert_true(may_login(s));
    assert_true(redial_is_on(s->redial));
}

static void test_without_a_link_there_is_nothing_to_wait_for(void **state)
{
    struct scene *s = *state;

    s->carrier.links[0] = NULL;
    assert_false(doubt_is_over(&s->carrier, 0, s->pair.now_us));
    assert_true(may_login(s));
    assert_true(redial_is_on(s->redial));
}

static void test_a_dial_that_waits_is_asked_again(void **state)
{
    static const struct redial_pace pace;
    struct scene *s = *state;

    doubt_begin(s->redial, &pace); /* it is on already */
    assert_true(redial_is_on(s->redial));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_link_that_is_well_ends_the_dials),
        CASE(test_a_link_that_was_just_asked_has_the_right_of_way),
        CASE(test_a_link_that_stays_silent_gives_way),
        CASE(test_without_a_link_there_is_nothing_to_wait_for),
        CASE(test_a_dial_that_waits_is_asked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
