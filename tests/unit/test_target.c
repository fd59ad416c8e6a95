/* What may be shared: the forms of a target, and those refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "client/target.h"

struct good {
    const char *text;
    const char *canonical;
    const char *authority;
};

static void test_every_form_of_a_target_is_understood(void **state)
{
    static const struct good cases[] = {
        { "8080", "http://localhost:8080", "localhost:8080" },
        { "127.0.0.1:9", "http://127.0.0.1:9", "127.0.0.1:9" },
        { "[::1]:5173", "http://[::1]:5173", "[::1]:5173" },
        { "http://box", "http://box:80", "box:80" },
        { "https://box/", "https://box:443", "box:443" },
        { "https://box:8443", "https://box:8443", "box:8443" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char authority[TARGET_TEXT_MAX];
        const char *why = "";
        struct target t;

        assert_int_equal(target_parse(cases[i].text, &t, &why), ERR_OK);
        target_authority(&t, authority, sizeof(authority));
        assert_string_equal(t.text, cases[i].canonical);
        assert_string_equal(authority, cases[i].authority);
    }
}

static void test_what_is_no_target_is_refused_with_a_sentence(void **state)
{
    static const char *const cases[] = {
        "",          "0",          "65536",      "99999999", "localhost",
        "ftp://x:1", "http://x/a", "http://x?q", "x:1/path", ":80",
        "http://",   "x:y",        "[::1",       "x:0",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = NULL;
        struct target t;

        assert_int_equal(target_parse(cases[i], &t, &why), ERR_SETTINGS);
        assert_non_null(why);
    }
}

static void test_a_path_is_refused_by_name(void **state)
{
    const char *why = "";
    struct target t;

    (void)state;
    assert_int_equal(target_parse("http://x:1/app", &t, &why), ERR_SETTINGS);
    assert_non_null(strstr(why, "path"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_form_of_a_target_is_understood),
        cmocka_unit_test(test_what_is_no_target_is_refused_with_a_sentence),
        cmocka_unit_test(test_a_path_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
