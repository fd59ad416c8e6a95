/* The relay's settings: what follows from them, what does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/relay_settings.h"

static struct relay_settings s;
static struct settings_error wrong;

/* Read the flags |words|, over no file unless they name one. */
static enum err read_words(const char *const *words)
{
    char *argv[16] = { (char *)"run", (char *)"--config", (char *)"/dev/null" };
    struct settings_line line = { .argc = 3, .argv = argv };

    for (size_t i = 0; words[i] != NULL; i++) {
        argv[line.argc++] = (char *)words[i];
    }
    wrong.text[0] = '\0';
    return relay_settings_read(&s, &line, &wrong);
}

static void test_a_domain_is_all_it_needs(void **state)
{
    static const char *const words[] = { "--domain", "T.Example.com.", NULL };
    char url[URL_MAX_LEN];

    (void)state;
    assert_int_equal(read_words(words), ERR_OK);
    assert_string_equal(s.domain, "t.example.com");
    assert_int_equal(s.public_port, 443);
    assert_string_equal(s.invite_host, "t.example.com:443");
    assert_true(s.local_ca);
    assert_int_equal(s.listen.count, 2);
    assert_int_equal(s.log_level, LOG_INFO);
    assert_int_equal(s.grace_us, GRACE_DEFAULT_US);
    assert_int_equal(s.streams_max, STREAMS_MAX_DEFAULT);
    assert_int_equal(s.address_connections, ADDRESS_CONNECTIONS_MAX);
    assert_int_equal(s.address_handshakes, ADDRESS_HANDSHAKES_MAX);
    assert_int_equal(s.address_rate, ADDRESS_RATE_PER_S);
    assert_int_equal(s.address_burst, ADDRESS_BURST);
    assert_int_equal(s.expires_us, INVITATION_EXPIRES_S * US_PER_S);
    relay_settings_url(&s, "demo", url, sizeof(url));
    assert_string_equal(url, "https://demo.t.example.com");
}

static void test_ports_follow_the_first_address(void **state)
{
    static const char *const words[] = {
        "--domain",      "t.test", "--listen=[::1]:8443", "--invite-host=[::1]",
        "--certs=pairs", NULL
    };
    char url[URL_MAX_LEN];

    (void)state;
    assert_int_equal(read_words(words), ERR_OK);
    assert_int_equal(s.public_port, 8443);
    assert_string_equal(s.invite_host, "[::1]:8443");
    assert_int_equal(s.listen.count, 1);
    assert_false(s.local_ca);
    assert_int_equal(s.certs[0], '/');
    relay_settings_url(&s, "", url, sizeof(url));
    assert_string_equal(url, "https://t.test:8443");
}

static void test_what_does_not_fit_is_said(void **state)
{
    static const struct {
        const char *words[5], *want;
    } cases[] = {
        { { NULL }, "domain is not set" },
        { { "--domain=a b" }, "domain: \"a b\" is no domain name" },
        { { "--domain=a:1" }, "domain: \"a:1\" is no domain name" },
        { { "--domain=t.test", "--listen=443" },
          "listen: \"443\" is no address and port" },
        { { "--domain=t.test", "--redirect-listen=x:80" },
          "redirect-listen: \"x:80\" is no address and port" },
        { { "--domain=t.test", "--listen=127.0.0.1:0" }, "has port 0" },
        { { "--domain=t.test", "--invite-host=:1" },
          "invite-host: \":1\" is no HOST" },
        { { "--domain=t.test", "--log=loud" },
          "log: \"loud\" is not error, warn, info or debug" },
        { { "--domain=t.test", "--grace=10m" },
          "--grace: must be from 0s to 5m" },
        { { "--config=/nowhere/relay.yaml" },
          "/nowhere/relay.yaml: No such file" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_words(cases[i].words), ERR_SETTINGS);
        if (strstr(wrong.text, cases[i].want) == NULL) {
            assert_string_equal(wrong.text, cases[i].want);
        }
    }
}

static void test_the_sample_file_says_the_defaults(void **state)
{
    static const char *const words[] = { "--config",
                                         TESTS_DIR "/../deploy/relay.yaml",
                                         NULL };
    static const char *const none[] = { "--domain=t.example.com", NULL };
    struct relay_settings sample;

    (void)state;
    assert_int_equal(read_words(words), ERR_OK);
    sample = s;
    assert_int_equal(read_words(none), ERR_OK);
    assert_memory_equal(&sample.listen, &s.listen, sizeof(s.listen));
    assert_string_equal(sample.domain, s.domain);
    assert_int_equal(sample.grace_us, s.grace_us);
    assert_int_equal(sample.names_max, s.names_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_domain_is_all_it_needs),
        cmocka_unit_test(test_ports_follow_the_first_address),
        cmocka_unit_test(test_what_does_not_fit_is_said),
        cmocka_unit_test(test_the_sample_file_says_the_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
