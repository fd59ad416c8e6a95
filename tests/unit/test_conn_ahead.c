/*
 * Plain bytes in bulk: read several chunks at a time, they come in order, wait
 * for their owner within a bound, and an end behind them is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/conn_private.h"
#include "tests/support/conn_world.h"
#include "tests/support/slower.h"

#define AHEAD_MAX ((size_t)(LOOP_CHUNKS_KEPT - 1) * BULK_PAYLOAD)

/* The server, paused by its owner, with chunks that it has not seen. */
static void until_ahead(struct world *w)
{
    w->server.pauses = true;
    while (w->server.conn == NULL || w->server.conn->ahead.count == 0) {
        if (w->server.conn != NULL && w->server.conn->is_paused) {
            conn_resume(w->server.conn);
        }
        world_poll(w);
    }
}

static void test_bulk_waits_for_its_owner_within_a_bound(void **state)
{
    struct world w;
    uint64_t before;

    (void)state;
    world_open(&w);
    w.client.to_send = slower_mib(8);
    w.client.shuts = true;
    world_connect(&w, 0);
    until_ahead(&w);
    before = w.server.received;
    assert_true(w.server.conn->ahead.bytes <= AHEAD_MAX);
    for (unsigned i = 0; i < 5; i++) {
        world_poll(&w);
    }
    assert_int_equal(w.server.received, before);
    assert_true(w.server.conn->ahead.bytes <= AHEAD_MAX);
    w.server.pauses = false;
    conn_resume(w.server.conn);
    world_until(&w, &w.server.eof);
    assert_int_equal(w.server.received, slower_mib(8));
    assert_int_equal(w.server.largest, BULK_PAYLOAD);
    assert_int_equal(w.server.conn->ahead.count, 0);
    world_close(&w);
}

static void test_bulk_is_added_to_what_was_left(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.client.to_send = slower_mib(4);
    w.client.shuts = true;
    world_connect(&w, 0);
    until_ahead(&w);
    w.server.pauses = false;
    w.server.adds = 8;
    conn_resume(w.server.conn);
    world_until(&w, &w.server.eof);
    assert_int_equal(w.server.adds, 0);
    assert_int_equal(w.server.received, slower_mib(4));
    world_close(&w);
}

static void test_bulk_may_be_closed_unread(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.client.to_send = slower_mib(4);
    world_connect(&w, 0);
    until_ahead(&w);
    conn_close(w.server.conn, 0);
    w.server.conn = NULL;
    world_until(&w, &w.client.down);
    world_close(&w);
}

static void test_an_error_behind_bulk_is_told_after_it(void **state)
{
    struct world w;
    uint64_t before;

    (void)state;
    world_open(&w);
    w.client.to_send = slower_mib(4);
    world_connect(&w, 0);
    until_ahead(&w);
    before = w.server.received + w.server.conn->ahead.bytes;
    /* As if readv() had met it. */
    w.server.conn->ahead_status = UV_ECONNRESET;
    w.server.pauses = false;
    conn_resume(w.server.conn);
    while (w.server.down == 0) {
        world_poll(&w);
    }
    assert_int_equal(w.server.received, before);
    assert_int_equal(w.server.error, ERR_IO);
    world_close(&w);
}

static void test_bulk_becomes_the_input_of_tls(void **state)
{
    struct world w;
    size_t ahead;

    (void)state;
    world_open(&w);
    w.client.to_send = slower_mib(4);
    world_connect(&w, 0);
    until_ahead(&w);
    ahead = w.server.conn->ahead.bytes;
    assert_int_equal(conn_read_into_tls(w.server.conn), ERR_OK);
    assert_int_equal(w.server.conn->ahead.count, 0);
    assert_int_equal(w.server.conn->cipher_len, ahead);
    free(w.server.conn->cipher);
    w.server.conn->cipher = NULL;
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bulk_waits_for_its_owner_within_a_bound),
        cmocka_unit_test(test_bulk_is_added_to_what_was_left),
        cmocka_unit_test(test_bulk_may_be_closed_unread),
        cmocka_unit_test(test_an_error_behind_bulk_is_told_after_it),
        cmocka_unit_test(test_bulk_becomes_the_input_of_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
