/* A session whose link is lost: how long it is kept, and who may wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conn.h"
#include "common/log.h"
#include "relay/client_session.h"
#include "relay/exchange.h"
#include "relay/names.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

#define TURNS_MAX 100000u

struct house {
    struct relay_settings settings;
    struct worker worker;
    int client; /* our end of the link */
};

static struct house house;

static void on_conn(struct conn *c, enum conn_event event, void *owner)
{
    (void)c;
    (void)event;
    (void)owner;
    fail();
}

/* A connection whose other end is |*client|. */
static struct conn *connect_to(struct house *h, int *client)
{
    struct conn_options o = { .on_event = on_conn };
    struct conn *c = NULL;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(conn_adopt(&h->worker.loop, fds[0], &o, &c), ERR_OK);
    *client = fds[1];
    return c;
}

/* A session with one name. */
static int begin(void **state)
{
    static const uint8_t key[KEY_LEN], id[SESSION_ID_LEN];
    struct client_session_start start = {
        .key = key,
        .id = id,
        .own = { WINDOW_FIRST, STREAMS_MAX_DEFAULT, TUNNELS_MAX, 45 },
        .peer = { WINDOW_FIRST, STREAMS_MAX_DEFAULT, TUNNELS_MAX, 45 },
        .epoch = 1,
    };
    struct house *h = &house;
    struct client_session *s;

    *h = (struct house){ .settings = { .names_max = TUNNELS_MAX,
                                       .wait_us = US_PER_S,
                                       .grace_us = 50 * US_PER_MS } };
    h->worker.settings = &h->settings;
    h->worker.names = names_new();
    log_set_level(LOG_WARN);
    pool_init(&h->worker.receive_pool, NULL, RECEIVE_POOL_SESSION);
    pool_init(&h->worker.sent_pool, NULL, SENT_LOG_RELAY);
    if (h->worker.names == NULL || loop_open(&h->worker.loop) != ERR_OK ||
        client_session_start(&h->worker, connect_to(h, &h->client), &start) !=
            ERR_OK) {
        return -1;
    }
    s = h->worker.sessions;
    s->tunnels[0] = (struct tunnel){ .id = 1, .label = "demo" };
    s->tunnel_count = 1;
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
    names_free(h->worker.names);
    assert_int_equal(h->worker.receive_pool.used, 0);
    assert_int_equal(h->worker.sent_pool.used, 0);
    return 0;
}

/* Our end goes without a word. */
static struct client_session *lose(struct house *h)
{
    struct client_session *s = h->worker.sessions;

    assert_int_equal(shutdown(h->client, SHUT_RDWR), 0);
    for (unsigned i = 0; i < TURNS_MAX && s->carrier.links[0] != NULL; i++) {
        uv_run(&h->worker.loop.uv, UV_RUN_NOWAIT);
        if (h->worker.sessions == NULL) {
            return NULL;
        }
    }
    assert_null(s->carrier.links[0]);
    assert_true(s->parked.is_on);
    return s;
}

static void test_a_session_is_kept_until_the_grace_is_over(void **state)
{
    struct house *h = *state;
    uint64_t from_us = loop_now(&h->worker.loop);

    assert_ptr_equal(lose(h), h->worker.sessions);
    while (h->worker.sessions != NULL) {
        uv_run(&h->worker.loop.uv, UV_RUN_ONCE);
    }
    assert_true(loop_now(&h->worker.loop) - from_us >= h->settings.grace_us);
}

static void test_without_a_grace_nothing_is_kept(void **state)
{
    struct house *h = *state;

    h->settings.grace_us = 0;
    assert_null(lose(h));
}

static void test_who_has_nothing_here_is_not_waited_for(void **state)
{
    struct house *h = *state;

    h->worker.sessions->tunnel_count = 0;
    assert_null(lose(h));
}

static void test_only_its_own_client_finds_a_session(void **state)
{
    static const uint8_t other[KEY_LEN] = { 1 };
    struct house *h = *state;
    struct client_session *s = lose(h);
    const uint8_t *id = session_id(s->carrier.session);

    assert_ptr_equal(client_session_resumable(&h->worker, id, s->key), s);
    assert_null(client_session_resumable(&h->worker, id, other));
    assert_null(client_session_resumable(&h->worker, other, s->key));
}

static void test_a_newer_login_takes_the_links_place(void **state)
{
    struct house *h = *state;
    struct client_session *s = h->worker.sessions;
    struct sockaddr_storage peer = { 0 };
    struct link *before = s->carrier.links[0];
    int client;

    client_session_fence(s, 2, &peer);
    assert_null(s->carrier.links[0]);
    assert_true(s->parked.is_on);
    assert_int_equal(client_session_resume(s, connect_to(h, &client), 0),
                     ERR_OK);
    assert_false(s->parked.is_on);
    assert_ptr_not_equal(s->carrier.links[0], before);
    assert_int_equal(session_judge(s->carrier.session, 0, 2, 0), CLAIM_STALE);
    (void)close(h->client);
    h->client = client;
}

static void test_as_many_as_may_wait_for_a_name_do(void **state)
{
    static struct exchange waiting[AWAY_REQUESTS_MAX];
    struct house *h = *state;
    struct client_session *s = h->worker.sessions;

    assert_true(parked_may_wait(s, 1, AWAY_REQUESTS_BYTES + 1));
    s = lose(h);
    assert_true(parked_may_wait(s, 1, AWAY_REQUESTS_BYTES));
    assert_false(parked_may_wait(s, 1, AWAY_REQUESTS_BYTES + 1));
    for (unsigned i = 0; i < AWAY_REQUESTS_MAX; i++) {
        assert_true(parked_may_wait(s, 1, 1));
        waiting[i] = (struct exchange){ .next = s->exchanges,
                                        .tunnel = 1,
                                        .worker = &h->worker };
        s->exchanges = &waiting[i];
        parked_wait(s, &waiting[i]);
    }
    assert_false(parked_may_wait(s, 1, 1));
    assert_true(parked_may_wait(s, 2, 1));
    parked_end(s);
    assert_false(waiting[0].is_waiting);
    s->exchanges = NULL;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_session_is_kept_until_the_grace_is_over),
        CASE(test_without_a_grace_nothing_is_kept),
        CASE(test_who_has_nothing_here_is_not_waited_for),
        CASE(test_only_its_own_client_finds_a_session),
        CASE(test_a_newer_login_takes_the_links_place),
        CASE(test_as_many_as_may_wait_for_a_name_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
