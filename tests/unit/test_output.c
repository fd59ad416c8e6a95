/* The order of sending, and what a full sent log lets pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/output.h"
#include "tests/support/bytes.h"
#include "tests/support/pair.h"

static int begin(void **state)
{
    static struct pair p;

    pair_init(&p, WINDOW_MAX);
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

static void write_frames(struct pair *p, uint32_t id, unsigned count)
{
    while (count > 0) {
        struct chunk *c = chunk_new(FRAME_PAYLOAD_MAX);

        assert_non_null(c);
        memset(chunk_tail(c), 'x', FRAME_PAYLOAD_MAX);
        chunk_grow(c, FRAME_PAYLOAD_MAX);
        assert_int_equal(session_write_take(p->relay.session, id, c), ERR_OK);
        count--;
    }
}

/* The type of the next frame, 0 when there is none. */
static uint8_t next_type(struct pair *p)
{
    struct span frame = session_output(p->relay.session, 0, p->now_us);

    return frame.len == 0 ? 0 : frame.data[6];
}

static uint64_t log_cost(const struct pair *p)
{
    return p->relay.session->slots[0].log.cost;
}

/* Send data till the log is full; nothing is acknowledged. */
static uint32_t fill_log(struct pair *p)
{
    uint32_t ids[2] = { pair_open_stream(p), pair_open_stream(p) };

    for (unsigned i = 0; log_cost(p) < SENT_LOG_SESSION; i++) {
        write_frames(p, ids[i % 2], 1);
        while (session_has_output(p->relay.session, 0)) {
            (void)next_type(p);
        }
    }
    write_frames(p, ids[0], 1);
    return ids[0];
}

static void test_urgent_frames_overtake_data(void **state)
{
    struct pair *p = *state;
    uint32_t id = pair_open_stream(p);
    uint32_t other = pair_open_stream(p);
    struct session_event event;

    assert_int_equal(next_type(p), FRAME_OPEN);
    assert_int_equal(next_type(p), FRAME_OPEN);
    session_set_class(p->relay.session, id, CLASS_BULK);
    write_frames(p, id, 3);
    assert_int_equal(bytes_feed(p->relay.session,
                                bytes_number(0, FRAME_PING, 7, 8), SIZE_MAX,
                                &event),
                     ERR_OK);
    session_reset(p->relay.session, other, ERR_CANCEL);
    (void)pair_open_stream(p);
    assert_int_equal(next_type(p), FRAME_PONG);
    assert_int_equal(next_type(p), FRAME_RESET);
    assert_int_equal(next_type(p), FRAME_OPEN);
    assert_int_equal(next_type(p), FRAME_DATA);
}

static void test_a_full_log_stops_data_but_not_heads(void **state)
{
    struct pair *p = *state;
    uint32_t id = fill_log(p);
    uint32_t other;

    assert_int_equal(output_scope(p->relay.session), SCHED_HEADS_ONLY);
    assert_int_equal(next_type(p), 0);
    other = pair_open_stream(p);
    assert_int_equal(next_type(p), FRAME_OPEN);
    session_reset(p->relay.session, other, ERR_CANCEL);
    assert_int_equal(next_type(p), FRAME_RESET);
    assert_true(session_has_stream(p->relay.session, id));
}

static void test_an_overfull_log_stops_heads_but_not_control(void **state)
{
    struct pair *p = *state;
    struct frame_open open = pair_open(1);
    static const uint8_t head[HEAD_MAX - 1000];
    uint32_t id = fill_log(p);
    uint32_t other = pair_open_stream(p);
    enum err error = ERR_OK;

    while (output_scope(p->relay.session) != SCHED_NOTHING) {
        error = session_open(p->relay.session, 0, &open,
                             span_of(head, sizeof(head)), false, &other);
        assert_int_equal(error, ERR_OK);
        while (next_type(p) != 0) {
        }
    }
    error =
        session_open(p->relay.session, 0, &open, span_text("x"), false, &other);
    assert_int_equal(error, ERR_LIMIT);
    session_reset(p->relay.session, id, ERR_CANCEL);
    assert_int_equal(next_type(p), FRAME_RESET);
    assert_int_equal(next_type(p), 0);
}

static void test_an_ack_lets_data_go_on(void **state)
{
    struct pair *p = *state;
    struct session_event event;

    (void)fill_log(p);
    assert_int_equal(next_type(p), 0);
    assert_int_equal(
        bytes_feed(
            p->relay.session,
            bytes_number(0, FRAME_ACK, p->relay.session->slots[0].log.end, 8),
            SIZE_MAX, &event),
        ERR_OK);
    assert_int_equal(log_cost(p), 0);
    assert_int_equal(next_type(p), FRAME_DATA);
}

static void test_a_log_that_does_not_move_ends_the_link(void **state)
{
    struct pair *p = *state;
    struct session_event event = { .kind = EVENT_NONE };
    enum err error = ERR_OK;

    (void)pair_open_stream(p);
    assert_int_equal(next_type(p), FRAME_OPEN);
    for (unsigned s = 0; s < 29; s++) {
        p->now_us += US_PER_S;
        error = session_tick(p->relay.session, 0, p->now_us);
        assert_int_equal(error, ERR_OK);
        /* The link delivers: there is always something to read. */
        error = session_step(p->relay.session, 0, p->now_us,
                             bytes_number(0, FRAME_PING, s, 8), &(size_t){ 0 },
                             &event);
        assert_int_equal(error, ERR_OK);
    }
    assert_true(session_deadline(p->relay.session, 0) <= p->now_us + US_PER_S);
    p->now_us += US_PER_S;
    error = session_tick(p->relay.session, 0, p->now_us);
    assert_int_equal(error, ERR_TIMEOUT);
    assert_true(session_has_link(p->relay.session, 0));
}

static void test_a_full_relay_leaves_each_session_its_share(void **state)
{
    struct pair *p = *state;
    uint32_t id = pair_open_stream(p);

    write_frames(p, id, 20);
    pool_charge(&p->relay.sent, SENT_LOG_RELAY);
    while (next_type(p) != 0) {
    }
    assert_in_range(log_cost(p), SENT_LOG_GUARANTEED,
                    SENT_LOG_GUARANTEED + 2 * FRAME_MAX);
    pool_release(&p->relay.sent, SENT_LOG_RELAY);
    assert_int_equal(next_type(p), FRAME_DATA);
}

static void test_a_peer_that_reads_no_control_is_given_up(void **state)
{
    struct pair *p = *state;
    enum err error = ERR_OK;
    unsigned count = 0;

    while (error == ERR_OK && count < 100000) {
        error = session_bound(p->relay.session, 1, span_text("https://x"));
        count++;
    }
    assert_int_equal(error, ERR_LIMIT);
    assert_in_range(count, 1000, 20000);
}

static void test_used_up_ids_ask_for_a_new_session_once(void **state)
{
    struct pair *p = *state;
    struct frame_open open = pair_open(1);
    struct session_event event;
    uint32_t id;

    p->relay.session->last_id = STREAM_ID_LAST - 2;
    assert_int_equal(pair_open_stream(p), STREAM_ID_LAST);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(session_open(p->relay.session, 0, &open,
                                      span_text("x"), false, &id),
                         ERR_LIMIT);
    }
    assert_true(pair_next(p, &p->relay, &p->client, &event));
    assert_int_equal(event.kind, EVENT_GOAWAY);
    assert_int_equal(event.code, ERR_RENEW);
    assert_true(pair_next(p, &p->relay, &p->client, &event));
    assert_int_equal(event.kind, EVENT_OPEN);
    assert_false(pair_next(p, &p->relay, &p->client, &event));
}

static void test_streams_past_the_limit_are_not_opened(void **state)
{
    struct pair *p = *state;
    struct frame_open open = pair_open(1);
    uint32_t id;

    for (unsigned i = 0; i < STREAMS_MAX_DEFAULT; i++) {
        id = pair_open_stream(p);
    }
    assert_int_equal(
        session_open(p->relay.session, 0, &open, span_text("x"), false, &id),
        ERR_LIMIT);
    assert_non_null(session_why(p->relay.session));
    session_reset(p->relay.session, 2, ERR_CANCEL);
    assert_int_equal(pair_open_stream(p), 2 * STREAMS_MAX_DEFAULT + 2);
}

static uint32_t first_window(struct pair *p)
{
    uint32_t id = pair_open_stream(p);
    struct stream *st = streams_find(&p->relay.session->streams, id);

    return st->window.size;
}

static void test_the_first_window_shrinks_as_the_pool_fills(void **state)
{
    struct pair *p = *state;

    p->relay.session->own.window_first = WINDOW_FIRST;
    assert_int_equal(first_window(p), WINDOW_FIRST);
    pool_charge(&p->relay.receive, RECEIVE_POOL_SESSION);
    assert_int_equal(first_window(p), WINDOW_FIRST_OVER_HALF);
    pool_charge(&p->relay.receive, RECEIVE_POOL_SESSION / 2);
    assert_int_equal(first_window(p), WINDOW_FIRST_OVER_THREE_QUARTERS);
    pool_release(&p->relay.receive, 3ull * RECEIVE_POOL_SESSION / 2);
}

static void test_an_idle_sessions_stuck_log_sets_the_deadline(void **state)
{
    struct pair *p = *state;
    struct session *client = p->client.session;
    uint64_t sent_us = p->now_us;
    struct frame_bind bind = { .tunnel = 2 };
    struct session_event event = { .kind = EVENT_NONE };
    enum err error;

    assert_int_equal(session_bind(client, &bind), ERR_OK);
    assert_true(session_output(client, 0, p->now_us).len > 0);
    /* Heard of lately, and nothing owed: only BIND's ACK is missing. */
    p->now_us += 20 * US_PER_S;
    error =
        session_step(client, 0, p->now_us, bytes_number(0, FRAME_PING, 1, 8),
                     &(size_t){ 0 }, &event);
    assert_int_equal(error, ERR_OK);
    while (session_output(client, 0, p->now_us).len > 0) {
    }
    /* First it is in doubt, once. */
    assert_int_equal(session_deadline(client, 0), p->now_us + SUSPECT_US);
    p->now_us += SUSPECT_US;
    assert_int_equal(session_tick(client, 0, p->now_us), ERR_OK);
    assert_int_equal(session_deadline(client, 0), sent_us + SENT_LOG_STUCK_US);
}

static void test_after_a_resume_the_log_goes_first(void **state)
{
    struct pair *p = *state;
    struct slot *slot = &p->relay.session->slots[0];
    uint32_t id = pair_open_stream(p);
    uint64_t acked = slot->log.acked;
    uint64_t freed = 0;

    write_frames(p, id, 1);
    assert_int_equal(next_type(p), FRAME_OPEN);
    assert_int_equal(next_type(p), FRAME_DATA);
    session_reset(p->relay.session, id, ERR_CANCEL);
    assert_int_equal(sent_log_resume(&slot->log, acked, p->now_us, &freed),
                     ERR_OK);
    assert_int_equal(freed, 0);
    /* As it was, the dead stream's frames too; RESET comes after. */
    assert_true(session_has_output(p->relay.session, 0));
    assert_int_equal(next_type(p), FRAME_OPEN);
    assert_int_equal(next_type(p), FRAME_DATA);
    assert_int_equal(next_type(p), FRAME_RESET);
    assert_int_equal(next_type(p), 0);
}

static void test_a_peer_that_acknowledges_no_control_is_given_up(void **state)
{
    struct pair *p = *state;
    struct session *s = p->relay.session;
    uint64_t most = 0;

    while (session_bound(s, 1, span_text("https://a.test")) == ERR_OK) {
        most = log_cost(p);
        assert_true(most < SENT_LOG_SESSION + 5 * SENT_LOG_SLACK);
        (void)next_type(p);
    }
    assert_true(most > SENT_LOG_SESSION + 3 * SENT_LOG_SLACK);
    assert_string_equal(session_why(s), "the peer acknowledges nothing");
    assert_int_equal(session_tick(s, 0, p->now_us), ERR_LIMIT);
}

/* A call and an upload that has much to send; the upload's stream. */
static uint32_t speak_and_upload(struct pair *p, uint32_t *voice)
{
    uint32_t upload = pair_open_stream(p);
    struct chunk *c = chunk_copy(span_text("a few words"));

    *voice = pair_open_stream(p);
    assert_non_null(c);
    session_set_class(p->relay.session, *voice, CLASS_INTERACTIVE);
    session_set_class(p->relay.session, upload, CLASS_BULK);
    write_frames(p, upload, 20);
    assert_int_equal(session_write_take(p->relay.session, *voice, c), ERR_OK);
    return upload;
}

static void test_bulk_waits_for_acks_while_somebody_speaks(void **state)
{
    struct pair *p = *state;
    struct session *s = p->relay.session;
    struct sent_log *log = &s->slots[0].log;
    uint32_t voice;
    struct span frame;

    assert_int_equal(session_ahead(s, 0), SIZE_MAX);
    (void)speak_and_upload(p, &voice);
    while (session_has_output(s, 0)) {
        frame = session_output(s, 0, p->now_us);
        /* A line of an unknown rate is taken for a slow one. */
        assert_true(frame.data[6] != FRAME_DATA ||
                    frame.len <= FRAME_HEADER_LEN + FLIGHT_QUANTUM_MIN);
    }
    assert_in_range(log->handed - log->acked, FLIGHT_FLOOR,
                    FLIGHT_FLOOR + FLIGHT_QUANTUM_MIN);
    assert_int_equal(session_ahead(s, 0), FLIGHT_QUANTUM_MIN);

    p->now_us += FLIGHT_URGENT_US;
    do {
        frame = session_output(s, 0, p->now_us);
        assert_true(frame.len > 0);
    } while (frame.len < FRAME_MAX); /* an ACK, and the rest of a chunk */
    assert_int_equal(session_ahead(s, 0), SIZE_MAX);
}

static void test_a_new_link_measures_anew_what_is_sent_again(void **state)
{
    struct pair *p = *state;
    struct session *s = p->relay.session;
    struct slot *slot = &s->slots[0];
    uint64_t freed = 0;

    write_frames(p, pair_open_stream(p), 20);
    while (next_type(p) != 0) {
    }
    assert_true(slot->flight.count > 0);
    session_link_lost(s, 0, p->now_us);
    assert_int_equal(
        sent_log_resume(&slot->log, slot->log.acked, p->now_us, &freed),
        ERR_OK);
    session_link_up(s, 0, p->now_us);
    assert_int_equal(slot->flight.count, 0);
    while (next_type(p) != 0) {
    }
    assert_int_equal(slot->flight.count, 1);
    assert_int_equal(slot->flight.handed, slot->log.end);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_urgent_frames_overtake_data),
        CASE(test_a_full_log_stops_data_but_not_heads),
        CASE(test_an_overfull_log_stops_heads_but_not_control),
        CASE(test_an_ack_lets_data_go_on),
        CASE(test_a_log_that_does_not_move_ends_the_link),
        CASE(test_a_full_relay_leaves_each_session_its_share),
        CASE(test_a_peer_that_reads_no_control_is_given_up),
        CASE(test_an_idle_sessions_stuck_log_sets_the_deadline),
        CASE(test_after_a_resume_the_log_goes_first),
        CASE(test_a_peer_that_acknowledges_no_control_is_given_up),
        CASE(test_used_up_ids_ask_for_a_new_session_once),
        CASE(test_bulk_waits_for_acks_while_somebody_speaks),
        CASE(test_a_new_link_measures_anew_what_is_sent_again),
        CASE(test_streams_past_the_limit_are_not_opened),
        CASE(test_the_first_window_shrinks_as_the_pool_fills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
