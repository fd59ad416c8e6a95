/*
 * What is written: every head with one framing, bodies framed as their head
 * said, and nothing that was too long or too short.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/http/h1_writer.h"

static uint8_t bytes[4096];

static void assert_written(const struct wire_writer *w, const char *text)
{
    assert_true(wire_writer_done(w));
    if (!span_equal(wire_written(w), span_text(text))) {
        fail_msg("wanted:\n%s--- written:\n%.*s", text, (int)w->len,
                 (const char *)w->data);
    }
}

static struct head request(const char *method, enum body_framing framing,
                           uint64_t len)
{
    struct head h = { .method = span_text(method),
                      .target = span_text("/a?b"),
                      .authority = span_text("a.test:8443"),
                      .framing = framing,
                      .body_len = len,
                      .count = 1 };

    h.fields[0] = (struct head_field){ span_text("accept"), span_text("*/*") };
    return h;
}

static void test_requests_are_framed_as_they_declare(void **state)
{
    struct head h = request("GET", BODY_NONE, 0);
    struct h1_body body;
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, bytes, sizeof(bytes));
    h1_write_request(&w, &h, &body);
    assert_written(&w, "GET /a?b HTTP/1.1\r\nhost: a.test:8443\r\n"
                       "accept: */*\r\n\r\n");
    assert_int_equal(body.mode, H1_BODY_NONE);

    h = request("POST", BODY_LENGTH, 0);
    wire_writer_init(&w, bytes, sizeof(bytes));
    h1_write_request(&w, &h, &body);
    assert_written(&w, "POST /a?b HTTP/1.1\r\nhost: a.test:8443\r\n"
                       "accept: */*\r\ncontent-length: 0\r\n\r\n");

    h = request("POST", BODY_UNKNOWN, 0);
    wire_writer_init(&w, bytes, sizeof(bytes));
    h1_write_request(&w, &h, &body);
    assert_written(&w, "POST /a?b HTTP/1.1\r\nhost: a.test:8443\r\n"
                       "accept: */*\r\ntransfer-encoding: chunked\r\n\r\n");
    assert_int_equal(body.mode, H1_BODY_CHUNKED);
}

static void test_an_upgrade_is_asked_for_anew(void **state)
{
    struct head h = request("GET", BODY_NONE, 0);
    struct h1_body body;
    struct wire_writer w;

    (void)state;
    h.is_upgrade = true;
    wire_writer_init(&w, bytes, sizeof(bytes));
    h1_write_request(&w, &h, &body);
    assert_written(&w,
                   "GET /a?b HTTP/1.1\r\nhost: a.test:8443\r\naccept: */*\r\n"
                   "connection: Upgrade\r\nupgrade: websocket\r\n\r\n");
    assert_int_equal(body.mode, H1_BODY_NONE);
}

struct answer {
    uint16_t status;
    enum body_framing framing;
    uint64_t len;
    struct h1_response_to to;
    const char *text;
    enum h1_body_mode mode;
};

#define V11                                                                    \
    {                                                                          \
        .version = 11                                                          \
    }
#define V10                                                                    \
    {                                                                          \
        .version = 10                                                          \
    }
#define HEAD11                                                                 \
    {                                                                          \
        .version = 11, .request_is_head = true                                 \
    }

static const struct answer answers[] = {
    { 200, BODY_LENGTH, 5, V11, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
      H1_BODY_LENGTH },
    { 200, BODY_UNKNOWN, 0, V11,
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
      H1_BODY_CHUNKED },
    { 200, BODY_NONE, 0, V11, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
      H1_BODY_LENGTH },
    { 299, BODY_LENGTH, 0, V11, "HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n",
      H1_BODY_LENGTH },
    { 200,
      BODY_LENGTH,
      5,
      { .version = 11, .close = true },
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n",
      H1_BODY_LENGTH },
    { 200, BODY_LENGTH, 5, V10,
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: keep-alive\r\n\r\n",
      H1_BODY_LENGTH },
    { 200, BODY_UNKNOWN, 0, V10, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
      H1_BODY_CLOSE },
    { 200, BODY_LENGTH, 5, HEAD11,
      "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", H1_BODY_NONE },
    { 200, BODY_UNKNOWN, 0, HEAD11,
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", H1_BODY_NONE },
    { 200, BODY_NONE, 0, HEAD11, "HTTP/1.1 200 OK\r\n\r\n", H1_BODY_NONE },
    { 304, BODY_LENGTH, 5, V11,
      "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n", H1_BODY_NONE },
    { 304, BODY_NONE, 0, V11, "HTTP/1.1 304 Not Modified\r\n\r\n",
      H1_BODY_NONE },
    { 204, BODY_LENGTH, 0, V11, "HTTP/1.1 204 No Content\r\n\r\n",
      H1_BODY_NONE },
    { 204, BODY_UNKNOWN, 0, V11, "HTTP/1.1 204 No Content\r\n\r\n",
      H1_BODY_NONE },
    { 101, BODY_NONE, 0, V11,
      "HTTP/1.1 101 Switching Protocols\r\n"
      "connection: Upgrade\r\nupgrade: websocket\r\n\r\n",
      H1_BODY_RAW },
};

static void test_answers_are_framed_for_their_visitor(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct answer *a = &answers[i];
        struct head h = { .status = a->status,
                          .framing = a->framing,
                          .body_len = a->len,
                          .is_upgrade = a->status == 101 };
        struct h1_body body = { .mode = H1_BODY_CLOSE };
        struct wire_writer w;

        wire_writer_init(&w, bytes, sizeof(bytes));
        h1_write_response(&w, &h, &a->to, &body);
        assert_written(&w, a->text);
        assert_int_equal(body.mode, a->mode);
        assert_int_equal(body.left, a->mode == H1_BODY_LENGTH ? a->len : 0);
    }
}

static void test_informational_answers_leave_the_body_alone(void **state)
{
    struct head h = { .status = 103, .count = 1 };
    struct h1_response_to to = { .version = 11 };
    struct h1_body body = { .mode = H1_BODY_LENGTH, .left = 7 };
    struct wire_writer w;

    (void)state;
    h.fields[0] = (struct head_field){ span_text("link"), span_text("</a>") };
    wire_writer_init(&w, bytes, sizeof(bytes));
    h1_write_response(&w, &h, &to, &body);
    assert_written(&w, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
    assert_int_equal(body.left, 7);

    to.version = 10;
    wire_writer_init(&w, bytes, sizeof(bytes));
    h1_write_response(&w, &h, &to, &body);
    assert_written(&w, "");
}

static void test_a_body_may_not_be_longer_than_declared(void **state)
{
    struct h1_body body = { .mode = H1_BODY_LENGTH, .left = 5 };
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(h1_body_begin(&body, 3, &w), ERR_OK);
    assert_int_equal(h1_body_begin(&body, 3, &w), ERR_HEAD);
    assert_int_equal(h1_body_begin(&body, 2, &w), ERR_OK);
    assert_int_equal(h1_body_finish(&body, NULL, &w), ERR_OK);
    assert_written(&w, "");
    assert_int_equal(h1_body_begin(&body, 1, &w), ERR_HEAD);
}

static void test_a_body_may_not_be_shorter_than_declared(void **state)
{
    struct h1_body body = { .mode = H1_BODY_LENGTH, .left = 5 };
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(h1_body_begin(&body, 4, &w), ERR_OK);
    assert_int_equal(h1_body_finish(&body, NULL, &w), ERR_HEAD);
}

static void test_chunks_are_framed_and_ended_with_trailers(void **state)
{
    struct head trailers = { .count = 1 };
    struct h1_body body = { .mode = H1_BODY_CHUNKED };
    struct wire_writer w;

    (void)state;
    trailers.fields[0] =
        (struct head_field){ span_text("x-sum"), span_text("9") };
    wire_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(h1_body_begin(&body, 0x1a2b, &w), ERR_OK);
    wire_write_bytes(&w, h1_chunk_end(&body));
    assert_int_equal(h1_body_finish(&body, &trailers, &w), ERR_OK);
    assert_written(&w, "1a2b\r\n\r\n0\r\nx-sum: 9\r\n\r\n");
    assert_int_equal(h1_chunk_end(&body).len, 0);
}

static void test_close_and_raw_bodies_have_no_frame(void **state)
{
    struct h1_body body = { .mode = H1_BODY_CLOSE };
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(h1_body_begin(&body, 100, &w), ERR_OK);
    assert_int_equal(h1_chunk_end(&body).len, 0);
    assert_int_equal(h1_body_finish(&body, NULL, &w), ERR_OK);
    body.mode = H1_BODY_RAW;
    assert_int_equal(h1_body_begin(&body, 100, &w), ERR_OK);
    assert_int_equal(h1_body_finish(&body, NULL, &w), ERR_OK);
    assert_written(&w, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_framed_as_they_declare),
        cmocka_unit_test(test_an_upgrade_is_asked_for_anew),
        cmocka_unit_test(test_answers_are_framed_for_their_visitor),
        cmocka_unit_test(test_informational_answers_leave_the_body_alone),
        cmocka_unit_test(test_a_body_may_not_be_longer_than_declared),
        cmocka_unit_test(test_a_body_may_not_be_shorter_than_declared),
        cmocka_unit_test(test_chunks_are_framed_and_ended_with_trailers),
        cmocka_unit_test(test_close_and_raw_bodies_have_no_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
