/*
 * Heads: there and back, and everything the decoder must not let through.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/head.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A request, a response and trailers, by hand from PROTOCOL.md. */
static const uint8_t request[] = "\1\0\1\0\0\0\0\0\0\0\5" /* length 5 */
                                 "\4POST\0\2/a\3a.b"
                                 "\0\2"
                                 "\6accept\0\3*/*"
                                 "\3x-y\0\0";
static const uint8_t response[] = "\2\1\0\0\0\0\0\0\0\0\0\0\x65"
                                  "\0\1"
                                  "\6server\0\1s";
static const uint8_t trailers[] = "\3\0\1\4etag\0\3\"a\"";

static const struct span blocks[] = {
    { request, sizeof(request) - 1 },
    { response, sizeof(response) - 1 },
    { trailers, sizeof(trailers) - 1 },
};

static struct head the_head;

static enum err decode(struct span block)
{
    const char *why = NULL;
    enum err e = head_decode(block, &the_head, &why);

    assert_true(e == ERR_OK || e == ERR_HEAD);
    assert_int_equal(e != ERR_OK, why != NULL);
    return e;
}

static void test_a_request_is_read(void **state)
{
    (void)state;
    assert_int_equal(decode(blocks[0]), ERR_OK);
    assert_true(span_equal(the_head.method, span_text("POST")));
    assert_true(span_equal(the_head.target, span_text("/a")));
    assert_true(span_equal(the_head.authority, span_text("a.b")));
    assert_int_equal(the_head.status, 0);
    assert_int_equal(the_head.framing, BODY_LENGTH);
    assert_int_equal(the_head.body_len, 5);
    assert_int_equal(the_head.count, 2);
    assert_true(span_equal(head_find(&the_head, "accept"), span_text("*/*")));
    assert_non_null(head_find(&the_head, "x-y").data);
    assert_int_equal(head_find(&the_head, "x-y").len, 0);
    assert_null(head_find(&the_head, "x-z").data);
}

static void test_a_response_and_trailers_are_read(void **state)
{
    (void)state;
    assert_int_equal(decode(blocks[1]), ERR_OK);
    assert_int_equal(the_head.status, 101);
    assert_true(the_head.is_upgrade);
    assert_int_equal(the_head.method.len, 0);

    assert_int_equal(decode(blocks[2]), ERR_OK);
    assert_int_equal(the_head.status, 0);
    assert_int_equal(the_head.count, 1);
    assert_true(span_equal(head_find(&the_head, "etag"), span_text("\"a\"")));
}

static void test_blocks_come_back_as_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        uint8_t out[128];
        struct wire_writer w;

        assert_int_equal(decode(blocks[i]), ERR_OK);
        wire_writer_init(&w, out, sizeof(out));
        head_encode(&w, &the_head);
        assert_true(wire_writer_done(&w));
        assert_true(span_equal(wire_written(&w), blocks[i]));
    }
}

static void test_no_block_may_be_short_or_long(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        uint8_t in[128] = { 0 };

        memcpy(in, blocks[i].data, blocks[i].len);
        for (size_t len = 0; len < blocks[i].len; len++) {
            assert_int_equal(decode(span_of(in, len)), ERR_HEAD);
            assert_int_equal(the_head.count, 0);
        }
        assert_int_equal(decode(span_of(in, blocks[i].len + 1)), ERR_HEAD);
    }
}

static void test_a_changed_byte_is_refused_or_reads_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(blocks); i++) {
        uint8_t in[128];
        uint8_t out[128];
        struct span block = span_of(in, blocks[i].len);

        memcpy(in, blocks[i].data, block.len);
        for (size_t at = 0; at < block.len * 256; at++) {
            uint8_t kept = in[at / 256];
            struct wire_writer w;

            in[at / 256] = (uint8_t)at;
            if (decode(block) == ERR_OK) {
                wire_writer_init(&w, out, sizeof(out));
                head_encode(&w, &the_head);
                assert_true(span_equal(wire_written(&w), block));
            }
            in[at / 256] = kept;
        }
    }
}

/* Encode a request with these and say what its decoder says. */
static enum err request_with(const char *method, const char *target,
                             const char *authority)
{
    struct head h = {
        .method = span_text(method),
        .target = span_text(target),
        .authority = span_text(authority),
    };
    uint8_t out[512];
    struct wire_writer w;

    wire_writer_init(&w, out, sizeof(out));
    head_encode(&w, &h);
    assert_true(wire_writer_done(&w));
    return decode(wire_written(&w));
}

static void test_methods_are_tokens(void **state)
{
    (void)state;
    assert_int_equal(request_with("GET", "/", "a"), ERR_OK);
    assert_int_equal(request_with("M-SEARCH", "/", "a"), ERR_OK);
    assert_int_equal(request_with("get!", "/", "a"), ERR_OK);
    assert_int_equal(request_with("GE T", "/", "a"), ERR_HEAD);
    assert_int_equal(request_with("GET\r", "/", "a"), ERR_HEAD);
    assert_int_equal(request_with("G:", "/", "a"), ERR_HEAD);
}

static void test_targets_are_in_origin_form(void **state)
{
    static const char *const bad[] = {
        "",      "a",     "*",       "http://a/", "/a b", "/a\tb", "/a#b",
        "/\x7f", "/\xc3", "/a\r\nb", "a:443",     "?a",   "**",    "/a\x01",
    };

    (void)state;
    assert_int_equal(request_with("GET", "/a?b=c&d=%20", "a"), ERR_OK);
    assert_int_equal(request_with("GET", "//a/../\"<>\\^`{|}", "a"), ERR_OK);
    assert_int_equal(request_with("OPTIONS", "*", "a"), ERR_OK);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(request_with("GET", bad[i], "a"), ERR_HEAD);
    }
    assert_int_equal(request_with("CONNECT", "a:443", "a"), ERR_HEAD);
}

static void test_authorities_are_a_host_and_a_port(void **state)
{
    static const char *const good[] = {
        "a",         "A.b-c.d", "a:1",      "a:65535",
        "127.0.0.1", "[::1]",   "[::1]:80", "a.",
    };
    static const char *const bad[] = {
        "",    "a:",   "a:123456", "a:1x", "u@a",   "a/b",   "a b",
        "[]",  "[::1", "[::1]x",   "::1",  "[g::]", "a,b",   "a\r\n",
        "a_b", ":80",  "[::1]:",   "a#b",  "a?b",   "a:1:2",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(request_with("GET", "/", good[i]), ERR_OK);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(request_with("GET", "/", bad[i]), ERR_HEAD);
    }
}

static void test_a_target_of_16_kib_is_the_longest(void **state)
{
    static uint8_t target[HEAD_TARGET_MAX + 1];
    static uint8_t out[HEAD_MAX];
    struct head h = {
        .method = span_text("GET"),
        .target = span_of(target, HEAD_TARGET_MAX),
        .authority = span_text("a"),
    };
    struct wire_writer w;

    (void)state;
    memset(target, '/', sizeof(target));
    wire_writer_init(&w, out, sizeof(out));
    head_encode(&w, &h);
    assert_int_equal(decode(wire_written(&w)), ERR_OK);
    h.target.len++;
    wire_writer_init(&w, out, sizeof(out));
    head_encode(&w, &h);
    assert_int_equal(decode(wire_written(&w)), ERR_HEAD);
}

/* Encode trailers with one field and say what their decoder says. */
static enum err field_with(struct span name, struct span value)
{
    struct head h = { .count = 1, .fields = { { name, value } } };
    static uint8_t out[HEAD_MAX + 512];
    struct wire_writer w;

    wire_writer_init(&w, out, sizeof(out));
    head_encode(&w, &h);
    assert_true(wire_writer_done(&w));
    return decode(wire_written(&w));
}

static void test_every_byte_of_names_and_values_is_judged(void **state)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t text[] = { 'a', (uint8_t)c, 'b' };
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool in_name = is_letter || (c >= '0' && c <= '9') ||
                       (c != 0 && strchr(marks, (int)c) != NULL);
        bool in_value = c == '\t' || (c >= ' ' && c != 0x7f);

        assert_int_equal(head_is_token(span_of(text, 3)), in_name);
        assert_int_equal(head_is_value(span_of(text, 3)), in_value);
        assert_int_equal(field_with(span_of(text, 3), span_text("v")) == ERR_OK,
                         in_name);
        assert_int_equal(field_with(span_text("n"), span_of(text, 3)) == ERR_OK,
                         in_value);
    }
}

static void test_values_have_no_blanks_at_their_ends(void **state)
{
    static const char *const bad[] = { " ", "\t", " a", "a ", "\ta", "a\t" };

    (void)state;
    assert_int_equal(field_with(span_text("n"), span_text("")), ERR_OK);
    assert_int_equal(field_with(span_text("n"), span_text("a b\tc")), ERR_OK);
    assert_int_equal(field_with(span_text(""), span_text("v")), ERR_HEAD);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(field_with(span_text("n"), span_text(bad[i])),
                         ERR_HEAD);
    }
}

static void test_names_are_lowered_when_encoded(void **state)
{
    static const uint8_t upper[] = "\3\0\1\1N\0\1v";

    (void)state;
    assert_int_equal(field_with(span_text("X-Some-Name"), span_text("V")),
                     ERR_OK);
    assert_true(span_equal(the_head.fields[0].name, span_text("x-some-name")));
    assert_true(span_equal(the_head.fields[0].value, span_text("V")));
    assert_int_equal(decode(span_of(upper, sizeof(upper) - 1)), ERR_HEAD);
}

static void test_fields_that_the_head_says_are_refused(void **state)
{
    static const char *const refused[] = {
        "host",    "content-length", "transfer-encoding", "connection",
        "upgrade", "keep-alive",     "proxy-connection",  "te",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_equal(field_with(span_text(refused[i]), span_text("v")),
                         ERR_HEAD);
    }
    assert_int_equal(field_with(span_text("trailer"), span_text("v")), ERR_OK);
    assert_int_equal(field_with(span_text("ten"), span_text("v")), ERR_OK);
}

static void test_a_block_of_64_kib_is_the_longest(void **state)
{
    static uint8_t value[HEAD_MAX];

    (void)state;
    memset(value, 'v', sizeof(value));
    /* kind, count, name with its length, value's length: 7 bytes */
    assert_int_equal(field_with(span_text("n"), span_of(value, HEAD_MAX - 7)),
                     ERR_OK);
    assert_int_equal(field_with(span_text("n"), span_of(value, HEAD_MAX - 6)),
                     ERR_HEAD);
}

static void test_a_hundred_fields_are_the_most(void **state)
{
    struct head h = { .status = 200 };
    uint8_t out[2048];
    struct wire_writer w;

    (void)state;
    for (size_t i = 0; i < HEAD_FIELDS_MAX; i++) {
        assert_int_equal(head_add(&h, span_text("n"), span_text("v")), ERR_OK);
    }
    assert_int_equal(head_add(&h, span_text("n"), span_text("v")), ERR_LIMIT);
    wire_writer_init(&w, out, sizeof(out));
    head_encode(&w, &h);
    assert_int_equal(decode(wire_written(&w)), ERR_OK);
    assert_int_equal(the_head.count, HEAD_FIELDS_MAX);

    /* A hundred and one: the count is at 13, a field has five bytes. */
    out[14]++;
    wire_write_bytes(&w, span_of("\1n\0\1v", 5));
    assert_int_equal(decode(wire_written(&w)), ERR_HEAD);
}

/* Encode a response with these and say what its decoder says. */
static enum err response_with(uint16_t status, bool is_upgrade, uint8_t framing,
                              uint64_t body_len)
{
    uint8_t out[64];
    struct wire_writer w;

    wire_writer_init(&w, out, sizeof(out));
    wire_write_u8(&w, 2);
    wire_write_u8(&w, is_upgrade);
    wire_write_u8(&w, framing);
    wire_write_u64(&w, body_len);
    wire_write_u16(&w, status);
    wire_write_u16(&w, 0);
    return decode(wire_written(&w));
}

static void test_statuses_are_100_to_599(void **state)
{
    (void)state;
    assert_int_equal(response_with(99, false, 0, 0), ERR_HEAD);
    assert_int_equal(response_with(100, false, 0, 0), ERR_OK);
    assert_int_equal(response_with(599, false, 0, 0), ERR_OK);
    assert_int_equal(response_with(600, false, 0, 0), ERR_HEAD);
}

static void test_only_101_answers_an_upgrade(void **state)
{
    (void)state;
    assert_int_equal(response_with(101, true, 0, 0), ERR_OK);
    assert_int_equal(response_with(101, false, 0, 0), ERR_HEAD);
    assert_int_equal(response_with(200, true, 0, 0), ERR_HEAD);
}

static void test_a_length_stands_only_with_its_framing(void **state)
{
    (void)state;
    assert_int_equal(response_with(200, false, BODY_LENGTH, 0), ERR_OK);
    assert_int_equal(response_with(200, false, BODY_LENGTH, UINT64_MAX),
                     ERR_OK);
    assert_int_equal(response_with(200, false, BODY_UNKNOWN, 0), ERR_OK);
    assert_int_equal(response_with(200, false, BODY_UNKNOWN, 1), ERR_HEAD);
    assert_int_equal(response_with(200, false, BODY_NONE, 1), ERR_HEAD);
    assert_int_equal(response_with(200, false, 3, 0), ERR_HEAD);
}

static void test_an_upgrade_is_a_get(void **state)
{
    static const uint8_t get[] = "\1\1\0\0\0\0\0\0\0\0\0\3GET\0\1/\1a\0\0";
    static const uint8_t put[] = "\1\1\0\0\0\0\0\0\0\0\0\3PUT\0\1/\1a\0\0";

    (void)state;
    assert_int_equal(decode(span_of(get, sizeof(get) - 1)), ERR_OK);
    assert_true(the_head.is_upgrade);
    assert_int_equal(decode(span_of(put, sizeof(put) - 1)), ERR_HEAD);
}

static void test_fields_are_found_and_removed_without_case(void **state)
{
    struct head h = { 0 };

    (void)state;
    assert_int_equal(head_add(&h, span_text("A"), span_text("1")), ERR_OK);
    assert_int_equal(head_add(&h, span_text("B"), span_text("2")), ERR_OK);
    assert_int_equal(head_add(&h, span_text("a"), span_text("3")), ERR_OK);
    assert_true(span_equal(head_find(&h, "a"), span_text("1")));
    assert_int_equal(head_remove(&h, "a"), 2);
    assert_int_equal(h.count, 1);
    assert_true(span_equal(head_find(&h, "b"), span_text("2")));
    assert_int_equal(head_remove(&h, "a"), 0);
    assert_false(head_same(span_text("ab"), "a"));
    assert_true(head_same(span_text("ETag"), "etag"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_is_read),
        cmocka_unit_test(test_a_response_and_trailers_are_read),
        cmocka_unit_test(test_blocks_come_back_as_they_were),
        cmocka_unit_test(test_no_block_may_be_short_or_long),
        cmocka_unit_test(test_a_changed_byte_is_refused_or_reads_as_written),
        cmocka_unit_test(test_methods_are_tokens),
        cmocka_unit_test(test_targets_are_in_origin_form),
        cmocka_unit_test(test_authorities_are_a_host_and_a_port),
        cmocka_unit_test(test_a_target_of_16_kib_is_the_longest),
        cmocka_unit_test(test_every_byte_of_names_and_values_is_judged),
        cmocka_unit_test(test_values_have_no_blanks_at_their_ends),
        cmocka_unit_test(test_names_are_lowered_when_encoded),
        cmocka_unit_test(test_fields_that_the_head_says_are_refused),
        cmocka_unit_test(test_a_block_of_64_kib_is_the_longest),
        cmocka_unit_test(test_a_hundred_fields_are_the_most),
        cmocka_unit_test(test_statuses_are_100_to_599),
        cmocka_unit_test(test_only_101_answers_an_upgrade),
        cmocka_unit_test(test_a_length_stands_only_with_its_framing),
        cmocka_unit_test(test_an_upgrade_is_a_get),
        cmocka_unit_test(test_fields_are_found_and_removed_without_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
