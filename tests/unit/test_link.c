/* Two real sessions over a real TLS link on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "common/dial.h"
#include "common/link.h"
#include "common/listener.h"
#include "common/timer.h"
#include "tests/support/slower.h"

#define TEST_US (60 * US_PER_S)
#define TUNNEL 1u

struct side {
    struct world *world;
    struct conn *conn; /* until the link has it */
    struct link *link;
    struct session *session;
    struct pool receive, sent;
    uint32_t stream;
    unsigned events, ends, fins, pressed, suspects;
    enum err reset, goaway;
    enum link_end how;
    enum err error;
    uint64_t received, to_send, written;
    bool closes_on_data; /* and frees the session, from within */
    bool adopts_late;    /* only when bytes lie unread */
    bool is_deaf;        /* consumes nothing */
};

struct world {
    struct loop loop;
    struct listener *listener;
    struct dial *dial;
    struct timer *watchdog;
    struct tls_context *server_tls, *client_tls;
    struct side relay, client;
    bool timed_out;
};

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 37 + (at >> 9));
}

static void side_write(struct side *s)
{
    size_t room;

    while (s->to_send > 0 && (room = session_room(s->session, s->stream)) > 0) {
        size_t len = room < FRAME_PAYLOAD_MAX ? room : FRAME_PAYLOAD_MAX;
        struct chunk *c;

        len = s->to_send < len ? (size_t)s->to_send : len;
        c = chunk_new(len);
        for (size_t i = 0; i < len; i++) {
            chunk_tail(c)[i] = pattern(s->written + i);
        }
        chunk_grow(c, len);
        assert_int_equal(session_write_take(s->session, s->stream, c), ERR_OK);
        s->written += len;
        s->to_send -= len;
        if (s->to_send == 0) {
            assert_int_equal(session_write_fin(s->session, s->stream), ERR_OK);
        }
    }
    link_wake(s->link);
}

static void side_data(struct side *s, const struct session_event *event)
{
    for (size_t i = 0; i < event->bytes.len; i++) {
        assert_int_equal(event->bytes.data[i], pattern(s->received + i));
    }
    s->received += event->bytes.len;
    s->fins += event->fin;
    if (s->closes_on_data) {
        link_close(s->link, 0);
        s->link = NULL;
        session_free(s->session);
        s->session = NULL;
        return;
    }
    if (!s->is_deaf) {
        session_consumed(s->session, event->stream, event->bytes.len);
    }
}

static void on_event(void *owner, const struct session_event *event)
{
    struct side *s = owner;

    s->events++;
    if (event->kind == EVENT_OPEN) {
        s->stream = event->stream;
        session_set_owner(s->session, s->stream, s);
        assert_int_equal(session_write_head(s->session, s->stream, HEAD_FINAL,
                                            span_text("head"), false),
                         ERR_OK);
        side_write(s);
    } else if (event->kind == EVENT_DATA) {
        side_data(s, event);
    } else if (event->kind == EVENT_RESET) {
        s->reset = event->code;
    } else if (event->kind == EVENT_GOAWAY) {
        s->goaway = event->code;
    }
}

static void on_writable(void *owner, void *stream_owner, uint32_t stream)
{
    struct side *s = owner;

    assert_ptr_equal(stream_owner, s);
    assert_int_equal(stream, s->stream);
    side_write(s);
}

static void on_end(void *owner, enum link_end how, enum err error,
                   const char *why)
{
    struct side *s = owner;

    assert_non_null(why);
    s->ends++;
    s->how = how;
    s->error = error;
    link_close(s->link, 0);
    s->link = NULL;
}

static void on_pressure(void *owner)
{
    struct side *s = owner;
    struct session_shed shed;

    s->pressed++;
    assert_true(session_shed_find(s->session, SHED_LARGEST,
                                  s->world->loop.now_us, &shed));
    assert_ptr_equal(shed.owner, s);
    session_reset(s->session, shed.stream, ERR_LIMIT);
}

static void on_suspect(void *owner)
{
    struct side *s = owner;

    s->suspects++;
}

static void side_adopt(struct side *s)
{
    struct link_handler h = { .on_event = on_event,
                              .on_writable = on_writable,
                              .on_end = on_end,
                              .on_pressure = on_pressure,
                              .on_suspect = on_suspect,
                              .owner = s };

    session_link_up(s->session, 0, s->world->loop.now_us);
    s->link = link_open_adopt(s->conn, s->session, 0, &h);
    assert_non_null(s->link);
    assert_ptr_equal(link_conn(s->link), s->conn);
    s->conn = NULL;
}

static void on_relay_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct side *s = owner;

    assert_true(event == CONN_DATA || event == CONN_UP);
    if (event == CONN_UP) {
        side_adopt(s);
        return;
    }
    assert_int_equal(conn_start_tls(c, s->world->server_tls, span_text("link")),
                     ERR_OK);
}

static void on_waiting(int fd, void *owner)
{
    struct world *w = owner;
    struct conn_options o = { .on_event = on_relay_conn, .owner = &w->relay };

    assert_int_equal(conn_adopt(&w->loop, fd, &o, &w->relay.conn), ERR_OK);
}

/* The client's end as long as no link has it: what comes stays unread. */
static void on_client_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct side *s = owner;

    if (event == CONN_SENT) {
        return; /* the handshake's last bytes */
    }
    assert_int_equal(event, CONN_DATA);
    assert_true(conn_input(c).len > 0);
    side_adopt(s);
}

static void on_dialled(struct conn *c, enum err error, const char *why,
                       void *owner)
{
    struct world *w = owner;

    assert_int_equal(error, ERR_OK);
    assert_non_null(why);
    w->dial = NULL;
    w->client.conn = c;
    conn_set_owner(c, on_client_conn, &w->client);
    if (!w->client.adopts_late) {
        side_adopt(&w->client);
    }
}

static void on_watchdog(void *owner)
{
    struct world *w = owner;

    w->timed_out = true;
}

static void side_open(struct world *w, struct side *s, enum session_role role)
{
    struct session_limits limits = { .window_first = WINDOW_FIRST,
                                     .streams_max = STREAMS_MAX_DEFAULT,
                                     .tunnels_max = TUNNELS_MAX,
                                     .grace_s = 45 };
    struct session_options o = { .role = role,
                                 .own = limits,
                                 .peer = limits,
                                 .receive_pool = &s->receive,
                                 .sent_pool = &s->sent,
                                 .receive_max = RECEIVE_POOL_SESSION };

    s->world = w;
    pool_init(&s->receive, NULL, RECEIVE_POOL_SESSION);
    pool_init(&s->sent, NULL, SENT_LOG_RELAY);
    s->session = session_new(&o, w->loop.now_us);
    assert_non_null(s->session);
}

static void world_open(struct world *w)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    const char *why;

    *w = (struct world){ .timed_out = false };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(loop_open(&w->loop), ERR_OK);
    assert_int_equal(listener_open(&w->loop, (struct sockaddr *)&at, on_waiting,
                                   w, &w->listener, &why),
                     ERR_OK);
    assert_int_equal(tls_context_link_server(&w->server_tls), ERR_OK);
    assert_int_equal(tls_context_link_client(&w->client_tls), ERR_OK);
    side_open(w, &w->relay, SESSION_RELAY);
    side_open(w, &w->client, SESSION_CLIENT);
    w->watchdog = timer_new(&w->loop, on_watchdog, w);
    timer_set(w->watchdog, w->loop.now_us + TEST_US * slower_times());
}

static void world_step(struct world *w)
{
    uv_run(&w->loop.uv, UV_RUN_ONCE);
    assert_false(w->timed_out);
}

static void world_dial(struct world *w)
{
    struct sockaddr_storage at;
    struct dial_options o = { .host = "relay.localhost",
                              .tls = w->client_tls,
                              .deadline_us = TEST_US,
                              .on_done = on_dialled,
                              .owner = w };

    listener_name(w->listener, &at);
    o.port = ntohs(((struct sockaddr_in *)&at)->sin_port);
    assert_int_equal(dial_start(&w->loop, &o, &w->dial), ERR_OK);
}

/* The client binds, the relay opens a stream on it. */
static void world_stream(struct world *w)
{
    struct frame_bind bind = { .tunnel = TUNNEL };
    struct frame_open open = { .tunnel = TUNNEL,
                               .window = WINDOW_FIRST,
                               .kind = STREAM_HTTP,
                               .visitor_conn = 1,
                               .address = { .family = 4 },
                               .http_version = 11 };

    assert_int_equal(session_bind(w->client.session, &bind), ERR_OK);
    if (w->client.link != NULL) {
        link_wake(w->client.link);
    }
    while (w->relay.events == 0) {
        world_step(w);
    }
    assert_int_equal(session_open(w->relay.session, 0, &open, span_text("head"),
                                  false, &w->relay.stream),
                     ERR_OK);
    session_set_owner(w->relay.session, w->relay.stream, &w->relay);
    link_wake(w->relay.link);
}

static void side_close(struct side *s)
{
    link_close(s->link, 0);
    conn_close(s->conn, 0);
    session_free(s->session);
    assert_int_equal(s->receive.used, 0);
    assert_int_equal(s->sent.used, 0);
}

static void world_close(struct world *w)
{
    dial_cancel(w->dial);
    side_close(&w->relay);
    side_close(&w->client);
    listener_close(w->listener);
    timer_close(w->watchdog);
    loop_close(&w->loop);
    tls_context_free(w->server_tls);
    tls_context_free(w->client_tls);
}

static void test_a_stream_crosses_whole_in_both_directions(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.relay.to_send = slower_mib(8) + 5;
    w.client.to_send = slower_mib(12) + 1;
    world_dial(&w);
    world_stream(&w);
    side_write(&w.relay);
    while (w.relay.fins == 0 || w.client.fins == 0) {
        world_step(&w);
    }
    assert_int_equal(w.client.received, slower_mib(8) + 5);
    assert_int_equal(w.relay.received, slower_mib(12) + 1);
    assert_int_equal(w.relay.ends + w.client.ends, 0);
    world_close(&w);
}

static void test_what_lay_unread_is_fed_first(void **state)
{
    struct frame_bind bind = { .tunnel = TUNNEL };
    struct world w;

    (void)state;
    world_open(&w);
    /* The client takes its link only when the relay's bytes are there. */
    w.client.adopts_late = true;
    assert_int_equal(session_bind(w.client.session, &bind), ERR_OK);
    world_dial(&w);
    while (w.relay.link == NULL) {
        world_step(&w);
    }
    session_probe(w.relay.session, 0, w.loop.now_us);
    link_wake(w.relay.link);
    while (w.client.link == NULL || w.relay.events == 0) {
        world_step(&w);
    }
    /* PONG came back, and so the bind did. */
    assert_int_equal(w.relay.ends, 0);
    world_close(&w);
}

static void test_closing_within_an_event_is_the_end(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.relay.to_send = slower_mib(1);
    w.client.closes_on_data = true;
    world_dial(&w);
    world_stream(&w);
    side_write(&w.relay);
    while (w.relay.ends == 0) {
        world_step(&w);
    }
    assert_int_equal(w.relay.how, LINK_LOST);
    assert_int_equal(w.client.ends, 0);
    assert_true(w.client.received <= FRAME_PAYLOAD_MAX);
    assert_false(session_has_link(w.relay.session, 0));
    world_close(&w);
}

static void test_a_bad_frame_fails_the_link(void **state)
{
    static const uint8_t bad[] = { 0, 0, 0, 0, 0, 0, 0x7f, 0 };
    struct world w;

    (void)state;
    world_open(&w);
    world_dial(&w);
    while (w.relay.link == NULL || w.client.link == NULL) {
        world_step(&w);
    }
    assert_int_equal(conn_write(link_conn(w.client.link), span_of(bad, 8)),
                     ERR_OK);
    while (w.relay.ends == 0 || w.client.ends == 0) {
        world_step(&w);
    }
    assert_int_equal(w.relay.how, LINK_FAILED);
    assert_int_equal(w.relay.error, ERR_PROTOCOL);
    assert_int_equal(w.client.how, LINK_LOST);
    /* The last thing the peer hears is why. */
    assert_int_equal(w.client.goaway, ERR_PROTOCOL);
    world_close(&w);
}

static void test_a_full_pool_is_told_at_once(void **state)
{
    struct world w;

    (void)state;
    world_open(&w);
    w.client.receive.max = 100 * KIB;
    w.client.is_deaf = true;
    w.relay.to_send = slower_mib(1);
    world_dial(&w);
    world_stream(&w);
    side_write(&w.relay);
    while (w.relay.reset == ERR_OK) {
        world_step(&w);
    }
    assert_int_equal(w.relay.reset, ERR_LIMIT);
    assert_int_equal(w.client.pressed, 1);
    assert_int_equal(w.client.receive.used, 0);
    assert_true(w.client.received < 100 * KIB + FRAME_PAYLOAD_MAX);
    assert_int_equal(w.relay.ends + w.client.ends, 0);
    world_close(&w);
}

static void test_a_doubt_is_told_by_whatever_flushes_first(void **state)
{
    struct world w;
    uint64_t now_us;

    (void)state;
    world_open(&w);
    world_dial(&w);
    while (w.relay.link == NULL || w.client.link == NULL) {
        world_step(&w);
    }
    /* It was asked a while ago, and a flush comes before the timer does. */
    now_us = loop_now(&w.loop);
    session_probe(w.client.session, 0, now_us - PING_ANSWER_US / 2);
    link_wake(w.client.link);
    while (session_is_asked(w.client.session, 0)) {
        world_step(&w);
    }
    assert_int_equal(w.client.suspects, 1);
    link_wake(w.client.link);
    world_step(&w);
    assert_int_equal(w.client.suspects, 1);
    assert_int_equal(w.relay.suspects, 0);
    assert_int_equal(w.client.ends, 0);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_stream_crosses_whole_in_both_directions),
        cmocka_unit_test(test_what_lay_unread_is_fed_first),
        cmocka_unit_test(test_closing_within_an_event_is_the_end),
        cmocka_unit_test(test_a_bad_frame_fails_the_link),
        cmocka_unit_test(test_a_full_pool_is_told_at_once),
        cmocka_unit_test(test_a_doubt_is_told_by_whatever_flushes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
