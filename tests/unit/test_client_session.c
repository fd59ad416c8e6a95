/* The relay's end of a session, its client a raw socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conn.h"
#include "common/log.h"
#include "proto/frame.h"
#include "relay/client_session.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

#define TURNS_MAX 100000u
#define ANSWERS_MAX 100000u /* far more than wait for a peer */
#define STREAMS 16u

struct house {
    struct worker worker;
    int client; /* our end of the link */
    uint8_t frame[64];
    size_t frame_len;
};

static struct house house;
static const struct relay_settings settings = { .names_max = TUNNELS_MAX };

static void on_conn(struct conn *c, enum conn_event event, void *owner)
{
    (void)c;
    (void)event;
    (void)owner;
    fail();
}

static int begin(void **state)
{
    static const uint8_t key[KEY_LEN], id[SESSION_ID_LEN];
    struct client_session_start start = {
        .key = key,
        .id = id,
        .own = { WINDOW_FIRST, STREAMS, TUNNELS_MAX, 45 },
        .peer = { WINDOW_FIRST, STREAMS, TUNNELS_MAX, 45 },
    };
    struct house *h = &house;
    struct conn_options o = { .on_event = on_conn };
    struct conn *c;
    int fds[2];

    *h = (struct house){ .worker = { .settings = &settings } };
    log_set_level(LOG_WARN);
    pool_init(&h->worker.receive_pool, NULL, RECEIVE_POOL_SESSION);
    pool_init(&h->worker.sent_pool, NULL, SENT_LOG_RELAY);
    if (loop_open(&h->worker.loop) != ERR_OK ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 ||
        conn_adopt(&h->worker.loop, fds[0], &o, &c) != ERR_OK ||
        client_session_start(&h->worker, c, &start) != ERR_OK) {
        return -1;
    }
    h->client = fds[1];
    *state = h;
    return 0;
}

static int end(void **state)
{
    struct house *h = *state;

    (void)close(h->client);
    while (h->worker.sessions != NULL) {
        client_session_end(h->worker.sessions, ERR_SHUTDOWN, "the test ends");
    }
    loop_close(&h->worker.loop);
    assert_int_equal(h->worker.receive_pool.used, 0);
    assert_int_equal(h->worker.sent_pool.used, 0);
    return 0;
}

/* BIND of a name that nobody may have. */
static void make_bind(struct house *h)
{
    struct frame_bind bind = { .tunnel = 1, .name = span_text("www") };
    struct frame_header header = { .type = FRAME_BIND };
    struct wire_writer w;

    wire_writer_init(&w, h->frame + FRAME_HEADER_LEN,
                     sizeof(h->frame) - FRAME_HEADER_LEN);
    frame_put_bind(&w, &bind);
    assert_true(wire_writer_done(&w));
    header.len = (uint16_t)w.len;
    frame_header_put(h->frame, &header);
    h->frame_len = FRAME_HEADER_LEN + w.len;
}

/* Send as much of endless BINDs as the kernel takes now. */
static void send_binds(struct house *h, size_t *sent)
{
    ssize_t n;

    do {
        n = send(h->client, h->frame + *sent, h->frame_len - *sent,
                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            *sent = (*sent + (size_t)n) % h->frame_len;
        }
    } while (n > 0);
}

static void test_a_client_that_binds_without_end_loses_its_session(void **state)
{
    struct house *h = *state;
    size_t sent = 0;
    unsigned turns = 0;

    make_bind(h);
    while (h->worker.sessions != NULL) {
        send_binds(h, &sent);
        uv_run(&h->worker.loop.uv, UV_RUN_NOWAIT);
        assert_true(turns++ < TURNS_MAX);
    }
}

static void test_an_answer_that_finds_no_room_ends_the_session(void **state)
{
    struct house *h = *state;
    struct session *s = h->worker.sessions->carrier.session;
    struct frame_verdict verdict = { .tunnel = 2,
                                     .code = ERR_LIMIT,
                                     .sentence = span_text("full") };
    enum err e = ERR_OK;

    make_bind(h);
    /* What the link says at its start leaves first. */
    uv_run(&h->worker.loop.uv, UV_RUN_NOWAIT);
    uv_run(&h->worker.loop.uv, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < ANSWERS_MAX && e == ERR_OK; i++) {
        e = session_refuse(s, &verdict);
    }
    assert_int_equal(e, ERR_LIMIT);
    assert_int_equal(send(h->client, h->frame, h->frame_len, 0), h->frame_len);
    for (unsigned i = 0; i < TURNS_MAX && h->worker.sessions != NULL; i++) {
        uv_run(&h->worker.loop.uv, UV_RUN_NOWAIT);
    }
    assert_null(h->worker.sessions);
}

static void test_a_session_that_ends_gives_all_back(void **state)
{
    struct house *h = *state;

    make_bind(h);
    assert_int_equal(send(h->client, h->frame, h->frame_len, 0), h->frame_len);
    while (h->worker.sent_pool.used == 0) {
        uv_run(&h->worker.loop.uv, UV_RUN_NOWAIT);
    }
    assert_non_null(h->worker.sessions);
    client_session_end(h->worker.sessions, ERR_REVOKED, "the test says so");
    assert_null(h->worker.sessions);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_client_that_binds_without_end_loses_its_session),
        CASE(test_an_answer_that_finds_no_room_ends_the_session),
        CASE(test_a_session_that_ends_gives_all_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
