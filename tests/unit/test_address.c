/* Addresses as text, on the wire, and as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "common/address.h"

static void test_addresses_are_read_and_written_back(void **state)
{
    static const struct {
        const char *text;
        const char *back;
        const char *alone;
    } cases[] = {
        { "198.51.100.4:443", "198.51.100.4:443", "198.51.100.4" },
        { "0.0.0.0:0", "0.0.0.0:0", "0.0.0.0" },
        { "[2001:db8::1]:65535", "[2001:db8::1]:65535", "2001:db8::1" },
        { "[::ffff:192.0.2.7]:80", "192.0.2.7:80", "192.0.2.7" },
        { "[::]:1", "[::]:1", "::" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sockaddr_storage a;
        struct visitor_address v;
        char text[ADDRESS_TEXT_MAX];

        assert_int_equal(address_parse(cases[i].text, &a), ERR_OK);
        address_text(&a, text, sizeof(text));
        assert_string_equal(text, cases[i].back);
        address_to_visitor(&a, &v);
        address_visitor_text(&v, text, sizeof(text));
        assert_string_equal(text, cases[i].alone);
    }
}

static void test_what_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = {
        "",           "1.2.3.4",       "1.2.3.4:",       ":80",
        "[::1]",      "[::1]80",       "[::1:80",        "::1:80",
        "name:80",    "1.2.3.4:65536", "1.2.3.4:-1",     "1.2.3.4:8x",
        "1.2.3:80",   "[1.2.3.4]:80",  "1.2.3.4:000080", "1.2.3.4: 80",
        " 1.2.3.4:80"
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sockaddr_storage a;

        if (address_parse(bad[i], &a) != ERR_SETTINGS) {
            print_error("accepted: %s\n", bad[i]);
            fail();
        }
    }
}

static void test_hosts_and_ports_are_split(void **state)
{
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
        uint16_t port;
    } cases[] = {
        { "relay.example", "relay.example", 443 },
        { "relay.example:8443", "relay.example", 8443 },
        { "127.0.0.1", "127.0.0.1", 443 },
        { "[::1]", "::1", 443 },
        { "[::1]:9", "::1", 9 },
        { "", NULL, 0 },
        { ":9", NULL, 0 },
        { "::1", NULL, 0 },
        { "a:b", NULL, 0 },
        { "a:", NULL, 0 },
        { "a b", NULL, 0 },
        { "a/b", NULL, 0 },
        { "u@a", NULL, 0 },
        { "[a]", NULL, 0 },
        { "[]:1", NULL, 0 },
        { "a\x01", NULL, 0 },
        { "sixteen-bytes-xx", NULL, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[16];
        uint16_t port = 0;
        enum err e = address_split(span_text(cases[i].text), 443, host,
                                   sizeof(host), &port);

        if (cases[i].host == NULL) {
            assert_int_equal(e, ERR_SETTINGS);
            continue;
        }
        assert_int_equal(e, ERR_OK);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void test_loopback_is_known(void **state)
{
    static const char *const near[] = { "127.0.0.1:1", "127.8.9.1:1", "[::1]:1",
                                        "[::ffff:127.0.0.1]:1" };
    static const char *const far[] = { "128.0.0.1:1", "[::2]:1", "[::]:1" };
    struct sockaddr_storage a;
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(near) / sizeof(near[0]); i++) {
        assert_int_equal(address_parse(near[i], &a), ERR_OK);
        assert_true(address_is_loopback(&a));
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        assert_int_equal(address_parse(far[i], &a), ERR_OK);
        assert_false(address_is_loopback(&a));
    }
    a = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
    assert_false(address_is_loopback(&a));
    address_text(&a, text, sizeof(text));
    assert_string_equal(text, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_are_read_and_written_back),
        cmocka_unit_test(test_what_is_no_address_is_refused),
        cmocka_unit_test(test_hosts_and_ports_are_split),
        cmocka_unit_test(test_loopback_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
