/*
 * A visitor and a service joined by two splices over two sessions: what each
 * gets, who waits for whom, and how every kind of end is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/splice_world.h"

#define GET "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"
#define GOT_GET "GET /a HTTP/1.1\r\nhost: a.test\r\n\r\n"
#define UPGRADE                                                                \
    "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\n"              \
    "Upgrade: websocket\r\n\r\n"
#define SWITCHING                                                              \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"              \
    "Upgrade: websocket\r\n\r\n"

static struct splice_world world;

static int open_world(void **state)
{
    *state = &world;
    splice_world_open(&world);
    return 0;
}

static int close_world(void **state)
{
    splice_world_close(*state);
    return 0;
}

static void assert_got(const struct splice_peer *p, const char *text)
{
    assert_string_equal(p->got, text);
}

static size_t text_len(const char *text)
{
    return strlen(text);
}

/* |len| bytes that differ from place to place; freed by the caller. */
static char *pattern(size_t len)
{
    char *bytes = malloc(len);

    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)('a' + (i ^ (i >> 8) ^ (i >> 16)) % 23);
    }
    return bytes;
}

static void test_a_request_and_its_answer(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, GET);
    splice_world_until(w, &w->local.out_end);
    splice_world_until_got(w, &w->service, text_len(GOT_GET));
    assert_got(&w->service, GOT_GET);
    splice_world_say(&w->service,
                     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    splice_world_until(w, &w->edge.out_end);
    splice_world_settle(w);
    assert_got(&w->visitor,
               "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    assert_int_equal(w->edge.in_end, 1);
    assert_int_equal(w->local.in_end, 1);
    assert_int_equal(splice_bytes_out(w->edge.splice), 5);
    assert_int_equal(splice_bytes_in(w->local.splice), 5);
    assert_false(session_has_stream(w->pair.relay.session, w->edge.stream));
}

static void test_informational_heads_and_trailers_pass(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, "POST / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n"
                                  "2;x=y\r\nhi\r\n0\r\nX-Up: 1\r\n\r\n");
    splice_world_until(w, &w->local.out_end);
    splice_world_say(&w->service, "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                                  "HTTP/1.1 200 OK\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\n0\r\nX-Down: 2\r\n\r\n");
    splice_world_until(w, &w->edge.out_end);
    splice_world_settle(w);
    assert_got(&w->service, "POST / HTTP/1.1\r\nhost: a.test\r\n"
                            "transfer-encoding: chunked\r\n\r\n"
                            "2\r\nhi\r\n0\r\nx-up: 1\r\n\r\n");
    assert_got(&w->visitor, "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"
                            "HTTP/1.1 200 OK\r\n"
                            "transfer-encoding: chunked\r\n\r\n"
                            "3\r\nabc\r\n0\r\nx-down: 2\r\n\r\n");
}

static void test_a_long_upload_arrives_whole(void **state)
{
    struct splice_world *w = *state;
    size_t len = 5 * MIB + 7;
    char *bytes = pattern(len);
    const char *head = "PUT / HTTP/1.1\r\nHost: a.test\r\n"
                       "Content-Length: 5242887\r\n\r\n";

    splice_world_say(&w->visitor, head);
    splice_world_until_got(w, &w->service, 10);
    splice_world_send(&w->visitor, bytes, len);
    splice_world_until(w, &w->local.out_end);
    splice_world_settle(w);
    assert_memory_equal(w->service.got + w->service.got_len - len, bytes, len);
    assert_int_equal(splice_bytes_in(w->edge.splice), len);
    assert_int_equal(splice_bytes_out(w->local.splice), len);
    free(bytes);
}

static void test_a_deaf_visitor_holds_the_service_back(void **state)
{
    struct splice_world *w = *state;
    size_t len = 24 * MIB;
    char *bytes = pattern(len);
    const char *head = "HTTP/1.1 200 OK\r\n\r\n";

    w->visitor.is_deaf = true;
    splice_world_say(&w->visitor, GET);
    splice_world_until(w, &w->local.out_end);
    splice_world_say(&w->service, head);
    splice_world_settle(w);
    splice_world_send(&w->service, bytes, len);
    splice_world_settle(w);
    assert_true(w->service.to_send_len > 12 * MIB);
    assert_true(w->pair.relay.receive.used <= 4 * WINDOW_FIRST);

    w->visitor.is_deaf = false;
    splice_world_settle(w);
    assert_int_equal(w->service.to_send_len, 0);
    assert_int_equal(w->edge.out_end, 0);
    (void)close(w->service.fd);
    w->service.fd = -1;
    splice_world_until(w, &w->edge.out_end);
    splice_world_settle(w);
    assert_true(w->visitor.got_len > len);
    assert_string_equal(w->visitor.got + w->visitor.got_len - 7,
                        "\r\n0\r\n\r\n");
    assert_int_equal(w->pair.relay.receive.used, 0);
    free(bytes);
}

static void test_a_raw_exchange_goes_both_ways_and_ends_by_halves(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, UPGRADE "early");
    splice_world_settle(w);
    assert_null(strstr(w->service.got, "early"));
    splice_world_say(&w->service, SWITCHING "first");
    splice_world_settle(w);
    assert_string_equal(w->service.got + w->service.got_len - 5, "early");
    assert_string_equal(w->visitor.got + w->visitor.got_len - 5, "first");

    (void)shutdown(w->visitor.fd, 1);
    splice_world_until_eof(w, &w->service);
    splice_world_settle(w);
    assert_int_equal(w->edge.raw_end, 0);
    splice_world_say(&w->service, "last");
    splice_world_settle(w);
    assert_string_equal(w->visitor.got + w->visitor.got_len - 4, "last");
    (void)shutdown(w->service.fd, 1);
    splice_world_until(w, &w->edge.raw_end);
    splice_world_until(w, &w->local.raw_end);
    splice_world_until_eof(w, &w->visitor);
    splice_world_settle(w);
    assert_int_equal(w->edge.cut + w->local.cut, 0);
}

static void test_a_refused_upgrade_goes_on_with_the_parser(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, UPGRADE);
    splice_world_settle(w);
    assert_int_equal(w->edge.in_end, 0);
    splice_world_say(&w->service,
                     "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    splice_world_until(w, &w->edge.out_end);
    splice_world_until(w, &w->edge.in_end);
    splice_world_until(w, &w->local.out_end);
    assert_int_equal(w->edge.bad + w->edge.cut, 0);
}

static void test_a_pipelined_request_waits_in_the_conn(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, GET GET);
    splice_world_settle(w);
    assert_got(&w->service, GOT_GET);
    splice_world_say(&w->service, "HTTP/1.1 204 No Content\r\n\r\n");
    splice_world_until(w, &w->edge.out_end);
    splice_world_until(w, &w->local.in_end);
    splice_world_finish(&w->edge);
    splice_world_finish(&w->local);
    conn_resume(w->edge.conn);
    conn_resume(w->local.conn);
    splice_world_until_got(w, &w->service, 2 * text_len(GOT_GET));
    assert_got(&w->service, GOT_GET GOT_GET);
}

static void test_a_visitor_that_leaves_is_noticed(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, GET "GET /b HTTP/1.1\r\n");
    splice_world_settle(w);
    assert_int_equal(w->edge.cut, 0);
    (void)close(w->visitor.fd);
    w->visitor.fd = -1;
    splice_world_until(w, &w->edge.cut);
    splice_world_settle(w);
    assert_int_equal(w->edge.cut, 1);
}

static void test_a_body_cut_short_is_no_end(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, GET);
    splice_world_until(w, &w->local.out_end);
    splice_world_say(&w->service,
                     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    splice_world_settle(w);
    (void)close(w->service.fd);
    w->service.fd = -1;
    splice_world_until(w, &w->local.cut);
    assert_int_equal(w->local.in_end, 0);
}

static void test_a_bad_chunk_is_told_as_bad(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, "POST / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Transfer-Encoding: chunked\r\n\r\nzz\r\n");
    splice_world_until(w, &w->edge.bad);
    assert_int_equal(splice_status(w->edge.splice), 400);
    assert_string_equal(splice_why(w->edge.splice),
                        "a chunk's size is no number");
    splice_world_settle(w);
    assert_null(strstr(w->service.got, "\r\n0\r\n"));
}

/* What a wrong client could do: a body that is not as its head says. */
static void answer_wrongly(struct splice_world *w, const struct head *h,
                           const char *body)
{
    struct session *client = w->pair.client.session;
    uint8_t block[64];
    struct wire_writer out;

    splice_world_say(&w->visitor, GET);
    splice_world_settle(w);
    wire_writer_init(&out, block, sizeof(block));
    head_encode(&out, h);
    assert_int_equal(session_write_head(client, w->local.stream, HEAD_FINAL,
                                        wire_written(&out), false),
                     ERR_OK);
    assert_int_equal(session_write_take(client, w->local.stream,
                                        chunk_copy(span_text(body))),
                     ERR_OK);
    assert_int_equal(session_write_fin(client, w->local.stream), ERR_OK);
    splice_world_until(w, &w->edge.cut);
    splice_world_settle(w);
    assert_int_equal(w->edge.out_end, 0);
    assert_int_equal(w->edge.cut, 1);
}

static const struct head five = { .status = 200,
                                  .framing = BODY_LENGTH,
                                  .body_len = 5 };

static void test_a_body_shorter_than_its_head_is_cut(void **state)
{
    answer_wrongly(*state, &five, "hell");
}

static void test_a_body_longer_than_its_head_is_cut(void **state)
{
    answer_wrongly(*state, &five, "hello!");
}

static void test_after_stop_the_rest_is_dropped_up_to_a_bound(void **state)
{
    struct splice_world *w = *state;
    size_t len = 8 * MIB;
    char *bytes = pattern(len);
    uint64_t before;

    splice_world_say(&w->visitor, "PUT / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Content-Length: 8388608\r\n\r\n");
    splice_world_settle(w);
    session_stop(w->pair.client.session, w->local.stream);
    splice_world_settle(w);
    before = splice_bytes_in(w->edge.splice);
    splice_world_send(&w->visitor, bytes, len);
    splice_world_settle(w);
    assert_int_equal(splice_bytes_in(w->edge.splice), before);
    assert_true(w->visitor.to_send_len > 0);
    assert_int_equal(w->edge.in_end, 0);
    free(bytes);
}

static void test_after_stop_a_short_rest_is_read_to_its_end(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, "PUT / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Content-Length: 5\r\n\r\nhe");
    splice_world_settle(w);
    session_stop(w->pair.client.session, w->local.stream);
    splice_world_settle(w);
    splice_world_say(&w->visitor, "llo");
    splice_world_until(w, &w->edge.in_end);
    splice_world_settle(w);
    assert_int_equal(w->local.out_end, 0);
    assert_true(session_has_stream(w->pair.relay.session, w->edge.stream));
}

static void test_the_stall_clock_stands_while_nobody_waits(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, GET);
    splice_world_settle(w);
    (void)usleep(20000);
    splice_world_settle(w);
    assert_true(splice_moved_us(w->edge.splice) == w->loop.now_us);
}

static void test_the_stall_clock_runs_while_a_body_is_awaited(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, "PUT / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Content-Length: 5\r\n\r\nhe");
    splice_world_settle(w);
    (void)usleep(20000);
    splice_world_settle(w);
    assert_true(splice_moved_us(w->edge.splice) + 15000 < w->loop.now_us);
}

/* "413" and a close, while a long upload is under way. */
static void test_an_early_answer_survives_the_services_close(void **state)
{
    struct splice_world *w = *state;
    size_t len = 8 * MIB;
    char *bytes = pattern(len);
    const char *answer = "HTTP/1.1 413 Content Too Large\r\n"
                         "connection: close\r\ncontent-length: 5\r\n\r\nlarge";

    splice_world_say(&w->visitor, "PUT / HTTP/1.1\r\nHost: a.test\r\n"
                                  "Content-Length: 8388608\r\n\r\n");
    splice_world_until_got(w, &w->service, 10);
    w->service.is_deaf = true;
    splice_world_send(&w->visitor, bytes, len);
    splice_world_settle(w);
    splice_world_say(&w->service, answer);
    splice_world_until(w, &w->local.in_end);
    (void)close(w->service.fd);
    w->service.fd = -1;
    splice_world_until(w, &w->edge.out_end);
    splice_world_settle(w);
    assert_string_equal(w->visitor.got + w->visitor.got_len - 5, "large");
    assert_int_equal(w->local.cut, 0);
    assert_false(splice_may_reuse(w->local.splice));
    free(bytes);
}

static void test_a_kept_alive_conn_may_be_reused(void **state)
{
    struct splice_world *w = *state;

    splice_world_say(&w->visitor, GET);
    splice_world_until(w, &w->local.out_end);
    splice_world_say(&w->service, "HTTP/1.1 204 No Content\r\n\r\n");
    splice_world_until(w, &w->edge.out_end);
    assert_true(splice_may_reuse(w->local.splice));
    assert_true(splice_may_reuse(w->edge.splice));
    (void)shutdown(w->service.fd, 1);
    splice_world_settle(w);
    assert_false(splice_may_reuse(w->local.splice));
}

/* Run exchanges whose owners free their splice at the first event. */
static void test_a_splice_may_be_freed_at_any_event(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\n\r\nhi",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
        "nonsense",
        (SWITCHING),
    };
    struct splice_world *w = *state;

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        w->edge.frees_at_once = i % 2 == 0;
        w->local.frees_at_once = true;
        splice_world_say(&w->visitor, i == 4 ? UPGRADE : GET);
        splice_world_say(&w->service, answers[i]);
        splice_world_settle(w);
        (void)shutdown(w->service.fd, 1);
        splice_world_settle(w);
        splice_world_close(w);
        splice_world_open(w);
    }
}

#define SPLICE_TEST(f)                                                         \
    cmocka_unit_test_setup_teardown(f, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPLICE_TEST(test_a_request_and_its_answer),
        SPLICE_TEST(test_informational_heads_and_trailers_pass),
        SPLICE_TEST(test_a_long_upload_arrives_whole),
        SPLICE_TEST(test_a_deaf_visitor_holds_the_service_back),
        SPLICE_TEST(test_a_raw_exchange_goes_both_ways_and_ends_by_halves),
        SPLICE_TEST(test_a_refused_upgrade_goes_on_with_the_parser),
        SPLICE_TEST(test_a_pipelined_request_waits_in_the_conn),
        SPLICE_TEST(test_a_visitor_that_leaves_is_noticed),
        SPLICE_TEST(test_a_body_cut_short_is_no_end),
        SPLICE_TEST(test_a_bad_chunk_is_told_as_bad),
        SPLICE_TEST(test_a_body_shorter_than_its_head_is_cut),
        SPLICE_TEST(test_a_body_longer_than_its_head_is_cut),
        SPLICE_TEST(test_after_stop_the_rest_is_dropped_up_to_a_bound),
        SPLICE_TEST(test_after_stop_a_short_rest_is_read_to_its_end),
        SPLICE_TEST(test_the_stall_clock_stands_while_nobody_waits),
        SPLICE_TEST(test_the_stall_clock_runs_while_a_body_is_awaited),
        SPLICE_TEST(test_an_early_answer_survives_the_services_close),
        SPLICE_TEST(test_a_kept_alive_conn_may_be_reused),
        SPLICE_TEST(test_a_splice_may_be_freed_at_any_event),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
