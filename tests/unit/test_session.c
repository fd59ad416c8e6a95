/* The session: one exchange after the other over two of them joined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/pair.h"

static struct pair *setup(void **state)
{
    return *state;
}

static int begin(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    pair_init(p, WINDOW_FIRST);
    pair_bind(p, 1);
    *state = p;
    return 0;
}

static int end(void **state)
{
    pair_deinit(*state);
    free(*state);
    return 0;
}

static struct chunk *chunk_text(const char *text)
{
    return chunk_copy(span_text(text));
}

/* The next event at |to|, which must be |kind|. */
static struct session_event expect(struct pair *p, struct pair_end *from,
                                   struct pair_end *to,
                                   enum session_event_kind kind)
{
    struct session_event event;

    assert_true(pair_next(p, from, to, &event));
    assert_int_equal(event.kind, kind);
    return event;
}

static void expect_bytes(const struct session_event *event, const char *text)
{
    assert_int_equal(event->bytes.len, strlen(text));
    assert_memory_equal(event->bytes.data, text, strlen(text));
}

static uint32_t open_stream(struct pair *p, const char *head, bool fin)
{
    struct frame_open open = pair_open(1);
    uint32_t id = 0;

    assert_int_equal(
        session_open(p->relay.session, 0, &open, span_text(head), fin, &id),
        ERR_OK);
    return id;
}

static void test_an_exchange_goes_both_ways_and_leaves_nothing(void **state)
{
    struct pair *p = setup(state);
    struct session *relay = p->relay.session;
    struct session *client = p->client.session;
    uint32_t id = open_stream(p, "request", false);
    struct session_event event;

    assert_int_equal(id, 2);
    assert_int_equal(session_write_take(relay, id, chunk_text("body")), ERR_OK);
    assert_int_equal(session_write_fin(relay, id), ERR_OK);
    event = expect(p, &p->relay, &p->client, EVENT_OPEN);
    expect_bytes(&event, "request");
    assert_int_equal(event.open.tunnel, 1);
    assert_false(event.fin);
    session_set_owner(client, id, p);
    event = expect(p, &p->relay, &p->client, EVENT_DATA);
    expect_bytes(&event, "body");
    assert_true(event.fin);
    assert_ptr_equal(event.owner, p);
    session_consumed(client, id, 4);

    assert_int_equal(
        session_write_head(client, id, HEAD_FINAL, span_text("answer"), false),
        ERR_OK);
    assert_int_equal(session_write_take(client, id, chunk_text("ok")), ERR_OK);
    assert_int_equal(session_write_fin(client, id), ERR_OK);
    event = expect(p, &p->client, &p->relay, EVENT_HEAD);
    expect_bytes(&event, "answer");
    assert_int_equal(event.head, HEAD_FINAL);
    event = expect(p, &p->client, &p->relay, EVENT_DATA);
    expect_bytes(&event, "ok");
    assert_true(event.fin);
    assert_false(session_has_stream(relay, id));
    assert_false(session_has_stream(client, id));
    session_consumed(relay, id, 2);
    assert_int_equal(p->relay.receive.used, 0);
    assert_int_equal(p->client.receive.used, 0);
}

/* Open stream 2 at both ends; its owners are the sessions. */
static uint32_t open_both(struct pair *p)
{
    uint32_t id = open_stream(p, "request", false);

    session_set_owner(p->relay.session, id, p->relay.session);
    (void)expect(p, &p->relay, &p->client, EVENT_OPEN);
    session_set_owner(p->client.session, id, p->client.session);
    return id;
}

static void test_a_reset_discards_what_was_not_sent(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_both(p);
    struct session_event event;

    assert_int_equal(
        session_write_take(p->relay.session, id, chunk_text("unsent")), ERR_OK);
    session_reset(p->relay.session, id, ERR_CANCEL);
    assert_int_equal(
        session_write_take(p->relay.session, id, chunk_text("late")),
        ERR_ABSENT);
    assert_int_equal(session_write_fin(p->relay.session, id), ERR_ABSENT);
    assert_int_equal(session_room(p->relay.session, id), 0);
    event = expect(p, &p->relay, &p->client, EVENT_RESET);
    assert_int_equal(event.code, ERR_CANCEL);
    assert_ptr_equal(event.owner, p->client.session);
    assert_int_equal(session_write_head(p->client.session, id, HEAD_FINAL,
                                        span_text("200"), true),
                     ERR_ABSENT);
    session_reset(p->client.session, id, ERR_CANCEL);
    assert_false(pair_next(p, &p->client, &p->relay, &event));
}

static void test_a_stream_that_ends_before_its_open_sends_nothing(void **state)
{
    struct pair *p = setup(state);
    uint32_t first = open_stream(p, "never seen", false);
    uint32_t second = open_stream(p, "seen", true);
    struct session_event event;

    session_reset(p->relay.session, first, ERR_CANCEL);
    event = expect(p, &p->relay, &p->client, EVENT_OPEN);
    assert_int_equal(event.stream, second);
    assert_true(event.fin);
    assert_false(pair_next(p, &p->relay, &p->client, &event));
}

static void test_a_code_that_may_not_be_sent_goes_as_cancel(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_both(p);
    struct session_event event;

    session_reset(p->client.session, id, ERR_RESOLVE);
    event = expect(p, &p->client, &p->relay, EVENT_RESET);
    assert_int_equal(event.code, ERR_CANCEL);
}

static void test_stop_is_told_once(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_both(p);
    struct session_event event;

    session_stop(p->client.session, id);
    session_stop(p->client.session, id);
    session_stop(p->client.session, id + 2);
    event = expect(p, &p->client, &p->relay, EVENT_STOP);
    assert_int_equal(event.stream, id);
    assert_false(pair_next(p, &p->client, &p->relay, &event));
    assert_true(session_has_stream(p->relay.session, id));
}

static void test_trailers_end_a_body(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_both(p);
    struct session_event event;

    assert_int_equal(session_write_head(p->client.session, id,
                                        HEAD_INFORMATIONAL, span_text("103"),
                                        false),
                     ERR_OK);
    assert_int_equal(session_write_head(p->client.session, id, HEAD_FINAL,
                                        span_text("200"), false),
                     ERR_OK);
    assert_int_equal(
        session_write_take(p->client.session, id, chunk_text("body")), ERR_OK);
    assert_int_equal(session_write_head(p->client.session, id, HEAD_TRAILERS,
                                        span_text("x: y"), true),
                     ERR_OK);
    assert_int_equal(expect(p, &p->client, &p->relay, EVENT_HEAD).head,
                     HEAD_INFORMATIONAL);
    assert_int_equal(expect(p, &p->client, &p->relay, EVENT_HEAD).head,
                     HEAD_FINAL);
    (void)expect(p, &p->client, &p->relay, EVENT_DATA);
    event = expect(p, &p->client, &p->relay, EVENT_HEAD);
    assert_int_equal(event.head, HEAD_TRAILERS);
    assert_true(event.fin);
    session_reset(p->relay.session, id, ERR_CANCEL);
}

/* Stream 2 ended at both ends, but the relay holds its |answer| yet. */
static uint32_t end_unread(struct pair *p, const char *answer)
{
    uint32_t id = open_both(p);

    assert_int_equal(session_write_fin(p->relay.session, id), ERR_OK);
    (void)expect(p, &p->relay, &p->client, EVENT_DATA);
    assert_int_equal(session_write_head(p->client.session, id, HEAD_FINAL,
                                        span_text("200"), false),
                     ERR_OK);
    assert_int_equal(
        session_write_take(p->client.session, id, chunk_text(answer)), ERR_OK);
    assert_int_equal(session_write_fin(p->client.session, id), ERR_OK);
    (void)expect(p, &p->client, &p->relay, EVENT_HEAD);
    assert_true(expect(p, &p->client, &p->relay, EVENT_DATA).fin);
    assert_false(session_has_stream(p->relay.session, id));
    return id;
}

static void test_bytes_stay_charged_till_they_are_consumed(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = end_unread(p, "12345");

    /* The stream is over, but its visitor still reads. */
    session_consumed(p->relay.session, id, 2);
    assert_int_equal(p->relay.receive.used, 3);
    session_set_owner(p->relay.session, id, NULL);
    assert_int_equal(p->relay.receive.used, 0);
    session_consumed(p->relay.session, id, 3);
}

static void test_a_stream_that_is_over_may_be_reset(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = end_unread(p, "12345");

    assert_int_equal(p->relay.receive.used, 5);
    session_reset(p->relay.session, id, ERR_CANCEL);
    assert_int_equal(p->relay.receive.used, 0);
    /* The peer has ended it already: nothing goes there, and it is gone. */
    assert_false(session_has_output(p->relay.session, 0));
    session_set_owner(p->relay.session, id, p);
    session_set_class(p->relay.session, id, CLASS_BULK);
    session_reset(p->relay.session, id, ERR_CANCEL);
    assert_false(session_has_output(p->relay.session, 0));
}

static void test_a_session_ends_with_bytes_unread(void **state)
{
    struct pair *p = setup(state);

    (void)end_unread(p, "12345");
    assert_int_equal(p->relay.receive.used, 5);
    session_free(p->relay.session);
    p->relay.session = NULL;
    assert_int_equal(p->relay.receive.used, 0);
}

static void count_one(void *owner, uint32_t stream, void *arg)
{
    assert_non_null(owner);
    assert_int_equal(stream % 2, 0);
    ++*(unsigned *)arg;
}

static void test_a_tunnel_taken_away_resets_its_streams(void **state)
{
    struct pair *p = setup(state);
    struct frame_verdict v = { .tunnel = 1,
                               .code = ERR_REPLACED,
                               .sentence = span_text("by another") };
    uint32_t id = open_both(p);
    struct session_event event;
    unsigned count = 0;

    session_each_stream(p->relay.session, 1, count_one, &count);
    session_each_stream(p->relay.session, 2, count_one, &count);
    session_each_stream(p->relay.session, 0, count_one, &count);
    assert_int_equal(count, 2);
    assert_int_equal(session_unbound(p->relay.session, &v), ERR_OK);
    assert_false(session_has_stream(p->relay.session, id));
    event = expect(p, &p->relay, &p->client, EVENT_RESET);
    assert_int_equal(event.code, ERR_REPLACED);
    event = expect(p, &p->relay, &p->client, EVENT_UNBOUND);
    assert_int_equal(event.tunnel, 1);
    expect_bytes(&event, "by another");
}

static void test_tunnels_are_bound_and_refused(void **state)
{
    struct pair *p = setup(state);
    struct frame_bind bind = { .tunnel = 2, .name = span_text("demo") };
    struct frame_verdict v = { .tunnel = 2,
                               .code = ERR_NAME_TAKEN,
                               .sentence = span_text("taken") };
    struct session_event event;

    assert_int_equal(session_bind(p->client.session, &bind), ERR_OK);
    event = expect(p, &p->client, &p->relay, EVENT_BIND);
    assert_true(span_equal(event.bind.name, span_text("demo")));
    assert_int_equal(
        session_bound(p->relay.session, 1, span_text("https://demo.test")),
        ERR_OK);
    assert_int_equal(session_refuse(p->relay.session, &v), ERR_OK);
    event = expect(p, &p->relay, &p->client, EVENT_BOUND);
    expect_bytes(&event, "https://demo.test");
    event = expect(p, &p->relay, &p->client, EVENT_REFUSED);
    assert_int_equal(event.code, ERR_NAME_TAKEN);
    for (bind.tunnel = 3; bind.tunnel < TUNNELS_MAX + 2; bind.tunnel++) {
        assert_int_equal(session_bind(p->client.session, &bind), ERR_OK);
    }
    assert_int_equal(session_bind(p->client.session, &bind), ERR_LIMIT);
}

static void test_after_goaway_nothing_is_opened(void **state)
{
    struct pair *p = setup(state);
    struct frame_open open = pair_open(1);
    struct session_event event;
    uint32_t id;

    assert_int_equal(
        session_goaway(p->client.session, ERR_SHUTDOWN, span_text("bye")),
        ERR_OK);
    event = expect(p, &p->client, &p->relay, EVENT_GOAWAY);
    assert_int_equal(event.code, ERR_SHUTDOWN);
    expect_bytes(&event, "bye");
    assert_int_equal(
        session_open(p->relay.session, 0, &open, span_text("x"), false, &id),
        ERR_LIMIT);
}

static void test_a_lost_link_leaves_the_streams_alive(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_both(p);

    session_link_lost(p->relay.session, 0, p->now_us);
    assert_false(session_has_link(p->relay.session, 0));
    assert_true(session_has_stream(p->relay.session, id));
    assert_int_equal(
        session_write_take(p->relay.session, id, chunk_text("later")), ERR_OK);
    assert_false(session_has_output(p->relay.session, 0));
    assert_int_equal(session_output(p->relay.session, 0, p->now_us).len, 0);
    assert_int_equal(session_deadline(p->relay.session, 0), UINT64_MAX);
    assert_int_equal(session_tick(p->relay.session, 0, p->now_us), ERR_OK);
}

static void test_frames_in_single_bytes_are_the_same_events(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_stream(p, "request", false);
    struct session_event event = { .kind = EVENT_NONE };
    unsigned events = 0;

    assert_int_equal(
        session_write_take(p->relay.session, id, chunk_text("body")), ERR_OK);
    pair_send(p, &p->relay, SIZE_MAX);
    while (pair_waiting(&p->relay) > 0) {
        size_t one = 1;

        assert_int_equal(pair_step(p, &p->relay, &p->client, &one, &event),
                         ERR_OK);
        events += event.kind != EVENT_NONE ? 1 : 0;
    }
    assert_int_equal(events, 2);
    assert_int_equal(event.kind, EVENT_DATA);
    expect_bytes(&event, "body");
}

static void test_a_silent_peer_ends_the_link_not_the_session(void **state)
{
    struct pair *p = setup(state);
    uint32_t id = open_both(p);
    enum err error = ERR_OK;

    for (unsigned second = 0; error == ERR_OK && second < 60; second++) {
        p->now_us += US_PER_S;
        error = session_tick(p->relay.session, 0, p->now_us);
    }
    assert_int_equal(error, ERR_TIMEOUT);
    assert_in_range(p->now_us, 15 * US_PER_S, 17 * US_PER_S);
    assert_string_equal(session_why(p->relay.session), "no answer to PING");
    session_link_lost(p->relay.session, 0, p->now_us);
    assert_true(session_has_stream(p->relay.session, id));
    assert_memory_equal(session_id(p->relay.session),
                        session_id(p->client.session), SESSION_ID_LEN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_an_exchange_goes_both_ways_and_leaves_nothing),
        CASE(test_a_reset_discards_what_was_not_sent),
        CASE(test_a_stream_that_ends_before_its_open_sends_nothing),
        CASE(test_a_code_that_may_not_be_sent_goes_as_cancel),
        CASE(test_stop_is_told_once),
        CASE(test_trailers_end_a_body),
        CASE(test_bytes_stay_charged_till_they_are_consumed),
        CASE(test_a_stream_that_is_over_may_be_reset),
        CASE(test_a_session_ends_with_bytes_unread),
        CASE(test_a_tunnel_taken_away_resets_its_streams),
        CASE(test_tunnels_are_bound_and_refused),
        CASE(test_after_goaway_nothing_is_opened),
        CASE(test_a_lost_link_leaves_the_streams_alive),
        CASE(test_a_silent_peer_ends_the_link_not_the_session),
        CASE(test_frames_in_single_bytes_are_the_same_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
