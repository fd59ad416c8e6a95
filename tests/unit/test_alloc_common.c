/*
 * Goal: no allocation of the rooms of common/ that fails crashes, leaks or
 * stalls: a connection through a listener and a dial is played again and again,
 * each time with a later allocation failing; likewise a head that is parsed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/conn.h"
#include "common/dial.h"
#include "common/http/h1_parser.h"
#include "common/listener.h"
#include "common/timer.h"
#include "tests/support/fail_alloc.h"

#define ROUNDS_MAX 200u
#define BODY (200u * KIB)
#define TEST_US (20 * US_PER_S)

struct play {
    struct loop loop;
    struct listener *listener;
    struct timer *watchdog;
    struct dial *dial;
    struct conn *near; /* the one that dialled */
    struct conn *far;
    uint64_t received;
    bool is_over;
};

static void on_far(struct conn *c, enum conn_event event, void *owner)
{
    struct play *p = owner;

    (void)c;
    p->is_over = p->is_over || event == CONN_DOWN || event == CONN_EOF;
}

static void on_near(struct conn *c, enum conn_event event, void *owner)
{
    struct play *p = owner;
    struct chunk *chunk;

    on_far(c, event, owner);
    if (event != CONN_DATA) {
        return;
    }
    chunk = conn_take_input(c);
    p->is_over = p->is_over || chunk == NULL;
    p->received += chunk == NULL ? 0 : chunk->len;
    p->is_over = p->is_over || p->received == BODY;
    chunk_free(chunk);
}

static void on_knock(int fd, void *owner)
{
    static uint8_t body[BODY];
    struct play *p = owner;
    struct conn_options o = { .on_event = on_far, .owner = p };

    if (conn_adopt(&p->loop, fd, &o, &p->far) != ERR_OK ||
        conn_write(p->far, span_of(body, sizeof(body))) != ERR_OK) {
        p->is_over = true;
    }
}

static void on_done(struct conn *c, enum err error, const char *why,
                    void *owner)
{
    struct play *p = owner;

    (void)why;
    assert_true((c == NULL) == (error != ERR_OK));
    p->dial = NULL;
    p->near = c;
    if (c == NULL) {
        p->is_over = true;
        return;
    }
    conn_set_owner(c, on_near, p);
}

static void on_watchdog(void *owner)
{
    (void)owner;
    fail();
}

static enum err begin(struct play *p)
{
    struct sockaddr_storage at;
    struct visitor_address address;
    struct dial_options o = { .host = "127.0.0.1",
                              .deadline_us = TEST_US,
                              .on_done = on_done,
                              .owner = p };
    const char *why;

    p->watchdog = timer_new(&p->loop, on_watchdog, p);
    if (p->watchdog == NULL) {
        return ERR_NOMEM;
    }
    timer_set(p->watchdog, p->loop.now_us + TEST_US);
    TRY(address_parse("127.0.0.1:0", &at));
    TRY(listener_open(&p->loop, (struct sockaddr *)&at, on_knock, p,
                      &p->listener, &why));
    listener_name(p->listener, &at);
    address_to_visitor(&at, &address);
    o.port = address.port;
    return dial_start(&p->loop, &o, &p->dial);
}

static void test_a_connection_without_memory(void **state)
{
    bool has_failed = true;
    unsigned long count = 0;

    (void)state;
    while (has_failed) {
        struct play p = { .received = 0 };

        assert_true(++count < ROUNDS_MAX);
        fail_alloc_after(count);
        if (loop_open(&p.loop) == ERR_OK) {
            p.is_over = begin(&p) != ERR_OK;
            while (!p.is_over) {
                uv_run(&p.loop.uv, UV_RUN_ONCE);
            }
            conn_close(p.near, 0);
            conn_close(p.far, 0);
            dial_cancel(p.dial);
            listener_close(p.listener);
            timer_close(p.watchdog);
            loop_close(&p.loop);
        }
        has_failed = fail_alloc_stop();
        assert_true(has_failed || p.received == BODY);
    }
    assert_true(count > 10);
}

/* A head in pieces, so that the parser has to keep it. */
static enum err parse(struct h1_parser *p)
{
    static const char head[] = "GET /path HTTP/1.1\r\nHost: a.test\r\n"
                               "X-Long: 0123456789012345678901234567890123\r\n"
                               "X-Other: value\r\n\r\n";

    for (size_t at = 0; at < sizeof(head) - 1; at++) {
        enum h1_event event;
        size_t used = 0;

        TRY(h1_parser_step(p, span_of(head + at, 1), &used, &event));
        assert_int_equal(used, 1);
    }
    return ERR_OK;
}

static void test_a_head_without_memory(void **state)
{
    bool has_failed = true;
    unsigned long count = 0;

    (void)state;
    while (has_failed) {
        struct h1_parser *p;
        enum err e = ERR_NOMEM;

        assert_true(++count < ROUNDS_MAX);
        fail_alloc_after(count);
        p = h1_parser_new(H1_REQUESTS);
        if (p != NULL) {
            e = parse(p);
        }
        has_failed = fail_alloc_stop();
        assert_int_equal(e, has_failed ? ERR_NOMEM : ERR_OK);
        h1_parser_free(p);
    }
    assert_true(count > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_connection_without_memory),
        cmocka_unit_test(test_a_head_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
