/*
 * Goal: no allocation of proto/ that fails crashes, leaks or stalls; it is an
 * error or a reset. One exchange is played again and again, each time with a
 * later allocation failing, till none is left to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/fail_alloc.h"
#include "tests/support/pair.h"

#define ROUNDS_MAX 500u
#define STEP 700u

static const struct session_limits limits = {
    .window_first = 20000, .streams_max = 10, .tunnels_max = 3, .grace_s = 45
};

struct ends {
    struct session *relay;
    struct session *client;
    uint64_t now_us;
};

/* What all sessions here are charged to: empty when they are gone. */
static struct pool receive_pool = { .max = UINT64_MAX };
static struct pool sent_pool = { .max = UINT64_MAX };

static struct session *new_session(enum session_role role)
{
    struct session_options o = { .role = role,
                                 .own = limits,
                                 .peer = limits,
                                 .receive_pool = &receive_pool,
                                 .sent_pool = &sent_pool,
                                 .receive_max = RECEIVE_POOL_SESSION };
    struct session *s = session_new(&o, 1000);

    if (s != NULL) {
        session_link_up(s, 0, 1000);
    }
    return s;
}

static void answer(struct session *s, const struct session_event *event)
{
    struct chunk *c;

    if (session_write_head(s, event->stream, HEAD_FINAL, event->bytes, false) !=
        ERR_OK) {
        return;
    }
    c = chunk_new(FRAME_PAYLOAD_MAX);
    if (c != NULL) {
        memset(chunk_tail(c), 'x', FRAME_PAYLOAD_MAX);
        chunk_grow(c, FRAME_PAYLOAD_MAX);
        if (session_write_take(s, event->stream, c) == ERR_OK &&
            session_write_fin(s, event->stream) == ERR_OK) {
            session_stop(s, event->stream);
        }
    }
}

/* Carry what |from| has to |to| in pieces; false when one is dead. */
static bool carry(struct ends *e, struct session *from, struct session *to,
                  bool is_client)
{
    while (session_has_output(from, 0)) {
        struct span frame = session_output(from, 0, e->now_us);

        while (frame.len > 0) {
            struct session_event event;
            size_t used;

            if (session_step(
                    to, 0, e->now_us,
                    span_of(frame.data, frame.len < STEP ? frame.len : STEP),
                    &used, &event) != ERR_OK) {
                return false;
            }
            frame = span_after(frame, used);
            if (event.kind == EVENT_DATA) {
                session_consumed(to, event.stream, event.bytes.len);
            } else if (is_client && event.kind == EVENT_OPEN) {
                answer(to, &event);
            }
        }
    }
    return true;
}

/* Carry everything both ways; false when one is dead. */
static bool settle(struct ends *e)
{
    bool is_alive;

    do {
        is_alive = carry(e, e->client, e->relay, false) &&
                   carry(e, e->relay, e->client, true);
        e->now_us += ACK_DELAY_US;
    } while (is_alive && (session_has_output(e->relay, 0) ||
                          session_has_output(e->client, 0)));
    return is_alive;
}

static void play(struct ends *e)
{
    static uint8_t head[HEAD_MAX / 2];
    struct frame_bind bind = { .tunnel = 1 };
    struct frame_open open = pair_open(1);
    uint32_t id;

    if (session_bind(e->client, &bind) != ERR_OK ||
        session_open(e->relay, 0, &open, span_of(head, sizeof(head)), false,
                     &id) != ERR_OK ||
        session_open(e->relay, 0, &open, span_text("get"), true, &id) !=
            ERR_OK) {
        return;
    }
    if (!settle(e)) {
        return;
    }
    session_reset(e->relay, id, ERR_CANCEL);
    if (settle(e) && session_goaway(e->relay, ERR_SHUTDOWN,
                                    span_text("good bye")) == ERR_OK) {
        (void)settle(e);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    bool has_failed = true;
    unsigned long count = 0;

    (void)state;
    while (has_failed) {
        struct ends e = { .now_us = 2000 };

        assert_true(++count < ROUNDS_MAX);
        fail_alloc_after(count);
        e.relay = new_session(SESSION_RELAY);
        e.client = new_session(SESSION_CLIENT);
        if (e.relay != NULL && e.client != NULL) {
            play(&e);
        }
        has_failed = fail_alloc_stop();
        session_free(e.relay);
        session_free(e.client);
        assert_int_equal(receive_pool.used, 0);
        assert_int_equal(sent_pool.used, 0);
    }
    assert_true(count > 20);
}

/* A relay's session with stream 2, whose OPEN was put out. */
static struct session *open_one(void)
{
    struct session *s = new_session(SESSION_RELAY);
    struct frame_open open = pair_open(1);
    uint32_t id;

    assert_non_null(s);
    assert_int_equal(session_open(s, 0, &open, span_text("get"), false, &id),
                     ERR_OK);
    assert_int_equal(id, 2);
    while (session_output(s, 0, 2000).len > 0) {
    }
    return s;
}

/* A stream that cannot be ended there would live on: the session ends. */
static void test_a_reset_without_memory_ends_the_session(void **state)
{
    struct session *s = open_one();

    (void)state;
    fail_alloc_after(1);
    session_reset(s, 2, ERR_CANCEL);
    assert_true(fail_alloc_stop());
    assert_int_equal(session_tick(s, 0, 2000), ERR_NOMEM);
    assert_non_null(session_why(s));
    session_free(s);
}

static void test_a_fin_without_memory_may_be_tried_again(void **state)
{
    struct session *s = open_one();
    struct span frame;

    (void)state;
    fail_alloc_after(1);
    assert_int_equal(session_write_fin(s, 2), ERR_NOMEM);
    assert_true(fail_alloc_stop());
    assert_string_equal(session_why(s), "no memory for FIN");
    assert_int_equal(session_write_fin(s, 2), ERR_OK);
    frame = session_output(s, 0, 2000);
    assert_int_equal(frame.len, FRAME_HEADER_LEN);
    assert_int_equal(frame.data[7], FRAME_FIN);
    session_free(s);
}

/* A large chunk with little in it is exchanged only if memory allows. */
static void test_data_goes_out_without_memory_to_shrink_it(void **state)
{
    struct session *s = open_one();
    struct chunk *c = chunk_new(FRAME_PAYLOAD_MAX);
    struct span frame;

    (void)state;
    assert_non_null(c);
    memcpy(chunk_tail(c), "body", 4);
    chunk_grow(c, 4);
    fail_alloc_after(1);
    assert_int_equal(session_write_take(s, 2, c), ERR_OK);
    assert_true(fail_alloc_stop());
    frame = session_output(s, 0, 2000);
    assert_int_equal(frame.len, FRAME_HEADER_LEN + 4);
    assert_memory_equal(frame.data + FRAME_HEADER_LEN, "body", 4);
    session_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_a_reset_without_memory_ends_the_session),
        cmocka_unit_test(test_a_fin_without_memory_may_be_tried_again),
        cmocka_unit_test(test_data_goes_out_without_memory_to_shrink_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
