/* Dialling: which addresses, in what order, and how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/dial.h"
#include "common/listener.h"
#include "common/timer.h"
#include "tests/support/slower.h"

#define TEST_US (60 * US_PER_S)

struct phone {
    struct loop loop;
    struct timer *watchdog;
    struct listener *listener; /* answers, with TLS when asked to */
    struct tls_context *server_tls, *client_tls;
    struct dial *dial;
    struct conn *served;
    struct conn *conn;
    unsigned calls;
    enum err error;
    char why[200];
    bool timed_out;
};

static void on_served(struct conn *c, enum conn_event event, void *owner)
{
    struct phone *p = owner;

    if (event == CONN_DATA && conn_tls(c) == NULL) {
        assert_int_equal(conn_start_tls(c, p->server_tls, span_text("dial")),
                         ERR_OK);
    }
}

static void on_ring(int fd, void *owner)
{
    struct phone *p = owner;
    struct conn_options o = { .on_event = on_served, .owner = p };

    assert_null(p->served);
    assert_int_equal(conn_adopt(&p->loop, fd, &o, &p->served), ERR_OK);
}

static void on_conn(struct conn *c, enum conn_event event, void *owner)
{
    (void)c;
    (void)event;
    (void)owner;
}

static void on_done(struct conn *c, enum err error, const char *why,
                    void *owner)
{
    struct phone *p = owner;

    p->calls++;
    p->dial = NULL;
    p->conn = c;
    p->error = error;
    snprintf(p->why, sizeof(p->why), "%s", why);
    if (c != NULL) {
        conn_set_owner(c, on_conn, NULL);
    }
}

static void on_watchdog(void *owner)
{
    struct phone *p = owner;

    p->timed_out = true;
}

static void phone_open(struct phone *p)
{
    *p = (struct phone){ .calls = 0 };
    assert_int_equal(loop_open(&p->loop), ERR_OK);
    assert_int_equal(tls_context_link_server(&p->server_tls), ERR_OK);
    assert_int_equal(tls_context_link_client(&p->client_tls), ERR_OK);
    p->watchdog = timer_new(&p->loop, on_watchdog, p);
    timer_set(p->watchdog, p->loop.now_us + TEST_US * slower_times());
}

/* Listen on |at|; the port, 0 when that address cannot be had. */
static uint16_t phone_listen(struct phone *p, const char *at)
{
    struct sockaddr_storage a;
    struct visitor_address v;
    const char *why;

    assert_int_equal(address_parse(at, &a), ERR_OK);
    if (listener_open(&p->loop, (struct sockaddr *)&a, on_ring, p, &p->listener,
                      &why) != ERR_OK) {
        p->listener = NULL;
        return 0;
    }
    listener_name(p->listener, &a);
    address_to_visitor(&a, &v);
    return v.port;
}

static void phone_dial(struct phone *p, const char *host, uint16_t port,
                       uint64_t deadline_us)
{
    struct dial_options o = { .host = host,
                              .port = port,
                              .tls = p->client_tls,
                              .deadline_us = deadline_us,
                              .on_done = on_done,
                              .owner = p };

    assert_int_equal(dial_start(&p->loop, &o, &p->dial), ERR_OK);
    assert_int_equal(p->calls, 0);
}

static void phone_wait(struct phone *p)
{
    while (p->calls == 0 && !p->timed_out) {
        uv_run(&p->loop.uv, UV_RUN_ONCE);
    }
    assert_int_equal(p->calls, 1);
}

static void phone_close(struct phone *p)
{
    conn_close(p->conn, 0);
    conn_close(p->served, 0);
    dial_cancel(p->dial);
    listener_close(p->listener);
    timer_close(p->watchdog);
    loop_close(&p->loop);
    tls_context_free(p->server_tls);
    tls_context_free(p->client_tls);
    assert_true(p->calls <= 1);
}

static void test_addresses_and_local_names_need_no_resolver(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "localhost",
                                         "demo.LOCALHOST" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct phone p;

        phone_open(&p);
        phone_dial(&p, hosts[i], phone_listen(&p, "127.0.0.1:0"), TEST_US);
        phone_wait(&p);
        assert_int_equal(p.error, ERR_OK);
        assert_non_null(p.conn);
        phone_close(&p);
    }
}

/* How long it takes to dial |host| where only ::1 listens; 0: nothing does. */
static uint64_t dial_us(const char *host)
{
    struct phone p;
    uint16_t port;
    uint64_t begun;
    uint64_t took = 0;

    phone_open(&p);
    port = phone_listen(&p, "[::1]:0");
    if (port != 0) {
        begun = loop_now(&p.loop);
        phone_dial(&p, host, port, TEST_US);
        phone_wait(&p);
        assert_int_equal(p.error, ERR_OK);
        took = loop_now(&p.loop) - begun;
    }
    phone_close(&p);
    return took;
}

static void test_a_refusal_goes_on_to_the_next_address(void **state)
{
    uint64_t straight = UINT64_MAX;
    uint64_t refused = UINT64_MAX;

    (void)state;
    /* At once, not after the 250 ms that silence gets. The fastest of some
     * dials each, because other programs run as well. */
    for (unsigned i = 0;
         i < 10 && (i == 0 || refused >= straight + 200 * US_PER_MS); i++) {
        uint64_t one = dial_us("::1");
        uint64_t two = one == 0 ? 0 : dial_us("localhost");

        if (one == 0) {
            skip();
        }
        straight = one < straight ? one : straight;
        refused = two < refused ? two : refused;
    }
    assert_true(refused < straight + 200 * US_PER_MS);
}

/* A socket on 127.0.0.1 that takes connections and says nothing. */
static int mute(uint16_t *port)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void test_silence_goes_on_to_the_next_address(void **state)
{
    struct phone p;
    char at[ADDRESS_TEXT_MAX];
    uint16_t port;
    int fd = mute(&port);

    (void)state;
    phone_open(&p);
    snprintf(at, sizeof(at), "[::1]:%u", (unsigned)port);
    if (phone_listen(&p, at) == 0) {
        close(fd);
        phone_close(&p);
        skip();
    }
    phone_dial(&p, "localhost", port, TEST_US);
    phone_wait(&p);
    assert_int_equal(p.error, ERR_OK);
    close(fd);
    phone_close(&p);
}

static void test_the_first_reason_is_told(void **state)
{
    struct phone p;
    uint16_t port;

    (void)state;
    phone_open(&p);
    port = phone_listen(&p, "127.0.0.1:0");
    listener_close(p.listener);
    p.listener = NULL;
    uv_run(&p.loop.uv, UV_RUN_NOWAIT);
    phone_dial(&p, "localhost", port, TEST_US);
    phone_wait(&p);
    assert_null(p.conn);
    assert_int_equal(p.error, ERR_IO);
    assert_string_equal(p.why, "connection refused");
    phone_close(&p);
}

static void test_the_deadline_holds(void **state)
{
    struct phone p;
    uint16_t port;
    int fd = mute(&port);

    (void)state;
    phone_open(&p);
    phone_dial(&p, "127.0.0.1", port, 50 * US_PER_MS);
    phone_wait(&p);
    assert_null(p.conn);
    assert_int_equal(p.error, ERR_TIMEOUT);
    close(fd);
    phone_close(&p);
}

static void test_what_cannot_be_resolved_is_told(void **state)
{
    struct phone p;
    char longest[300];

    (void)state;
    phone_open(&p);
    phone_dial(&p, "no such host", 1, TEST_US);
    phone_wait(&p);
    assert_int_equal(p.error, ERR_RESOLVE);
    phone_close(&p);

    memset(longest, 'a', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    phone_open(&p);
    phone_dial(&p, longest, 1, TEST_US);
    phone_wait(&p);
    assert_int_equal(p.error, ERR_RESOLVE);
    assert_string_equal(p.why, "no host name, or one that is too long");
    phone_close(&p);
}

static void test_nothing_follows_a_cancel(void **state)
{
    static const char *const hosts[] = { "127.0.0.1", "no such host" };
    struct phone p;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (unsigned rounds = 0; rounds < 3; rounds++) {
            phone_open(&p);
            phone_dial(&p, hosts[i], phone_listen(&p, "127.0.0.1:0"), TEST_US);
            for (unsigned r = 0; r < rounds && p.calls == 0; r++) {
                uv_run(&p.loop.uv, UV_RUN_NOWAIT);
            }
            if (p.calls == 0) {
                dial_cancel(p.dial);
                p.dial = NULL;
                uv_run(&p.loop.uv, UV_RUN_NOWAIT);
                assert_int_equal(p.calls, 0);
            }
            phone_close(&p);
        }
    }
    dial_cancel(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_and_local_names_need_no_resolver),
        cmocka_unit_test(test_a_refusal_goes_on_to_the_next_address),
        cmocka_unit_test(test_silence_goes_on_to_the_next_address),
        cmocka_unit_test(test_the_first_reason_is_told),
        cmocka_unit_test(test_the_deadline_holds),
        cmocka_unit_test(test_what_cannot_be_resolved_is_told),
        cmocka_unit_test(test_nothing_follows_a_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
