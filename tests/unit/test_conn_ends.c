/* How connections end: properly, cut off, refused, late, or by their owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/conn_private.h"
#include "tests/support/conn_world.h"

#define LINGER_US (3 * US_PER_S)

static int descriptor(struct world *w)
{
    struct sockaddr_storage at;
    struct timeval patience = { .tv_sec = 2 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
        0);
    listener_name(w->listener, &at);
    assert_int_equal(
        connect(fd, (struct sockaddr *)&at, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static void test_a_fin_without_close_notify_is_not_clean(void **state)
{
    struct world w;
    int fd;

    (void)state;
    world_open(&w);
    world_tls(&w);
    world_connect(&w, 0);
    while (w.server.up == 0) {
        world_step(&w);
    }
    assert_int_equal(uv_fileno((uv_handle_t *)&w.client.conn->tcp, &fd), 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    world_until(&w, &w.server.eof);
    assert_false(w.server.is_clean);
    world_close(&w);
}

static void test_an_end_in_the_handshake_is_down(void **state)
{
    struct world w;
    int fd;

    (void)state;
    world_open(&w);
    world_tls(&w);
    fd = descriptor(&w);
    assert_int_equal(write(fd, "\x16\x03\x01", 3), 3);
    assert_int_equal(close(fd), 0);
    world_until(&w, &w.server.down);
    assert_int_equal(w.server.error, ERR_CLOSED);
    assert_int_equal(w.server.up, 0);
    world_close(&w);
}

static void test_what_is_no_tls_is_down(void **state)
{
    static const uint8_t bad[] = { 22, 3, 1, 0, 5, 1, 0, 0, 1, 0 };
    char answer[64];
    struct world w;
    int fd;

    (void)state;
    world_open(&w);
    world_tls(&w);
    fd = descriptor(&w);
    assert_int_equal(write(fd, bad, sizeof(bad)), sizeof(bad));
    world_until(&w, &w.server.down);
    assert_int_equal(w.server.error, ERR_TLS);
    /* The alert left before. */
    assert_true(read(fd, answer, sizeof(answer)) >= 7);
    assert_int_equal(answer[0], 21);
    close(fd);
    world_close(&w);
}

static void test_a_silent_peer_is_down_at_the_deadline(void **state)
{
    struct world w;
    uint64_t begun;

    (void)state;
    world_open(&w);
    world_tls(&w);
    w.server.stays_dumb = true;
    begun = w.loop.now_us;
    world_connect(&w, 60 * US_PER_MS);
    world_until(&w, &w.client.down);
    assert_int_equal(w.client.error, ERR_TIMEOUT);
    assert_true(w.loop.now_us - begun >= 60 * US_PER_MS);
    assert_true(w.loop.now_us - begun < 1 * US_PER_S);
    world_close(&w);
}

static void test_a_refused_connection_is_down(void **state)
{
    struct world w;
    struct sockaddr_storage at;
    struct conn_options o;

    (void)state;
    world_open(&w);
    listener_name(w.listener, &at);
    listener_close(w.listener);
    w.listener = NULL;
    uv_run(&w.loop.uv, UV_RUN_NOWAIT);
    o = world_options(&w.client);
    assert_int_equal(
        conn_connect(&w.loop, (struct sockaddr *)&at, &o, &w.client.conn),
        ERR_OK);
    assert_int_equal(w.client.down, 0);
    world_until(&w, &w.client.down);
    assert_int_equal(w.client.error, ERR_IO);
    assert_string_equal(conn_why(w.client.conn), "connection refused");
    world_close(&w);
}

static void test_a_lingering_close_sends_everything(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        /* Both have much to say, the server leaves first: its bytes arrive
         * whole although it reads none of the client's any more. */
        world_connect(&w, 0);
        while (w.client.up == 0 || w.server.conn == NULL ||
               (tls && w.server.up == 0)) {
            world_step(&w);
        }
        w.client.to_send = 3 * MIB;
        w.server.to_send = 200 * KIB;
        end_write(&w.client);
        while (w.server.to_send > 0) {
            end_write(&w.server);
            world_step(&w);
        }
        conn_close(w.server.conn, LINGER_US);
        w.server.conn = NULL;
        world_until(&w, &w.client.eof);
        assert_true(w.client.is_clean);
        assert_int_equal(w.client.received, 200 * KIB);
        world_close(&w);
    }
}

static void test_an_abort_resets(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.client.to_send = 10;
    world_connect(&w, 0);
    while (w.server.received == 0) {
        world_step(&w);
    }
    conn_abort(w.server.conn);
    w.server.conn = NULL;
    world_until(&w, &w.client.down);
    assert_int_equal(w.client.error, ERR_IO);
    world_close(&w);
}

static void test_nothing_follows_a_close_within_an_event(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        w.server.closes_on_data = true;
        w.client.to_send = 1 * MIB;
        world_connect(&w, 0);
        while (w.client.down == 0 && w.client.eof == 0) {
            world_step(&w);
        }
        /* on_end() would find another connection than it expects. */
        assert_null(w.server.conn);
        assert_int_equal(w.server.eof + w.server.down, 0);
        world_close(&w);
    }
}

static void test_an_early_answer_is_read_though_writing_broke(void **state)
{
    struct world w;
    int fd;

    (void)state;
    world_open(&w);
    fd = descriptor(&w);
    while (w.server.conn == NULL) {
        world_step(&w);
    }
    /* The peer answers (the pattern's first byte) and goes with what we sent
     * unread: a reset follows its answer. */
    w.server.to_send = 100;
    end_write(&w.server);
    uv_run(&w.loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(write(fd, "\0", 1), 1);
    assert_int_equal(close(fd), 0);
    w.server.to_send = 100;
    end_write(&w.server);
    conn_flush(w.server.conn);
    assert_true(w.server.conn->is_broken);
    world_until(&w, &w.server.down);
    assert_int_equal(w.server.received, 1);
    world_close(&w);
}

static void test_an_unread_connection_that_breaks_is_down(void **state)
{
    struct world w;
    int fd;

    (void)state;
    world_open(&w);
    w.server.stays_dumb = true;
    fd = descriptor(&w);
    while (w.server.conn == NULL) {
        world_step(&w);
    }
    assert_int_equal(close(fd), 0);
    while (w.server.down == 0) {
        assert_int_equal(conn_write(w.server.conn, span_text("lost")), ERR_OK);
        uv_run(&w.loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(conn_write(w.server.conn, span_text("lost")), ERR_CLOSED);
    world_close(&w);
}

static void test_half_closed_is_half_open(void **state)
{
    struct world w;

    (void)state;
    for (unsigned tls = 0; tls < 2; tls++) {
        world_open(&w);
        if (tls) {
            world_tls(&w);
        }
        w.client.to_send = 10;
        w.client.shuts = true;
        world_connect(&w, 0);
        world_until(&w, &w.server.eof);
        assert_true(w.server.is_clean);
        assert_int_equal(conn_write(w.client.conn, span_text("late")),
                         ERR_CLOSED);
        w.server.to_send = 1 * MIB;
        w.server.shuts = true;
        end_write(&w.server);
        world_until(&w, &w.client.eof);
        assert_int_equal(w.client.received, 1 * MIB);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_fin_without_close_notify_is_not_clean),
        cmocka_unit_test(test_an_end_in_the_handshake_is_down),
        cmocka_unit_test(test_what_is_no_tls_is_down),
        cmocka_unit_test(test_a_silent_peer_is_down_at_the_deadline),
        cmocka_unit_test(test_a_refused_connection_is_down),
        cmocka_unit_test(test_a_lingering_close_sends_everything),
        cmocka_unit_test(test_an_abort_resets),
        cmocka_unit_test(test_nothing_follows_a_close_within_an_event),
        cmocka_unit_test(test_an_early_answer_is_read_though_writing_broke),
        cmocka_unit_test(test_an_unread_connection_that_breaks_is_down),
        cmocka_unit_test(test_half_closed_is_half_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
