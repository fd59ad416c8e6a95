/* Streams' queues: how much they take, and who is told when there is room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/session_state.h"
#include "tests/support/bytes.h"
#include "tests/support/pair.h"

static int begin(void **state)
{
    static struct pair p;

    pair_init(&p, WINDOW_FIRST);
    pair_bind(&p, 1);
    *state = &p;
    return 0;
}

static int end(void **state)
{
    pair_deinit(*state);
    return 0;
}

static uint32_t open_stream(struct pair *p)
{
    uint32_t id = pair_open_stream(p);

    session_set_owner(p->relay.session, id, p);
    return id;
}

static enum err write_one(struct pair *p, uint32_t id, size_t capacity,
                          size_t len)
{
    struct chunk *c = chunk_new(capacity);

    assert_non_null(c);
    memset(chunk_tail(c), 'x', len);
    chunk_grow(c, len);
    return session_write_take(p->relay.session, id, c);
}

/* Write till the session says stop; how many bytes it took. */
static size_t fill(struct pair *p, uint32_t id)
{
    size_t written = 0;
    size_t room;

    while ((room = session_room(p->relay.session, id)) > 0) {
        size_t len = room < FRAME_PAYLOAD_MAX ? room : FRAME_PAYLOAD_MAX;

        assert_int_equal(write_one(p, id, len, len), ERR_OK);
        written += len;
    }
    return written;
}

static void test_a_writer_is_stopped_and_told_once_there_is_room(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);
    struct session_stats stats;
    uint32_t told = 0;

    /* The head's byte waits in the queue as well, with OPEN's 19. */
    assert_int_equal(fill(p, id), UNSENT_STREAM_MAX - 20);
    do {
        assert_null(session_pop_writable(p->relay.session, &told));
        pair_send(p, &p->relay, 1);
        session_stats(p->relay.session, &stats);
    } while (stats.unsent_bytes >= UNSENT_STREAM_LOW);
    assert_ptr_equal(session_pop_writable(p->relay.session, &told), p);
    assert_int_equal(told, id);
    assert_null(session_pop_writable(p->relay.session, &told));
    assert_true(session_room(p->relay.session, id) > 0);
}

static void test_without_a_link_more_waits_for_a_stream(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);

    session_link_lost(p->relay.session, 0, p->now_us);
    assert_int_equal(fill(p, id), AWAY_STREAM_MAX - 20);
}

static void test_without_a_link_a_session_takes_its_bound(void **state)
{
    struct pair *p = *state;
    struct session_stats stats;
    uint32_t id = 0;
    uint32_t told;

    session_link_lost(p->relay.session, 0, p->now_us);
    for (unsigned i = 0; i < AWAY_SESSION_MAX / AWAY_STREAM_MAX; i++) {
        id = open_stream(p);
        (void)fill(p, id);
    }
    session_stats(p->relay.session, &stats);
    assert_int_equal(stats.unsent_bytes, AWAY_SESSION_MAX);
    assert_int_equal(session_room(p->relay.session, id), 0);
    assert_null(session_pop_writable(p->relay.session, &told));
}

static void test_a_stream_starved_by_its_session_is_told(void **state)
{
    struct pair *p = *state;
    uint32_t last;
    uint32_t told = 0;

    session_link_lost(p->relay.session, 0, p->now_us);
    last = open_stream(p);
    for (unsigned i = 0; i < AWAY_SESSION_MAX / AWAY_STREAM_MAX; i++) {
        (void)fill(p, open_stream(p));
    }
    assert_int_equal(session_room(p->relay.session, last), 0);
    assert_null(session_pop_writable(p->relay.session, &told));
    session_link_up(p->relay.session, 0, p->now_us);
    assert_ptr_equal(session_pop_writable(p->relay.session, &told), p);
    assert_int_equal(told, last);
}

static bool is_held(const struct session *s)
{
    struct session_stats stats;

    session_stats(s, &stats);
    return stats.is_held;
}

static void test_what_may_leave_and_has_not_waits_for_the_link(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);

    assert_true(is_held(p->relay.session));
    pair_send(p, &p->relay, SIZE_MAX);
    assert_false(is_held(p->relay.session));
    (void)fill(p, id);
    assert_true(is_held(p->relay.session));
    session_link_lost(p->relay.session, 0, p->now_us);
    assert_false(is_held(p->relay.session));
}

/* Streams whose window is used up fill the session's queues. */
static void stall_session(struct pair *p)
{
    struct session_stats stats;

    do {
        uint32_t id = open_stream(p);

        pair_send(p, &p->relay, SIZE_MAX);
        assert_true(fill(p, id) > 0);
        /* What its window takes leaves; the last one fills the rest. */
        pair_send(p, &p->relay, SIZE_MAX);
        (void)fill(p, id);
        session_stats(p->relay.session, &stats);
    } while (stats.unsent_bytes < UNSENT_SESSION_MAX);
}

static void test_stalled_streams_do_not_stop_the_others(void **state)
{
    struct pair p;
    uint32_t told = 0;
    uint32_t id;

    (void)state;
    pair_init(&p, 1000);
    pair_bind(&p, 1);
    stall_session(&p);
    /* They wait for their readers, not for the link. */
    assert_false(is_held(p.relay.session));
    id = open_stream(&p);
    assert_int_equal(session_room(p.relay.session, id), 0);
    pair_send(&p, &p.relay, SIZE_MAX);
    for (unsigned i = 0; i < 3; i++) {
        assert_ptr_equal(session_pop_writable(p.relay.session, &told), &p);
        assert_int_equal(told, id);
        assert_null(session_pop_writable(p.relay.session, &told));
        assert_int_equal(session_room(p.relay.session, id), FRAME_PAYLOAD_MAX);
        assert_int_equal(write_one(&p, id, 300, 300), ERR_OK);
        assert_int_equal(session_room(p.relay.session, id), 0);
        pair_send(&p, &p.relay, SIZE_MAX);
    }
    /* Its window is as good as used up: it waits like the others. */
    (void)session_room(p.relay.session, id);
    assert_int_equal(write_one(&p, id, 300, 300), ERR_OK);
    pair_send(&p, &p.relay, SIZE_MAX);
    assert_int_equal(session_room(p.relay.session, id), 0);
    assert_null(session_pop_writable(p.relay.session, &told));
    pair_deinit(&p);
}

static void test_a_full_relay_stops_all_but_a_sessions_own_share(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);
    uint32_t told;

    pool_charge(&p->relay.sent, SENT_LOG_RELAY);
    assert_true(session_room(p->relay.session, id) > 0);
    for (unsigned i = 0; i < 3; i++) {
        (void)fill(p, open_stream(p));
    }
    assert_int_equal(session_room(p->relay.session, id), 0);
    assert_true(session_deadline(p->relay.session, 0) <=
                p->now_us + 100 * US_PER_MS);
    assert_null(session_pop_writable(p->relay.session, &told));
    /* Nothing else is due: the clock alone wakes the writers. */
    while (session_output(p->relay.session, 0, p->now_us).len > 0) {
    }
    p->now_us += ACK_DELAY_US;
    assert_int_equal(session_tick(p->relay.session, 0, p->now_us), ERR_OK);
    (void)session_output(p->relay.session, 0, p->now_us);
    assert_int_equal(session_deadline(p->relay.session, 0),
                     p->now_us + 4 * ACK_DELAY_US);
    pool_release(&p->relay.sent, SENT_LOG_RELAY);
    assert_non_null(session_pop_writable(p->relay.session, &told));
}

static void test_small_writes_share_memory(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);
    uint64_t before = p->relay.sent.used;

    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(write_one(p, id, READ_BATCH, 10), ERR_OK);
    }
    assert_true(p->relay.sent.used - before < 4 * 10000);
}

static void test_a_writer_that_does_not_stop_is_stopped(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);
    enum err error = ERR_OK;
    size_t written = 0;

    while (error == ERR_OK && written < 4 * MIB) {
        error = write_one(p, id, FRAME_PAYLOAD_MAX, FRAME_PAYLOAD_MAX);
        written += FRAME_PAYLOAD_MAX;
    }
    assert_int_equal(error, ERR_LIMIT);
    assert_true(written <= UNSENT_STREAM_HARD + 2 * FRAME_PAYLOAD_MAX);
}

static void test_a_chunk_larger_than_the_window_is_sent_in_parts(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);
    struct session_event event;
    struct span frame;

    /* 1 byte of the head and 15 frames: 16,000 bytes of the window remain. */
    for (unsigned i = 0; i < 15; i++) {
        assert_int_equal(write_one(p, id, FRAME_PAYLOAD_MAX, 16376), ERR_OK);
    }
    pair_send(p, &p->relay, SIZE_MAX);
    assert_int_equal(write_one(p, id, FRAME_PAYLOAD_MAX, 16376), ERR_OK);
    assert_int_equal(write_one(p, id, FRAME_PAYLOAD_MAX, 16376), ERR_OK);
    assert_int_equal(session_write_fin(p->relay.session, id), ERR_OK);
    frame = session_output(p->relay.session, 0, p->now_us);
    assert_int_equal(frame.len, FRAME_HEADER_LEN + 16376);
    assert_int_equal(frame.data[7], 0);
    frame = session_output(p->relay.session, 0, p->now_us);
    assert_int_equal(frame.len,
                     FRAME_HEADER_LEN + (WINDOW_FIRST - 1 - 16 * 16376));
    assert_int_equal(frame.data[7], FRAME_BLOCKED);
    assert_false(session_has_output(p->relay.session, 0));
    assert_int_equal(bytes_feed(p->relay.session,
                                bytes_number(id, FRAME_WINDOW, 20000, 4),
                                SIZE_MAX, &event),
                     ERR_OK);
    frame = session_output(p->relay.session, 0, p->now_us);
    assert_int_equal(frame.len, FRAME_HEADER_LEN + 16376 -
                                    (WINDOW_FIRST - 1 - 16 * 16376));
    assert_int_equal(frame.data[7], FRAME_FIN);
}

static void test_after_fin_there_is_no_room_and_nobody_is_told(void **state)
{
    struct pair *p = *state;
    uint32_t id = open_stream(p);
    uint32_t told;

    assert_true(session_room(p->relay.session, id) > 0);
    assert_int_equal(session_write_fin(p->relay.session, id), ERR_OK);
    assert_int_equal(session_room(p->relay.session, id), 0);
    pair_send(p, &p->relay, SIZE_MAX);
    assert_int_equal(session_room(p->relay.session, id), 0);
    assert_null(session_pop_writable(p->relay.session, &told));
}

static void test_a_writer_that_asks_twice_is_told_once(void **state)
{
    struct pair *p = *state;
    uint32_t id;
    uint32_t told;

    session_link_lost(p->relay.session, 0, p->now_us);
    id = open_stream(p);
    for (size_t all = 0; all < AWAY_SESSION_MAX; all += AWAY_STREAM_MAX) {
        (void)fill(p, open_stream(p));
    }
    /* The session's bound, not the stream's: it waits from the start. */
    assert_int_equal(session_room(p->relay.session, id), 0);
    assert_int_equal(session_room(p->relay.session, id), 0);
    session_link_up(p->relay.session, 0, p->now_us);
    assert_ptr_equal(session_pop_writable(p->relay.session, &told), p);
    assert_int_equal(told, id);
    assert_null(session_pop_writable(p->relay.session, &told));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_writer_is_stopped_and_told_once_there_is_room),
        CASE(test_without_a_link_more_waits_for_a_stream),
        CASE(test_without_a_link_a_session_takes_its_bound),
        CASE(test_a_stream_starved_by_its_session_is_told),
        CASE(test_what_may_leave_and_has_not_waits_for_the_link),
        CASE(test_stalled_streams_do_not_stop_the_others),
        CASE(test_a_full_relay_stops_all_but_a_sessions_own_share),
        CASE(test_small_writes_share_memory),
        CASE(test_a_writer_that_does_not_stop_is_stopped),
        CASE(test_a_chunk_larger_than_the_window_is_sent_in_parts),
        CASE(test_after_fin_there_is_no_room_and_nobody_is_told),
        CASE(test_a_writer_that_asks_twice_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
