/* Two links of one session: what belongs to which, and what outlives which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/output.h"
#include "tests/support/bytes.h"
#include "tests/support/pair.h"

#define SECOND 1u

static int begin(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    pair_init(p, WINDOW_MAX);
    session_link_up(p->relay.session, SECOND, p->now_us);
    session_link_up(p->client.session, SECOND, p->now_us);
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

/* The next frame of |from| on |slot|; it must be there. */
static struct span frame_of(struct pair *p, struct session *from, unsigned slot)
{
    struct span frame = session_output(from, slot, ++p->now_us);

    assert_true(frame.len > 0);
    return frame;
}

/* Step |to| over |frame|, one that came on |slot|. */
static struct session_event give(struct pair *p, struct session *to,
                                 unsigned slot, struct span frame)
{
    struct session_event event;
    size_t used = 0;

    assert_int_equal(session_step(to, slot, ++p->now_us, frame, &used, &event),
                     ERR_OK);
    assert_int_equal(used, frame.len);
    return event;
}

/* Carry what both have to say on |slot|; how many of them were |kind|. */
static unsigned carry(struct pair *p, unsigned slot,
                      enum session_event_kind kind)
{
    struct session *from = p->relay.session;
    struct session *to = p->client.session;
    unsigned idle = 0;
    unsigned found = 0;

    while (idle < 2) {
        struct span frame = session_output(from, slot, ++p->now_us);
        struct session *other = to;

        idle = frame.len > 0 ? 0 : idle + 1;
        if (frame.len > 0) {
            struct session_event event = give(p, to, slot, frame);

            found += event.kind == kind ? 1 : 0;
            if (event.kind == EVENT_DATA) {
                session_consumed(to, event.stream, event.bytes.len);
            }
        }
        to = from;
        from = other;
    }
    return found;
}

static uint32_t open_on(struct pair *p, unsigned slot)
{
    struct frame_open open = pair_open(1);
    uint32_t id = 0;

    assert_int_equal(session_open(p->relay.session, slot, &open,
                                  span_text("request"), false, &id),
                     ERR_OK);
    assert_int_equal(session_stream_slot(p->relay.session, id), slot);
    return id;
}

static void write_text(struct session *s, uint32_t id, const char *text)
{
    assert_int_equal(session_write_take(s, id, chunk_copy(span_text(text))),
                     ERR_OK);
}

static void test_a_stream_stays_on_its_own_link_both_ways(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_on(p, SECOND);

    assert_int_equal(carry(p, 0, EVENT_OPEN), 0);
    assert_int_equal(carry(p, SECOND, EVENT_OPEN), 1);
    assert_int_equal(session_stream_slot(p->client.session, id), SECOND);
    assert_int_equal(session_write_head(p->client.session, id, HEAD_FINAL,
                                        span_text("answer"), false),
                     ERR_OK);
    write_text(p->client.session, id, "body");
    assert_int_equal(carry(p, 0, EVENT_DATA), 0);
    assert_int_equal(carry(p, SECOND, EVENT_DATA), 1);
    session_reset(p->relay.session, id, ERR_CANCEL);
    assert_int_equal(carry(p, 0, EVENT_RESET), 0);
    assert_int_equal(carry(p, SECOND, EVENT_RESET), 1);
    assert_int_equal(session_stream_slot(p->client.session, id), 0);
}

static void test_opens_may_cross_on_two_links(void **state)
{
    struct pair *p = *state;
    uint32_t first = open_on(p, SECOND);
    uint32_t second = open_on(p, 0);

    assert_int_equal(carry(p, 0, EVENT_OPEN), 1);
    assert_true(session_has_stream(p->client.session, second));
    assert_false(session_has_stream(p->client.session, first));
    assert_int_equal(carry(p, SECOND, EVENT_OPEN), 1);
    assert_true(session_has_stream(p->client.session, first));
}

static void test_one_link_is_lost_and_the_other_goes_on(void **state)
{
    struct pair *p = *state;
    uint32_t lost = open_on(p, SECOND);
    uint32_t other = open_on(p, 0);
    struct session_event event;

    carry(p, 0, EVENT_NONE);
    carry(p, SECOND, EVENT_NONE);
    write_text(p->relay.session, lost, "again");
    frame_of(p, p->relay.session, SECOND); /* and it never arrives */
    session_link_lost(p->relay.session, SECOND, p->now_us);
    session_link_lost(p->client.session, SECOND, p->now_us);
    assert_true(session_has_link(p->relay.session, 0));

    write_text(p->relay.session, other, "meanwhile");
    assert_int_equal(carry(p, 0, EVENT_DATA), 1);
    assert_int_equal(
        session_link_resume(p->relay.session, SECOND,
                            session_received(p->client.session, SECOND),
                            p->now_us),
        ERR_OK);
    assert_int_equal(session_link_resume(
                         p->client.session, SECOND,
                         session_received(p->relay.session, SECOND), p->now_us),
                     ERR_OK);
    do {
        event = give(p, p->client.session, SECOND,
                     frame_of(p, p->relay.session, SECOND));
    } while (event.kind == EVENT_NONE);
    assert_int_equal(event.kind, EVENT_DATA);
    assert_int_equal(event.stream, lost);
    assert_memory_equal(event.bytes.data, "again", 5);
    session_consumed(p->client.session, lost, 5);
}

static void test_a_slot_that_begins_anew_takes_its_streams_along(void **state)
{
    struct pair *p = *state;
    uint32_t lost = open_on(p, SECOND);
    uint32_t kept = open_on(p, 0);
    struct session_stats stats;

    carry(p, 0, EVENT_NONE);
    carry(p, SECOND, EVENT_NONE);
    write_text(p->relay.session, lost, "sent");
    frame_of(p, p->relay.session, SECOND);
    write_text(p->relay.session, lost, "not sent");
    session_reset(p->client.session, lost, ERR_CANCEL); /* RESET waits */
    session_link_lost(p->relay.session, SECOND, p->now_us);
    session_link_lost(p->client.session, SECOND, p->now_us);
    session_slot_clear(p->relay.session, SECOND);
    session_slot_clear(p->client.session, SECOND);

    session_stats(p->relay.session, &stats);
    assert_int_equal(stats.streams, 1);
    assert_int_equal(stats.unsent_bytes, 0);
    assert_true(session_has_stream(p->relay.session, kept));
    assert_false(session_has_stream(p->relay.session, lost));
    assert_int_equal(session_received(p->client.session, SECOND), 0);

    session_link_up(p->relay.session, SECOND, p->now_us);
    session_link_up(p->client.session, SECOND, p->now_us);
    assert_int_equal(carry(p, SECOND, EVENT_OPEN), 0);
    lost = open_on(p, SECOND);
    assert_int_equal(carry(p, SECOND, EVENT_OPEN), 1);
    assert_true(session_has_stream(p->client.session, lost));
    write_text(p->relay.session, kept, "still here");
    assert_int_equal(carry(p, 0, EVENT_DATA), 1);
}

/* What waits for a link is less than what waits for its turn on one. */
static void test_a_stream_of_a_lost_link_queues_what_such_may(void **state)
{
    struct pair *p = *state;
    uint32_t away = open_on(p, SECOND);
    uint32_t here = open_on(p, 0);

    carry(p, 0, EVENT_NONE);
    carry(p, SECOND, EVENT_NONE);
    session_link_lost(p->relay.session, SECOND, p->now_us);
    assert_int_equal(session_room(p->relay.session, away), AWAY_STREAM_MAX);
    assert_int_equal(session_room(p->relay.session, here), UNSENT_STREAM_MAX);
}

/* One that never heard that it did may speak of the positions of before. */
static void
test_who_is_not_heard_since_a_new_beginning_begins_anew(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;

    session_link_lost(relay, SECOND, p->now_us);
    session_fence(relay, SECOND, 7, p->now_us);
    session_slot_clear(relay, SECOND);
    assert_int_equal(session_judge(relay, SECOND, 7, 0), CLAIM_STALE);
    assert_int_equal(session_judge(relay, SECOND, 8, 0), CLAIM_FALSE);
    session_link_up(relay, SECOND, p->now_us);
    assert_false(session_is_proven(relay, SECOND));
    assert_int_equal(session_judge(relay, SECOND, 8, 0), CLAIM_FALSE);
    give(p, relay, SECOND, bytes_number(0, FRAME_PING, 1, 8));
    assert_true(session_is_proven(relay, SECOND));
    assert_int_equal(session_judge(relay, SECOND, 8, 0), CLAIM_TRUE);
    assert_int_equal(session_judge(relay, SECOND, 8, 1), CLAIM_FALSE);
    session_link_lost(relay, SECOND, p->now_us);
    assert_false(session_is_proven(relay, SECOND));
    assert_int_equal(session_judge(relay, SECOND, 8, 0), CLAIM_TRUE);
}

static void test_the_session_binds_on_its_first_link_only(void **state)
{
    struct pair *p = *state;
    struct frame_bind b = { .tunnel = 2, .name = span_text("other") };
    struct session_event event;
    size_t used;

    assert_int_equal(session_bind(p->client.session, &b), ERR_OK);
    assert_int_equal(session_step(p->relay.session, SECOND, ++p->now_us,
                                  frame_of(p, p->client.session, 0), &used,
                                  &event),
                     ERR_PROTOCOL);
    assert_non_null(strstr(session_why(p->relay.session), "second link"));
}

static void test_a_session_that_fails_says_why_on_either_link(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[16];

    for (unsigned slot = 0; slot <= SECOND; slot++) {
        struct wire_writer w;
        struct session_event event;

        wire_writer_init(&w, bytes, sizeof(bytes));
        frame_put_goaway(&w, ERR_PROTOCOL, span_text("the reason"));
        assert_true(wire_writer_done(&w));
        event = give(p, p->client.session, slot,
                     bytes_frame(0, FRAME_GOAWAY, 0, span_of(bytes, w.len)));
        assert_int_equal(event.kind, EVENT_GOAWAY);
        assert_int_equal(event.code, ERR_PROTOCOL);
    }
}

static void write_frames(struct session *s, uint32_t id, unsigned count)
{
    while (count-- > 0) {
        struct chunk *c = chunk_new(FRAME_PAYLOAD_MAX);

        assert_non_null(c);
        memset(chunk_tail(c), 'x', FRAME_PAYLOAD_MAX);
        chunk_grow(c, FRAME_PAYLOAD_MAX);
        assert_int_equal(session_write_take(s, id, c), ERR_OK);
    }
}

/* Send on |slot| what may be sent; the bytes, of which none arrives. */
static uint64_t pour(struct pair *p, unsigned slot)
{
    uint64_t sent = 0;
    size_t len;

    do {
        len = session_output(p->relay.session, slot, p->now_us).len;
        sent += len;
    } while (len > 0);
    return sent;
}

/* They share a line, but not a connection: what waits there is no matter. */
static void test_a_call_holds_back_bulk_of_the_other_link(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint32_t call = open_on(p, 0);
    uint32_t bulk = open_on(p, SECOND);

    carry(p, 0, EVENT_NONE);
    carry(p, SECOND, EVENT_NONE);
    session_set_class(relay, call, CLASS_INTERACTIVE);
    session_set_class(relay, bulk, CLASS_BULK);
    write_text(relay, call, "hello");
    pour(p, 0);
    assert_true(session_ahead(relay, 0) < SIZE_MAX);
    assert_int_equal(session_ahead(relay, SECOND), SIZE_MAX);
    write_frames(relay, bulk, 8);
    assert_int_equal(frame_of(p, relay, SECOND).len,
                     FRAME_HEADER_LEN + FLIGHT_QUANTUM_MIN);
    assert_in_range(FRAME_HEADER_LEN + FLIGHT_QUANTUM_MIN + pour(p, SECOND),
                    FLIGHT_FLOOR, FLIGHT_FLOOR + FRAME_MAX);
    p->now_us += FLIGHT_URGENT_US;
    assert_true(pour(p, SECOND) > 0);
}

/* What is not acknowledged there does not stop a call here. */
static void test_a_full_log_of_one_link_leaves_the_other_its_share(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint32_t call = open_on(p, 0);
    uint32_t bulk[] = { open_on(p, SECOND), open_on(p, SECOND) };

    carry(p, 0, EVENT_NONE);
    carry(p, SECOND, EVENT_NONE);
    for (unsigned i = 0; output_scope(relay) == SCHED_ALL; i++) {
        write_frames(relay, bulk[i % 2], 1);
        pour(p, SECOND);
    }
    write_frames(relay, bulk[0], 1);
    assert_int_equal(pour(p, SECOND), 0);
    write_text(relay, call, "hello");
    assert_int_equal(carry(p, 0, EVENT_DATA), 1);
    session_link_lost(relay, SECOND, p->now_us);
    write_text(relay, call, "still here");
    assert_int_equal(carry(p, 0, EVENT_DATA), 1);
}

/* Write till the session says stop. */
static void fill(struct session *s, uint32_t id)
{
    while (session_room(s, id) > 0) {
        write_frames(s, id, 1);
    }
}

static void test_writers_of_a_lost_link_hold_up_none_of_the_other(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    uint32_t call = open_on(p, 0);
    uint32_t starved = open_on(p, SECOND);
    uint32_t told = 0;

    session_set_owner(relay, call, p);
    session_set_owner(relay, starved, p);
    carry(p, 0, EVENT_NONE);
    session_link_lost(relay, SECOND, p->now_us);
    for (unsigned i = 0; i < AWAY_SESSION_MAX / AWAY_STREAM_MAX; i++) {
        fill(relay, open_on(p, SECOND));
    }
    assert_int_equal(session_room(relay, starved), 0);
    fill(relay, call);
    assert_null(session_pop_writable(relay, &told));
    while (session_queued(relay, call) >= UNSENT_STREAM_LOW) {
        frame_of(p, relay, 0);
    }
    assert_ptr_equal(session_pop_writable(relay, &told), p);
    assert_int_equal(told, call);
    assert_null(session_pop_writable(relay, &told));
    assert_int_equal(session_room(relay, starved), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_stream_stays_on_its_own_link_both_ways),
        CASE(test_opens_may_cross_on_two_links),
        CASE(test_one_link_is_lost_and_the_other_goes_on),
        CASE(test_a_slot_that_begins_anew_takes_its_streams_along),
        CASE(test_a_stream_of_a_lost_link_queues_what_such_may),
        CASE(test_who_is_not_heard_since_a_new_beginning_begins_anew),
        CASE(test_the_session_binds_on_its_first_link_only),
        CASE(test_a_session_that_fails_says_why_on_either_link),
        CASE(test_a_call_holds_back_bulk_of_the_other_link),
        CASE(test_writers_of_a_lost_link_hold_up_none_of_the_other),
        CASE(test_a_full_log_of_one_link_leaves_the_other_its_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
