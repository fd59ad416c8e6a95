/*
 * Public names: labels, reserved ones, hosts as visitors write them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/hostname.h"

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static enum err check(const char *name)
{
    const char *why = NULL;
    enum err e = hostname_check_label(span_text(name), &why);

    assert_int_equal(e != ERR_OK, why != NULL);
    return e;
}

static void test_good_labels_are_taken(void **state)
{
    static const char *const good[] = {
        "demo", "a",    "0",      "a-b",  "a--b", "quiet-otter-k7m2x9qd",
        A63,    "www2", "mailer", "xn-a", "xn",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(check(good[i]), ERR_OK);
    }
}

static void test_bad_labels_are_refused(void **state)
{
    static const char *const bad[] = {
        "",    (A63 "a"), "-a",   "a-",           "-",   "A",           "Demo",
        "a.b", "a_b",     "_a",   "a b",          "a\n", "caf\xc3\xa9", "a/b",
        "a:1", "*",       "xn--", "xn--nxasmq6b",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check(bad[i]), ERR_NAME_BAD);
    }
}

static void test_reserved_labels_are_refused(void **state)
{
    static const char *const reserved[] = {
        "www",          "mail", "admin",  "api",
        "autodiscover", "wpad", "isatap", "localhost",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        assert_int_equal(check(reserved[i]), ERR_NAME_BAD);
    }
}

static void test_a_zero_byte_ends_no_label(void **state)
{
    const char *why = NULL;

    (void)state;
    assert_int_equal(hostname_check_label(span_of("demo\0x", 6), &why),
                     ERR_NAME_BAD);
    assert_int_equal(hostname_check_label(span_of("demo\0", 5), &why),
                     ERR_NAME_BAD);
}

static void test_hosts_are_normalised(void **state)
{
    static const char *const cases[][2] = {
        { "Demo.T.Example.COM", "demo.t.example.com" },
        { "demo.t.example.com.", "demo.t.example.com" },
        { "demo.t.example.com:443", "demo.t.example.com" },
        { "demo.t.example.com.:443", "demo.t.example.com" },
        { "localhost:65535", "localhost" },
        { "a", "a" },
        { "127.0.0.1:1", "127.0.0.1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[256];

        assert_int_equal(
            hostname_normalise(span_text(cases[i][0]), out, sizeof(out)),
            ERR_OK);
        assert_string_equal(out, cases[i][1]);
    }
}

static void test_hosts_that_cannot_be_ours_are_refused(void **state)
{
    static const char *const bad[] = {
        "",      ".",       "..",        "a..b",          ".a",       "a..",
        "a:",    "a:x",     "a:1:2",     "a:65536",       "a:000001", ":443",
        "[::1]", "[::1]:1", "a b",       "a/b",           "u@a",      "-a.b",
        "a-.b",  "a_b.c",   (A63 "a.b"), "caf\xc3\xa9.b", "a\tb",     "a:-1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[256];

        assert_int_equal(
            hostname_normalise(span_text(bad[i]), out, sizeof(out)),
            ERR_NAME_BAD);
    }
}

static void test_a_host_of_253_bytes_is_the_longest(void **state)
{
    char host[300];
    char out[300];

    (void)state;
    memset(host, 'a', sizeof(host));
    for (size_t i = 63; i < sizeof(host); i += 64) {
        host[i] = '.';
    }
    assert_int_equal(hostname_normalise(span_of(host, 253), out, sizeof(out)),
                     ERR_OK);
    assert_int_equal(strlen(out), 253);
    assert_int_equal(hostname_normalise(span_of(host, 254), out, sizeof(out)),
                     ERR_NAME_BAD);
}

static void test_a_host_fits_with_its_zero_or_is_refused(void **state)
{
    char out[5] = "____";

    (void)state;
    assert_int_equal(hostname_normalise(span_text("demo"), out, 4),
                     ERR_NAME_BAD);
    assert_int_equal(hostname_normalise(span_text("demo"), out, 0),
                     ERR_NAME_BAD);
    assert_int_equal(hostname_normalise(span_text("demo"), out, 5), ERR_OK);
    assert_string_equal(out, "demo");
}

static void test_the_label_is_the_one_under_the_base(void **state)
{
    struct span label = hostname_label("demo.t.example.com", "t.example.com");

    (void)state;
    assert_true(span_equal(label, span_text("demo")));
    label = hostname_label("t.example.com", "t.example.com");
    assert_non_null(label.data);
    assert_int_equal(label.len, 0);
}

static void test_other_hosts_have_no_label(void **state)
{
    static const char *const other[] = {
        "a.b.t.example.com",  "t.example.org",
        "xt.example.com",     ".t.example.com",
        "example.com",        "demo.t.example.com.evil.org",
        "demo-t.example.com", "m",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        assert_null(hostname_label(other[i], "t.example.com").data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_labels_are_taken),
        cmocka_unit_test(test_bad_labels_are_refused),
        cmocka_unit_test(test_reserved_labels_are_refused),
        cmocka_unit_test(test_a_zero_byte_ends_no_label),
        cmocka_unit_test(test_hosts_are_normalised),
        cmocka_unit_test(test_hosts_that_cannot_be_ours_are_refused),
        cmocka_unit_test(test_a_host_of_253_bytes_is_the_longest),
        cmocka_unit_test(test_a_host_fits_with_its_zero_or_is_refused),
        cmocka_unit_test(test_the_label_is_the_one_under_the_base),
        cmocka_unit_test(test_other_hosts_have_no_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
