/* TLS without a socket: records, ends, exporters, and tampering. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/support/certificate.h"
#include "tests/support/tls_pair.h"

#define PLAIN (5u * TLS_RECORD_MAX)

static void link_pair(struct tls_pair *p)
{
    struct tls_context *server, *client;

    assert_int_equal(tls_context_link_server(&server), ERR_OK);
    assert_int_equal(tls_context_link_client(&client), ERR_OK);
    tls_pair_init(p, server, client, "relay.test");
    tls_context_free(server);
    tls_context_free(client);
    assert_true(tls_pair_handshake(p));
}

static void fill(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(i * 7 + (i >> 8));
    }
}

static void test_records_arrive_however_they_are_cut(void **state)
{
    static const size_t pieces[] = { 1, 5, 1000, 16000, TLS_PAIR_ROOM };
    static uint8_t plain[PLAIN], got[PLAIN];
    struct tls_pair p;

    (void)state;
    fill(plain, PLAIN);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        link_pair(&p);
        for (size_t at = 0; at < PLAIN; at += TLS_RECORD_MAX) {
            assert_int_equal(
                tls_write(p.client.tls, span_of(plain + at, TLS_RECORD_MAX)),
                TLS_OK);
        }
        assert_int_equal(
            tls_pair_read(&p.client, &p.server, got, PLAIN, pieces[i]), PLAIN);
        assert_memory_equal(got, plain, PLAIN);
        tls_pair_deinit(&p);
    }
}

static void test_one_write_is_one_record(void **state)
{
    static uint8_t plain[TLS_RECORD_MAX], got[PLAIN];
    struct tls_pair p;
    struct span in;
    size_t before, len;

    (void)state;
    link_pair(&p);
    before = p.client.out.len;
    assert_int_equal(tls_write(p.client.tls, span_of(plain, sizeof(plain))),
                     TLS_OK);
    len = p.client.out.len - before;
    assert_true(len <= TLS_RECORD_MAX + TLS_RECORD_OVERHEAD);
    in = span_of(p.client.out.data + before, len);
    assert_int_equal(in.data[3] << 8 | in.data[4], len - 5);
    /* And is read as one, with nothing behind it. */
    tls_lend_input(p.server.tls, &in);
    assert_int_equal(tls_read(p.server.tls, got, sizeof(got), &len), TLS_OK);
    assert_int_equal(len, TLS_RECORD_MAX);
    assert_int_equal(tls_read(p.server.tls, got, sizeof(got), &len),
                     TLS_WANT_INPUT);
    tls_pair_deinit(&p);
}

static void test_a_close_is_told_from_silence(void **state)
{
    uint8_t got[16];
    struct tls_pair p;

    (void)state;
    link_pair(&p);
    assert_int_equal(tls_pair_read(&p.client, &p.server, got, 16, 16), 0);
    assert_int_equal(p.server.status, TLS_WANT_INPUT);
    assert_int_equal(tls_write(p.client.tls, span_text("bye")), TLS_OK);
    tls_close(p.client.tls);
    assert_int_equal(tls_pair_read(&p.client, &p.server, got, 16, 1000), 3);
    assert_int_equal(p.server.status, TLS_CLOSED);
    /* One direction only: the other still carries. */
    assert_int_equal(tls_write(p.server.tls, span_text("answer")), TLS_OK);
    assert_int_equal(tls_pair_read(&p.server, &p.client, got, 16, 1000), 6);
    assert_int_equal(tls_write(p.client.tls, span_text("no")), TLS_FAILED);
    tls_pair_deinit(&p);
}

static void test_a_changed_byte_fails(void **state)
{
    uint8_t got[16];
    struct tls_pair p;

    (void)state;
    link_pair(&p);
    assert_int_equal(tls_write(p.client.tls, span_text("secret")), TLS_OK);
    p.client.out.data[p.client.out.len - 1] ^= 1;
    assert_int_equal(tls_pair_read(&p.client, &p.server, got, 16, 1000), 0);
    assert_int_equal(p.server.status, TLS_FAILED);
    assert_true(tls_why(p.server.tls)[0] != '\0');
    tls_pair_deinit(&p);
}

static void test_both_ends_export_the_same_and_no_two_links_do(void **state)
{
    uint8_t a[EXPORTER_LEN], b[EXPORTER_LEN], other[EXPORTER_LEN];
    struct tls_pair p, q;

    (void)state;
    link_pair(&p);
    link_pair(&q);
    assert_int_equal(tls_exporter(p.client.tls, a), ERR_OK);
    assert_int_equal(tls_exporter(p.server.tls, b), ERR_OK);
    assert_int_equal(tls_exporter(q.client.tls, other), ERR_OK);
    assert_memory_equal(a, b, EXPORTER_LEN);
    assert_memory_not_equal(a, other, EXPORTER_LEN);
    tls_pair_deinit(&p);
    tls_pair_deinit(&q);
}

static void test_no_relay_is_told_with_the_issuer(void **state)
{
    struct certificate cert;
    struct tls_context *server, *client;
    struct tls_pair p;
    const char *why;

    (void)state;
    certificate_make("proxy.test", &cert);
    assert_int_equal(tls_context_visitors(span_text(cert.chain),
                                          span_text(cert.key), &server, &why),
                     ERR_OK);
    assert_int_equal(tls_context_link_client(&client), ERR_OK);
    tls_pair_init(&p, server, client, "relay.test");
    assert_false(tls_pair_handshake(&p));
    assert_non_null(strstr(tls_why(p.client.tls), "Sallyport tests"));
    tls_pair_deinit(&p);
    tls_context_free(server);
    tls_context_free(client);
}

static void test_a_flight_that_does_not_fit_fails(void **state)
{
    struct tls_context *client;
    uint8_t small[64];
    struct wire_writer out;
    struct tls *t;

    (void)state;
    assert_int_equal(tls_context_link_client(&client), ERR_OK);
    t = tls_new_client(client, NULL);
    assert_int_equal(tls_handshake(t), TLS_FAILED);
    tls_free(t);
    t = tls_new_client(client, "127.0.0.1");
    wire_writer_init(&out, small, sizeof(small));
    tls_lend_output(t, &out);
    assert_int_equal(tls_handshake(t), TLS_FAILED);
    tls_free(t);
    tls_context_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_arrive_however_they_are_cut),
        cmocka_unit_test(test_one_write_is_one_record),
        cmocka_unit_test(test_a_close_is_told_from_silence),
        cmocka_unit_test(test_a_changed_byte_fails),
        cmocka_unit_test(test_both_ends_export_the_same_and_no_two_links_do),
        cmocka_unit_test(test_no_relay_is_told_with_the_issuer),
        cmocka_unit_test(test_a_flight_that_does_not_fit_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
