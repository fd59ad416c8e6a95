/* Streams go on over another link, byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/session_state.h"
#include "tests/support/pair.h"

static int begin(void **state)
{
    static struct pair p;

    pair_init(&p, WINDOW_FIRST);
    pair_bind(&p, 1);
    pair_settle(&p);
    *state = &p;
    return 0;
}

static int end(void **state)
{
    pair_deinit(*state);
    return 0;
}

static const uint8_t page[4096];

static void fill(struct pair *p, uint32_t id, size_t len)
{
    assert_int_equal(session_write_take(p->relay.session, id,
                                        chunk_copy(span_of(page, len))),
                     ERR_OK);
}

static void write_text(struct pair *p, uint32_t id, const char *text)
{
    assert_int_equal(
        session_write_take(p->relay.session, id, chunk_copy(span_text(text))),
        ERR_OK);
}

/* Both ends notice; what is under way is lost. */
static void lose(struct pair *p)
{
    session_link_lost(p->relay.session, 0, p->now_us);
    session_link_lost(p->client.session, 0, p->now_us);
    pair_cut(p);
}

static void resume(struct pair *p)
{
    uint64_t client = session_received(p->client.session, 0);
    uint64_t relay = session_received(p->relay.session, 0);

    assert_int_equal(
        session_link_resume(p->relay.session, 0, client, p->now_us), ERR_OK);
    assert_int_equal(
        session_link_resume(p->client.session, 0, relay, p->now_us), ERR_OK);
}

static void expect(struct pair *p, enum session_event_kind kind,
                   const char *text)
{
    struct session_event event;

    assert_true(pair_next(p, &p->relay, &p->client, &event));
    assert_int_equal(event.kind, kind);
    assert_int_equal(event.bytes.len, strlen(text));
    assert_memory_equal(event.bytes.data, text, strlen(text));
}

static void test_what_was_under_way_comes_over_the_next_link(void **state)
{
    struct pair *p = *state;
    uint32_t id = pair_open_stream(p);
    struct session_event event;

    write_text(p, id, "one");
    expect(p, EVENT_OPEN, "x");
    expect(p, EVENT_DATA, "one");
    write_text(p, id, "two");
    pair_send(p, &p->relay, SIZE_MAX);
    lose(p);
    write_text(p, id, "three");
    resume(p);
    expect(p, EVENT_DATA, "two");
    expect(p, EVENT_DATA, "three");
    assert_false(pair_next(p, &p->relay, &p->client, &event));
}

static void test_half_a_frame_comes_again_whole(void **state)
{
    struct pair *p = *state;
    uint32_t id = pair_open_stream(p);
    struct session_event event;
    size_t half = FRAME_HEADER_LEN + 2;

    expect(p, EVENT_OPEN, "x");
    write_text(p, id, "text");
    pair_send(p, &p->relay, SIZE_MAX);
    assert_int_equal(pair_step(p, &p->relay, &p->client, &half, &event),
                     ERR_OK);
    assert_int_equal(event.kind, EVENT_NONE);
    lose(p);
    resume(p);
    expect(p, EVENT_DATA, "text");
}

static void test_what_the_peer_has_is_freed(void **state)
{
    struct pair *p = *state;
    uint32_t id = pair_open_stream(p);
    struct session_stats stats;

    write_text(p, id, "text");
    expect(p, EVENT_OPEN, "x");
    expect(p, EVENT_DATA, "text");
    lose(p);
    session_stats(p->relay.session, &stats);
    assert_true(stats.unacked_bytes > 0);
    resume(p);
    session_stats(p->relay.session, &stats);
    assert_int_equal(stats.unacked_bytes, 0);
    assert_int_equal(p->relay.sent.used, 0);
}

static void test_a_false_claim_changes_nothing(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint64_t true_claim;

    (void)pair_open_stream(p);
    expect(p, EVENT_OPEN, "x");
    lose(p);
    true_claim = session_received(p->client.session, 0);
    assert_true(session_may_resume(relay, 0, true_claim));
    assert_false(session_may_resume(relay, 0, true_claim + 1));
    assert_int_equal(session_link_resume(relay, 0, true_claim + 1, p->now_us),
                     ERR_PROTOCOL);
    assert_false(session_has_link(relay, 0));
    resume(p);
}

static void test_only_a_newer_login_that_may_be_true_is_taken(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint64_t claim = session_received(p->client.session, 0);

    session_fence(relay, 0, 7, p->now_us);
    assert_int_equal(session_judge(relay, 0, 6, claim), CLAIM_STALE);
    assert_int_equal(session_judge(relay, 0, 7, claim), CLAIM_STALE);
    assert_int_equal(session_judge(relay, 0, 7, claim + 1), CLAIM_STALE);
    assert_int_equal(session_judge(relay, 0, 8, claim + 1), CLAIM_FALSE);
    assert_int_equal(session_judge(relay, 0, 8, claim), CLAIM_TRUE);
    lose(p);
    resume(p);
}

static void test_a_newer_login_ends_the_older_link(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;

    assert_true(session_has_link(relay, 0));
    session_fence(relay, 0, 1, p->now_us);
    assert_false(session_has_link(relay, 0));
    session_fence(relay, 0, 2, p->now_us);
    assert_false(session_has_link(relay, 0));
    lose(p);
    resume(p);
}

static void test_a_dead_session_is_not_resumed(void **state)
{
    static const uint8_t nonsense[FRAME_HEADER_LEN] = { 0, 0, 0, 1, 0, 0, 0 };
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint64_t claim = session_received(p->client.session, 0);
    struct session_event event;
    size_t used;

    assert_true(session_may_resume(relay, 0, claim));
    assert_int_not_equal(session_step(relay, 0, p->now_us,
                                      span_of(nonsense, sizeof(nonsense)),
                                      &used, &event),
                         ERR_OK);
    assert_false(session_may_resume(relay, 0, claim));
}

static void test_a_link_that_swallows_is_suspect(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint64_t from_us = p->now_us;

    assert_false(session_is_suspect(relay, 0, from_us + 4 * US_PER_S));
    (void)pair_open_stream(p);
    pair_send(p, &p->relay, SIZE_MAX);
    assert_false(session_is_suspect(relay, 0, from_us + SUSPECT_US - 1));
    assert_true(session_deadline(relay, 0) <= from_us + SUSPECT_US);
    p->now_us = from_us + SUSPECT_US;
    assert_int_equal(session_tick(relay, 0, p->now_us), ERR_OK);
    assert_true(session_is_suspect(relay, 0, p->now_us));
    assert_true(session_deadline(relay, 0) > p->now_us);
    session_link_lost(relay, 0, p->now_us);
    assert_false(session_is_suspect(relay, 0, p->now_us));
}

static void test_an_answer_ends_the_doubt(void **state)
{
    struct pair *p = *state;
    struct session *client = p->client.session;

    assert_false(session_is_asked(client, 0));
    session_probe(client, 0, p->now_us);
    assert_true(session_is_asked(client, 0));
    p->now_us += SUSPECT_ASKED_US;
    assert_true(session_is_suspect(client, 0, p->now_us));
    pair_settle(p);
    assert_false(session_is_asked(client, 0));
    assert_false(session_is_suspect(client, 0, p->now_us));
}

static void test_a_request_is_taken_though_writers_wait(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint32_t id;
    size_t room;

    lose(p);
    for (unsigned i = 0; i < AWAY_SESSION_MAX / AWAY_STREAM_MAX; i++) {
        id = pair_open_stream(p);
        while ((room = session_room(relay, id)) > 0) {
            fill(p, id, room < sizeof(page) ? room : sizeof(page));
        }
    }
    id = pair_open_stream(p);
    assert_int_equal(session_room(relay, id), 0);
    assert_true(session_queued(relay, id) > 0);
    resume(p);
    pair_settle(p);
    assert_int_equal(session_queued(relay, id), 0);
    assert_int_equal(session_queued(relay, id + 2), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_under_way_comes_over_the_next_link),
        CASE(test_half_a_frame_comes_again_whole),
        CASE(test_what_the_peer_has_is_freed),
        CASE(test_a_false_claim_changes_nothing),
        CASE(test_only_a_newer_login_that_may_be_true_is_taken),
        CASE(test_a_newer_login_ends_the_older_link),
        CASE(test_a_dead_session_is_not_resumed),
        CASE(test_a_link_that_swallows_is_suspect),
        CASE(test_an_answer_ends_the_doubt),
        CASE(test_a_request_is_taken_though_writers_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
