/* What a relay may call a tunnel's address, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/tunnel.h"

static struct tunnel fresh;

static enum err take(struct tunnel *t, const char *url)
{
    return tunnel_take_url(t, span_text(url));
}

static void test_an_https_address_is_taken_once(void **state)
{
    struct tunnel t = fresh;

    (void)state;
    assert_int_equal(take(&t, "https://a-b.t.example.com:8443"), ERR_OK);
    assert_string_equal(t.url, "https://a-b.t.example.com:8443");
    assert_string_equal(t.local.public_host, "a-b.t.example.com");
    assert_int_equal(take(&t, "https://other.example.com"), ERR_ABSENT);
    assert_string_equal(t.url, "https://a-b.t.example.com:8443");
    /* In the next session it is given anew. */
    t.is_bound = false;
    assert_int_equal(take(&t, "https://other.example.com"), ERR_OK);
    assert_string_equal(t.local.public_host, "other.example.com");
}

static void test_what_is_no_https_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "https:/",
        "https://",
        "http://a.b",
        "HTTPS://a.b",
        "https://A.b",
        "https://a.b/",
        "https://a.b/path",
        "https://u@a.b",
        "https://a.b:",
        "https://a.b:x",
        "https://a.b:123456",
        "https://a.b:1:2",
        "https://a.b?q",
        "javascript:alert(1)",
        "https://[::1]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tunnel t = fresh;

        assert_int_equal(take(&t, bad[i]), ERR_PROTOCOL);
        assert_string_equal(t.url, "");
        assert_false(t.is_bound);
    }
}

static void test_a_host_has_its_longest(void **state)
{
    char url[URL_MAX_LEN + 1] = "https://";
    struct tunnel t = fresh;

    (void)state;
    memset(url + 8, 'a', TARGET_HOST_MAX);
    assert_int_equal(take(&t, url), ERR_PROTOCOL);
    url[8 + TARGET_HOST_MAX - 1] = '\0';
    assert_int_equal(take(&t, url), ERR_OK);
    assert_int_equal(strlen(t.local.public_host), TARGET_HOST_MAX - 1);
}

static void test_a_tunnel_is_found_by_its_id(void **state)
{
    struct tunnel all[2] = { { .id = 1 }, { .id = 7 } };

    (void)state;
    assert_ptr_equal(tunnel_find(all, 2, 7), &all[1]);
    assert_null(tunnel_find(all, 2, 2));
    assert_null(tunnel_find(all, 0, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_https_address_is_taken_once),
        cmocka_unit_test(test_what_is_no_https_address_is_refused),
        cmocka_unit_test(test_a_host_has_its_longest),
        cmocka_unit_test(test_a_tunnel_is_found_by_its_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
