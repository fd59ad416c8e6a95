/* Connections over loopback, plain and with TLS: bytes, pauses, pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "common/conn_private.h"
#include "common/platform.h"
#include "tests/support/conn_world.h"
#include "tests/support/slower.h"

static void test_plain_bytes_arrive_in_order_both_ways(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.client.to_send = slower_mib(20);
    w.server.to_send = slower_mib(15) + 3;
    w.client.shuts = true;
    w.server.shuts = true;
    world_connect(&w, 0);
    world_until(&w, &w.server.eof);
    world_until(&w, &w.client.eof);
    assert_int_equal(w.server.received, slower_mib(20));
    assert_int_equal(w.client.received, slower_mib(15) + 3);
    assert_true(w.server.is_clean);
    assert_int_equal(w.client.up, 1);
    assert_int_equal(w.server.up, 0);
    world_close(&w);
}

static void test_tls_bytes_arrive_in_order_both_ways(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    world_tls(&w);
    w.client.to_send = slower_mib(9) + 1;
    w.server.to_send = slower_mib(20);
    w.client.shuts = true;
    w.server.shuts = true;
    w.client.takes = true;
    world_connect(&w, TEST_US);
    world_until(&w, &w.server.eof);
    world_until(&w, &w.client.eof);
    assert_int_equal(w.server.received, slower_mib(9) + 1);
    assert_int_equal(w.client.received, slower_mib(20));
    assert_true(w.server.is_clean);
    assert_true(w.client.is_clean);
    assert_int_equal(w.client.up, 1);
    assert_int_equal(w.server.up, 1);
    world_close(&w);
}

/* Client to server, in one write; the rest is up to |w|'s ends. */
static void run_one_way(struct world *w, uint64_t len)
{
    w->client.to_send = len;
    w->client.shuts = true;
    w->server.shuts = true;
    world_connect(w, 0);
    world_until(w, &w->server.eof);
    assert_int_equal(w->server.received, len);
}

static void test_what_the_owner_leaves_comes_again(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        w.server.leaves = true;
        run_one_way(&w, 100001);
        assert_false(w.server.leaves);
        world_close(&w);
    }
}

static void test_more_is_added_to_what_was_left(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        w.server.asks_for = 9000;
        world_connect(&w, 0);
        while (w.client.up == 0 || (tls && w.server.up == 0)) {
            world_step(&w);
        }
        /* A byte at a time would take all day: 900 at a time. */
        for (unsigned i = 0; i < 10; i++) {
            assert_int_equal(w.server.received, 0);
            w.client.to_send = 900;
            end_write(&w.client);
            conn_flush(w.client.conn);
            world_step(&w);
        }
        while (w.server.received == 0) {
            world_step(&w);
        }
        assert_int_equal(w.server.received, 9000);
        assert_int_equal(w.server.largest, 9000);
        world_close(&w);
    }
}

static void test_what_is_left_may_be_consumed_later(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        /* Asks for more than comes, then takes what is there elsewhere. */
        w.server.asks_for = 1000;
        w.client.to_send = 900;
        world_connect(&w, 0);
        while (w.server.conn == NULL || conn_input(w.server.conn).len < 900) {
            world_step(&w);
        }
        conn_consume(w.server.conn, 900);
        w.server.received = 900;
        conn_resume(w.server.conn);
        w.server.asks_for = 0;
        w.client.to_send = 200 * KIB;
        end_write(&w.client);
        while (w.server.received < 900 + 200 * KIB) {
            world_step(&w);
        }
        world_close(&w);
    }
}

static void test_more_has_a_bound(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.server.asks_for = CONN_MORE_MAX;
    w.client.to_send = CONN_MORE_MAX;
    world_connect(&w, 0);
    while (w.server.received == 0) {
        world_step(&w);
    }
    assert_int_equal(w.server.largest, CONN_MORE_MAX);
    world_close(&w);
}

static void test_a_pause_holds_back_the_sender(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        uint64_t before;

        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        w.server.pauses = true;
        w.client.to_send = slower_mib(64);
        world_connect(&w, 0);
        while (w.server.data == 0 || conn_unsent(w.client.conn) < WRITE_BATCH) {
            world_poll(&w);
        }
        /* The kernel is full; the ends hold little themselves. */
        assert_true(conn_unsent(w.client.conn) < 3 * WRITE_BATCH);
        assert_int_equal(w.server.data, 1);
        before = w.server.received;
        assert_true(before <= FRAME_PAYLOAD_MAX);
        w.server.pauses = false;
        conn_resume(w.server.conn);
        while (w.server.received < slower_mib(64)) {
            world_step(&w);
        }
        world_close(&w);
    }
}

static void test_little_waits_in_the_kernel_for_who_does_not_read(void **state)
{
    struct world w;
    int fd, unsent = 0; /* valgrind does not know that ioctl() sets it */

    (void)state;
    world_open(&w);
    w.server.pauses = true;
    w.client.to_send = slower_mib(64);
    world_connect(&w, 0);
    while (w.server.data == 0 || conn_unsent(w.client.conn) < WRITE_BATCH) {
        world_poll(&w);
    }
    assert_int_equal(uv_fileno((uv_handle_t *)&w.client.conn->tcp, &fd), 0);
    assert_int_equal(ioctl(fd, SIOCOUTQNSD, &unsent), 0);
    /* A batch, and the segment that it was filled up with. */
    assert_in_range(unsent, 0, 2 * WRITE_BATCH);
    world_close(&w);
}

static void test_a_burst_grows_while_the_kernel_takes_all(void **state)
{
    struct world w;
    int fd;

    (void)state;
    world_open(&w);
    world_tls(&w);
    world_connect(&w, 0);
    while (w.server.up == 0 || w.client.up == 0) {
        world_step(&w);
    }
    /* It does here, however little the other end has room for. */
    assert_int_equal(uv_fileno((uv_handle_t *)&w.client.conn->tcp, &fd), 0);
    platform_unsent_low_mark(fd, MIB);
    assert_int_equal(conn_burst(w.client.conn), WRITE_BATCH);
    while (conn_burst(w.client.conn) < WRITE_BURST_MAX) {
        size_t burst = conn_burst(w.client.conn);

        w.client.to_send = burst;
        w.client.burst = burst;
        end_write(&w.client);
        while (w.server.received < w.client.written) {
            world_step(&w);
        }
        assert_true(conn_burst(w.client.conn) <= 2 * burst);
    }
    /* Nobody reads, so it does not take all any more. */
    w.server.pauses = true;
    w.client.to_send = slower_mib(64);
    end_write(&w.client);
    while (conn_burst(w.client.conn) > WRITE_BATCH) {
        world_poll(&w);
    }
    assert_true(conn_unsent(w.client.conn) < 2 * WRITE_BURST_MAX);
    w.server.pauses = false;
    conn_resume(w.server.conn);
    while (w.server.received < w.client.written || w.client.to_send > 0) {
        world_step(&w);
    }
    world_close(&w);
}

/* Adds to what the client wrote in a flush of its own. */
struct adder {
    struct flush flush;
    struct world *world;
    size_t before;
};

/* The next three bytes, which are unsent then. */
static void write_three(struct world *w, size_t before)
{
    struct end *e = &w->client;
    struct span bytes = span_of(w->pattern + e->written, 3);

    assert_int_equal(conn_unsent(e->conn), before);
    assert_int_equal(conn_write(e->conn, bytes), ERR_OK);
    assert_int_equal(conn_unsent(e->conn), before + 3);
    e->written += 3;
}

static void run_adder(struct flush *f)
{
    struct adder *a = container_of(f, struct adder, flush);

    /* What was written before is still here. */
    write_three(a->world, a->before);
}

static void test_what_flushes_write_leaves_together(void **state)
{
    struct world w;
    struct adder adder = { .flush = { .run = run_adder },
                           .world = &w,
                           .before = 3 };

    (void)state;
    world_open(&w);
    world_connect(&w, 0);
    while (w.client.up == 0) {
        world_step(&w);
    }
    for (unsigned i = 1; i <= 2; i++) {
        write_three(&w, 0);
        loop_flush_later(&w.loop, &adder.flush);
        world_until(&w, &w.client.sent);
        assert_int_equal(conn_unsent(w.client.conn), 0);
        w.client.sent = 0;
        while (w.server.received < 6u * i) {
            world_step(&w);
        }
    }
    world_close(&w);
}

static void test_an_idle_connection_holds_no_buffer(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    world_tls(&w);
    w.client.to_send = 300 * KIB;
    world_connect(&w, 0);
    while (w.server.received < 300 * KIB) {
        world_step(&w);
    }
    uv_run(&w.loop.uv, UV_RUN_NOWAIT);
    assert_null(w.server.conn->in);
    assert_null(w.server.conn->cipher);
    assert_null(w.server.conn->batch);
    assert_null(w.server.conn->timer);
    assert_null(w.client.conn->batch);
    assert_null(w.client.conn->queue);
    assert_true(w.client.sent > 0);
    assert_true(w.loop.batch_count > 0);
    world_close(&w);
}

static void test_records_are_kept_when_asked(void **state)
{
    struct world w;

    (void)state;
    for (unsigned keeps = 0; keeps < 2; keeps++) {
        world_open(&w);
        world_tls(&w);
        world_connect(&w, 0);
        while (w.server.up == 0) {
            world_step(&w);
        }
        if (keeps) {
            conn_keep_records(w.server.conn);
        }
        w.server.data = 0;
        w.client.to_send = 5 * TLS_RECORD_MAX;
        end_write(&w.client);
        while (w.server.received < 5 * TLS_RECORD_MAX) {
            world_step(&w);
        }
        assert_int_equal(w.server.largest,
                         keeps ? TLS_RECORD_MAX : BULK_PAYLOAD);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_bytes_arrive_in_order_both_ways),
        cmocka_unit_test(test_tls_bytes_arrive_in_order_both_ways),
        cmocka_unit_test(test_what_the_owner_leaves_comes_again),
        cmocka_unit_test(test_more_is_added_to_what_was_left),
        cmocka_unit_test(test_what_is_left_may_be_consumed_later),
        cmocka_unit_test(test_more_has_a_bound),
        cmocka_unit_test(test_a_pause_holds_back_the_sender),
        cmocka_unit_test(test_little_waits_in_the_kernel_for_who_does_not_read),
        cmocka_unit_test(test_a_burst_grows_while_the_kernel_takes_all),
        cmocka_unit_test(test_what_flushes_write_leaves_together),
        cmocka_unit_test(test_an_idle_connection_holds_no_buffer),
        cmocka_unit_test(test_records_are_kept_when_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
