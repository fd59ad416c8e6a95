/*
 * The head check by itself: where a head ends, what a part of one may not
 * have, what it finds. Which heads it refuses stands in tests/vectors and is
 * run by test_h1_parser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/head_check.h"

static void test_a_head_ends_with_its_first_empty_line(void **state)
{
    struct span in = span_text("GET / HTTP/1.1\r\nHost: a\r\n\r\nmore\r\n\r\n");

    (void)state;
    assert_int_equal(head_check_end(in, 0), 27);
    for (size_t len = 0; len < 27; len++) {
        assert_int_equal(head_check_end(span_of(in.data, len), 0), 0);
    }
}

static void test_the_search_goes_on_where_it_stopped(void **state)
{
    struct span in = span_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

    (void)state;
    for (size_t from = 0; from < in.len; from++) {
        assert_int_equal(head_check_end(in, from), in.len);
    }
    assert_int_equal(head_check_end(in, in.len + 3), 0);
}

static void test_no_head_ends_behind_its_bound(void **state)
{
    uint8_t *bytes = malloc(HEAD_MAX + 1);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'a', HEAD_MAX + 1);
    memcpy(bytes + HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_int_equal(head_check_end(span_of(bytes, HEAD_MAX + 1), 0), HEAD_MAX);
    memcpy(bytes + HEAD_MAX - 4, "a\r\n\r\n", 5);
    assert_int_equal(head_check_end(span_of(bytes, HEAD_MAX + 1), 0), 0);
    free(bytes);
}

static void test_a_part_of_a_good_head_is_good(void **state)
{
    struct span in = span_text("GET / HTTP/1.1\r\nHost: a\r\nX:\tb\xff\r\n");
    struct head_check c;

    (void)state;
    for (size_t len = 1; len <= in.len; len++) {
        for (size_t from = 0; from <= len; from++) {
            assert_int_equal(head_check_part(span_of(in.data, len), from,
                                             HEAD_CHECK_REQUEST, &c),
                             ERR_OK);
        }
    }
}

static void test_a_bad_byte_is_refused_before_the_head_ends(void **state)
{
    static const char *const parts[] = { "GET / HTTP/1.1\n", "GET /\r ",
                                         "GET /\x01", "GET /\x7f",
                                         "GET / HTTP/1.1\r\n\r\r" };
    struct head_check c;

    (void)state;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct span part = span_text(parts[i]);

        assert_int_equal(
            head_check_part(part, part.len - 1, HEAD_CHECK_REQUEST, &c),
            ERR_HEAD);
        assert_int_equal(c.status, 400);
        assert_non_null(c.why);
    }
}

static void test_what_is_found_in_a_request(void **state)
{
    struct span in = span_text("POST http://a.test/b?c HTTP/1.0\r\n"
                               "hOST: \ta.test \r\nCONTENT-length: 12\r\n\r\n");
    struct head_check c;

    (void)state;
    assert_int_equal(head_check(in, HEAD_CHECK_REQUEST, &c), ERR_OK);
    assert_int_equal(c.version, 10);
    assert_true(span_equal(c.method, span_text("POST")));
    assert_true(span_equal(c.target, span_text("http://a.test/b?c")));
    assert_true(span_equal(c.origin, span_text("/b?c")));
    assert_true(span_equal(c.host, span_text("a.test")));
    assert_int_equal(c.count, 2);
    assert_true(c.has_length);
    assert_false(c.is_chunked);
    assert_int_equal(c.length, 12);
}

static void test_what_is_found_in_a_response(void **state)
{
    struct span in = span_text("HTTP/1.1 503 Busy\r\n"
                               "Transfer-Encoding:chunked\r\n\r\n");
    struct head_check c;

    (void)state;
    assert_int_equal(head_check(in, HEAD_CHECK_RESPONSE, &c), ERR_OK);
    assert_int_equal(c.answer, 503);
    assert_int_equal(c.version, 11);
    assert_true(c.is_chunked);
    assert_false(c.has_length);
}

static void test_fields_are_given_one_by_one_and_trimmed(void **state)
{
    struct head_check c;
    struct head_field f;
    struct span lines;

    (void)state;
    assert_int_equal(head_check_trailers(span_text("A: \t1 2\t \r\nb:\r\n"
                                                   "C::\r\n\r\n"),
                                         &c),
                     ERR_OK);
    lines = c.fields;
    assert_true(head_check_field(&lines, &f));
    assert_true(span_equal(f.name, span_text("A")));
    assert_true(span_equal(f.value, span_text("1 2")));
    assert_true(head_check_field(&lines, &f));
    assert_int_equal(f.value.len, 0);
    assert_true(head_check_field(&lines, &f));
    assert_true(span_equal(f.value, span_text(":")));
    assert_false(head_check_field(&lines, &f));
    assert_int_equal(c.count, 3);
}

static void test_a_trailer_section_may_be_empty(void **state)
{
    struct head_check c;

    (void)state;
    assert_int_equal(head_check_trailers(span_text("\r\n"), &c), ERR_OK);
    assert_int_equal(c.count, 0);
}

/* Every byte of a good head changed to every other: refused or accepted, the
 * check must neither crash nor read past the end. */
static void test_any_byte_may_be_anything(void **state)
{
    static const char head[] = "GET /a HTTP/1.1\r\nHost: a.b:1\r\n"
                               "Content-Length: 3\r\nX-Y: z\r\n\r\n";
    size_t len = sizeof(head) - 1;
    uint8_t *bytes = malloc(len);
    struct head_check c;

    (void)state;
    assert_non_null(bytes);
    for (size_t at = 0; at < len; at++) {
        for (unsigned value = 0; value < 256; value++) {
            struct span in = span_of(bytes, len);
            size_t end;

            memcpy(bytes, head, len);
            bytes[at] = (uint8_t)value;
            end = head_check_end(in, 0);
            if (end > 0) {
                in.len = end;
                (void)!head_check(in, HEAD_CHECK_REQUEST, &c);
            } else {
                (void)!head_check_part(in, 0, HEAD_CHECK_REQUEST, &c);
            }
        }
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_head_ends_with_its_first_empty_line),
        cmocka_unit_test(test_the_search_goes_on_where_it_stopped),
        cmocka_unit_test(test_no_head_ends_behind_its_bound),
        cmocka_unit_test(test_a_part_of_a_good_head_is_good),
        cmocka_unit_test(test_a_bad_byte_is_refused_before_the_head_ends),
        cmocka_unit_test(test_what_is_found_in_a_request),
        cmocka_unit_test(test_what_is_found_in_a_response),
        cmocka_unit_test(test_fields_are_given_one_by_one_and_trimmed),
        cmocka_unit_test(test_a_trailer_section_may_be_empty),
        cmocka_unit_test(test_any_byte_may_be_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
