/*
 * The relay's own answers: the right status, the right form, nothing of a
 * stranger's unescaped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/error_page.h"

static char body[ERROR_PAGE_MAX + 1];

static void render(const struct error_page *p)
{
    struct wire_writer w;

    wire_writer_init(&w, body, ERROR_PAGE_MAX);
    error_page_body(&w, p);
    assert_true(wire_writer_done(&w));
    body[w.len] = '\0';
}

static void test_each_kind_has_its_status_and_fits_in_both_forms(void **state)
{
    static const unsigned statuses[] = { 200, 400, 404, 408, 421, 502,
                                         502, 502, 503, 503, 503, 503 };

    (void)state;
    for (int kind = PAGE_BASE; kind <= PAGE_BUSY; kind++) {
        struct error_page p = { .kind = (enum error_page_kind)kind,
                                .host = "demo.tunnel.test" };
        struct head h;

        render(&p);
        assert_int_equal(body[0], '{');
        error_page_head(&h, &p, strlen(body));
        assert_int_equal(h.status, statuses[kind]);
        assert_int_equal(h.body_len, strlen(body));
        assert_true(head_same(head_find(&h, "cache-control"), "no-store"));
        p.is_navigation = true;
        render(&p);
        assert_int_equal(memcmp(body, "<!doctype html>", 15), 0);
        assert_non_null(strstr(body, "</html>"));
        assert_null(strstr(body, "{host}"));
        assert_null(strchr(body, '`'));
    }
}

static void test_names_are_escaped_for_where_they_stand(void **state)
{
    struct error_page p = { .kind = PAGE_NAME_UNKNOWN, .host = "<b>\"&'\\\n" };

    (void)state;
    render(&p);
    assert_non_null(strstr(body, "<b>\\\"&'\\\\\\u000a"));
    p.is_navigation = true;
    render(&p);
    assert_null(strstr(body, "<b>"));
    assert_non_null(strstr(body, "&lt;b&gt;&quot;&amp;&#39;"));
}

static void test_the_parsers_status_and_sentence_are_shown(void **state)
{
    struct error_page p = { .kind = PAGE_BAD,
                            .status = 431,
                            .detail = "too many fields" };
    struct head h;

    (void)state;
    render(&p);
    assert_non_null(strstr(body, "too many fields"));
    error_page_head(&h, &p, 10);
    assert_int_equal(h.status, 431);
}

static void test_who_waits_for_a_client_is_told_when_to_come(void **state)
{
    struct error_page p = { .kind = PAGE_NO_CLIENT };
    struct head h;

    (void)state;
    error_page_head(&h, &p, 10);
    assert_non_null(head_find(&h, "retry-after").data);
}

static void test_a_page_that_waits_looks_again_by_itself(void **state)
{
    struct error_page p = { .kind = PAGE_RECONNECTING, .is_navigation = true };
    struct head h;

    (void)state;
    error_page_head(&h, &p, 10);
    assert_non_null(head_find(&h, "retry-after").data);
    assert_true(head_same(head_find(&h, "refresh"), "3"));
    p.kind = PAGE_RESTARTING;
    error_page_head(&h, &p, 10);
    assert_non_null(head_find(&h, "retry-after").data);
    assert_true(head_same(head_find(&h, "refresh"), "3"));
    p.is_navigation = false;
    error_page_head(&h, &p, 10);
    assert_null(head_find(&h, "refresh").data);
}

static void test_only_a_navigation_gets_a_page(void **state)
{
    struct head h = { 0 };

    (void)state;
    assert_false(error_page_is_navigation(&h));
    assert_int_equal(
        head_add(&h, span_text("sec-fetch-mode"), span_text("cors")), ERR_OK);
    assert_false(error_page_is_navigation(&h));
    h.fields[0].value = span_text("navigate");
    assert_true(error_page_is_navigation(&h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_its_status_and_fits_in_both_forms),
        cmocka_unit_test(test_names_are_escaped_for_where_they_stand),
        cmocka_unit_test(test_the_parsers_status_and_sentence_are_shown),
        cmocka_unit_test(test_who_waits_for_a_client_is_told_when_to_come),
        cmocka_unit_test(test_a_page_that_waits_looks_again_by_itself),
        cmocka_unit_test(test_only_a_navigation_gets_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
