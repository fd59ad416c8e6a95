/* What each role accepts, and what is no usable certificate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/tls.h"
#include "tests/support/certificate.h"
#include "tests/support/tls_pair.h"

static struct tls_context *visitors(const char *name)
{
    struct certificate cert;
    struct tls_context *c;
    const char *why;

    certificate_make(name, &cert);
    assert_int_equal(tls_context_visitors(span_text(cert.chain),
                                          span_text(cert.key), &c, &why),
                     ERR_OK);
    return c;
}

static void test_bad_pairs_are_refused_with_a_reason(void **state)
{
    static const char junk[] = "-----BEGIN CERTIFICATE-----\nAAAA\n"
                               "-----END CERTIFICATE-----\n";
    struct certificate a, b;
    struct tls_context *c;

    (void)state;
    certificate_make("a.test", &a);
    certificate_make("b.test", &b);

    const struct {
        const char *chain, *key, *why;
    } cases[] = {
        { "", a.key, "there is no PEM certificate in it" },
        { a.key, a.key, "there is no PEM certificate in it" },
        { junk, a.key, "a certificate in it is damaged" },
        { a.chain, "",
          "there is no usable PEM private key in it (or it has a "
          "password)" },
        { a.chain, b.key,
          "the private key does not belong to the "
          "certificate" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why = NULL;

        assert_int_equal(tls_context_visitors(span_text(cases[i].chain),
                                              span_text(cases[i].key), &c,
                                              &why),
                         ERR_FILE);
        assert_string_equal(why, cases[i].why);
    }
    tls_context_free(NULL);
}

/* What becomes of a handshake between |server| and |client|; both are freed. */
static bool agree(struct tls_context *server, struct tls_context *client,
                  const char *host, const char *alpn)
{
    struct tls_pair p;
    bool is_up;

    tls_pair_init(&p, server, client, host);
    tls_context_free(server);
    tls_context_free(client);
    is_up = tls_pair_handshake(&p);
    if (is_up) {
        assert_true(span_equal(tls_alpn(p.client.tls), span_text(alpn)));
        assert_true(span_equal(tls_alpn(p.server.tls), span_text(alpn)));
    } else {
        assert_true(tls_why(p.client.tls)[0] != '\0' ||
                    tls_why(p.server.tls)[0] != '\0');
    }
    tls_pair_deinit(&p);
    return is_up;
}

static struct tls_context *link_server(void)
{
    struct tls_context *c;

    assert_int_equal(tls_context_link_server(&c), ERR_OK);
    return c;
}

static struct tls_context *link_client(void)
{
    struct tls_context *c;

    assert_int_equal(tls_context_link_client(&c), ERR_OK);
    return c;
}

static struct tls_context *target(const char *ca, enum tls_verify verify)
{
    struct tls_context *c;
    const char *why;

    assert_int_equal(tls_context_target(ca, verify, &c, &why), ERR_OK);
    return c;
}

static void test_links_agree_on_their_alpn_only(void **state)
{
    (void)state;
    assert_true(agree(link_server(), link_client(), "relay.test", LINK_ALPN));
    /* A browser's offer on a link, and a link at a web server. */
    assert_false(
        agree(link_server(), target(NULL, TLS_VERIFY_NOT), "a.test", ""));
    assert_false(agree(visitors("a.test"), link_client(), "a.test", ""));
}

static void test_visitors_get_http(void **state)
{
    (void)state;
    assert_true(agree(visitors("a.test"), target(NULL, TLS_VERIFY_NOT),
                      "other.test", "http/1.1"));
}

static void test_a_target_is_verified(void **state)
{
    char path[] = "/tmp/sallyport-test-ca-XXXXXX";
    struct certificate cert;
    struct tls_context *c;
    const char *why;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    certificate_make("good.test", &cert);
    assert_int_equal(write(fd, cert.chain, strlen(cert.chain)),
                     strlen(cert.chain));
    close(fd);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tls_context_visitors(span_text(cert.chain),
                                              span_text(cert.key), &c, &why),
                         ERR_OK);
        /* Known and named right; of another name; unknown. */
        if (i < 2) {
            assert_int_equal(agree(c, target(path, TLS_VERIFY),
                                   i == 0 ? "good.test" : "bad.test",
                                   "http/1.1"),
                             i == 0);
        } else {
            assert_false(agree(c, target(NULL, TLS_VERIFY), "good.test", ""));
        }
    }
    unlink(path);
    assert_int_equal(tls_context_target(path, TLS_VERIFY, &c, &why), ERR_FILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_pairs_are_refused_with_a_reason),
        cmocka_unit_test(test_links_agree_on_their_alpn_only),
        cmocka_unit_test(test_visitors_get_http),
        cmocka_unit_test(test_a_target_is_verified),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
