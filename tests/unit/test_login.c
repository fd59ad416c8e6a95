/*
 * The login: LOGIN, WELCOME and DENIED there and back, short by one, with one
 * byte changed; and the very bytes that are signed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/login.h"

enum message { MESSAGE_LOGIN, MESSAGE_WELCOME, MESSAGE_DENIED };

/* Decode |in| and write what was read to |w|; |*body| is what was hashed. */
static enum err again(enum message m, struct span in, struct wire_writer *w,
                      struct span *body)
{
    struct login login;
    struct welcome welcome;
    struct denied denied;

    switch (m) {
    case MESSAGE_LOGIN:
        TRY(login_get(in, &login, body));
        login_put_body(w, &login);
        login_put_signatures(w, &login);
        break;
    case MESSAGE_WELCOME:
        TRY(welcome_get(in, &welcome, body));
        welcome_put_body(w, &welcome);
        welcome_put_signature(w, &welcome);
        break;
    case MESSAGE_DENIED:
        TRY(denied_get(in, &denied, body));
        denied_put_body(w, &denied);
        denied_put_signature(w, &denied);
        break;
    }
    return ERR_OK;
}

static struct login sample_login(void)
{
    struct login l = {
        .minor_max = 3,
        .features = 0x0102030405060708,
        .limits = { 262144, 4096, 20, 0 },
        .epoch = 9,
        .software = { (const uint8_t *)"sallyport/0.1.0", 15 },
    };

    memset(l.client_key, 'K', KEY_LEN);
    memset(l.signature, 'S', SIGNATURE_LEN);
    memset(l.enrol_key, 'E', KEY_LEN);
    memset(l.enrol_signature, 's', SIGNATURE_LEN);
    return l;
}

struct sample {
    enum message message;
    uint8_t bytes[512];
    size_t len;
    size_t body_len;
};

static void put_login(struct sample *s, const struct login *l)
{
    struct wire_writer w;

    wire_writer_init(&w, s->bytes, sizeof(s->bytes));
    login_put_body(&w, l);
    s->body_len = w.len;
    login_put_signatures(&w, l);
    assert_true(wire_writer_done(&w));
    s->len = w.len;
    s->message = MESSAGE_LOGIN;
}

static void put_welcome(struct sample *s, const struct welcome *m)
{
    struct wire_writer w;

    wire_writer_init(&w, s->bytes, sizeof(s->bytes));
    welcome_put_body(&w, m);
    s->body_len = w.len;
    welcome_put_signature(&w, m);
    assert_true(wire_writer_done(&w));
    s->len = w.len;
    s->message = MESSAGE_WELCOME;
}

static void put_denied(struct sample *s, const struct denied *d)
{
    struct wire_writer w;

    wire_writer_init(&w, s->bytes, sizeof(s->bytes));
    denied_put_body(&w, d);
    s->body_len = w.len;
    denied_put_signature(&w, d);
    assert_true(wire_writer_done(&w));
    s->len = w.len;
    s->message = MESSAGE_DENIED;
}

#define SAMPLES 6u
static struct sample samples[SAMPLES];

/* A plain, an enrolling and a resuming login, both welcomes, a denial. */
static int make_samples(void **state)
{
    struct login l = sample_login();
    struct welcome m = {
        .epoch = 9,
        .limits = { 65536, 1, 20, 45 },
        .software = { (const uint8_t *)"relay", 5 },
    };
    struct denied d = {
        .code = ERR_AUTH,
        .sentence = { (const uint8_t *)"no such key", 11 },
    };

    (void)state;
    put_login(&samples[0], &l);
    l.is_enrolling = true;
    put_login(&samples[1], &l);
    l.is_resuming = true;
    l.slot = 1;
    l.received = 1u << 20;
    memset(l.session, 'I', SESSION_ID_LEN);
    put_login(&samples[2], &l);

    memset(m.session, 'I', SESSION_ID_LEN);
    memset(m.signature, 'R', SIGNATURE_LEN);
    put_welcome(&samples[3], &m);
    m.is_resumed = true;
    m.received = UINT64_MAX;
    put_welcome(&samples[4], &m);
    put_denied(&samples[5], &d);
    return 0;
}

static void test_each_message_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct span in = span_of(samples[i].bytes, samples[i].len);
        uint8_t out[512];
        struct wire_writer w;
        struct span body;

        wire_writer_init(&w, out, sizeof(out));
        assert_int_equal(again(samples[i].message, in, &w, &body), ERR_OK);
        assert_true(span_equal(wire_written(&w), in));
        assert_ptr_equal(body.data, in.data);
        assert_int_equal(body.len, samples[i].body_len);
    }
}

static void test_no_message_may_be_short_or_long(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t out[512];
        struct wire_writer w;
        struct span body;

        wire_writer_init(&w, out, sizeof(out));
        for (size_t len = 0; len < samples[i].len; len++) {
            assert_int_equal(again(samples[i].message,
                                   span_of(samples[i].bytes, len), &w, &body),
                             ERR_PROTOCOL);
        }
        assert_int_equal(again(samples[i].message,
                               span_of(samples[i].bytes, samples[i].len + 1),
                               &w, &body),
                         ERR_PROTOCOL);
    }
}

static void test_a_changed_byte_is_refused_or_reads_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct sample *s = &samples[i];
        struct span in = span_of(s->bytes, s->len);

        for (size_t at = 0; at < s->len * 256; at++) {
            uint8_t kept = s->bytes[at / 256];
            uint8_t out[512];
            struct wire_writer w;
            struct span body;

            s->bytes[at / 256] = (uint8_t)at;
            wire_writer_init(&w, out, sizeof(out));
            if (again(s->message, in, &w, &body) == ERR_OK) {
                /* A code that is unknown is written as another. */
                assert_int_equal(wire_written(&w).len, in.len);
                assert_true(s->message == MESSAGE_DENIED ||
                            span_equal(wire_written(&w), in));
            }
            s->bytes[at / 256] = kept;
        }
    }
}

static void test_a_login_is_read_as_it_was_written(void **state)
{
    struct span body;
    struct login l;

    (void)state;
    assert_int_equal(
        login_get(span_of(samples[2].bytes, samples[2].len), &l, &body),
        ERR_OK);
    assert_int_equal(l.minor_min, 0);
    assert_int_equal(l.minor_max, 3);
    assert_int_equal(l.features, 0x0102030405060708);
    assert_int_equal(l.limits.window_first, 262144);
    assert_int_equal(l.limits.tunnels_max, 20);
    assert_int_equal(l.slot, 1);
    assert_int_equal(l.epoch, 9);
    assert_int_equal(l.received, 1u << 20);
    assert_true(l.is_resuming);
    assert_true(l.is_enrolling);
    assert_int_equal(l.client_key[0], 'K');
    assert_int_equal(l.enrol_key[KEY_LEN - 1], 'E');
    assert_int_equal(l.signature[0], 'S');
    assert_int_equal(l.enrol_signature[SIGNATURE_LEN - 1], 's');
    assert_true(span_equal(l.software, span_text("sallyport/0.1.0")));
}

/* Write |l| and say what its decoder says. */
static enum err login_with(const struct login *l)
{
    struct sample s;
    struct login back;
    struct span body;

    put_login(&s, l);
    return login_get(span_of(s.bytes, s.len), &back, &body);
}

static void test_logins_that_contradict_themselves_are_refused(void **state)
{
    struct login l;

    (void)state;
    l = sample_login();
    l.minor_min = 4;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
    l = sample_login();
    l.slot = SLOTS_MAX;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
    l = sample_login();
    l.received = 1;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
    l = sample_login();
    l.session[SESSION_ID_LEN - 1] = 1;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
    l.slot = 1;
    assert_int_equal(login_with(&l), ERR_OK);
}

static void test_limits_that_let_nothing_live_are_refused(void **state)
{
    struct login l;

    (void)state;
    l = sample_login();
    l.limits.window_first = 0;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
    l.limits.window_first = WINDOW_MAX;
    assert_int_equal(login_with(&l), ERR_OK);
    l.limits.window_first = WINDOW_MAX + 1;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
    l = sample_login();
    l.limits.streams_max = 0;
    assert_int_equal(login_with(&l), ERR_PROTOCOL);
}

static void
test_the_longest_and_shortest_lengths_are_the_named_ones(void **state)
{
    char text[SENTENCE_MAX_LEN];
    struct login l = sample_login();
    struct welcome m = { .limits = l.limits };
    struct denied d = { .code = ERR_AUTH };
    struct sample s;

    (void)state;
    memset(text, 'x', sizeof(text));
    l.software.len = 0;
    put_login(&s, &l);
    assert_int_equal(s.len, LOGIN_SHORTEST);
    put_welcome(&s, &m);
    assert_int_equal(s.len, WELCOME_SHORTEST);
    put_denied(&s, &d);
    assert_int_equal(s.len, DENIED_SHORTEST);

    l.is_enrolling = true;
    l.software = span_of(text, SOFTWARE_MAX_LEN);
    m.software = l.software;
    d.sentence = span_of(text, sizeof(text));
    put_login(&s, &l);
    assert_int_equal(s.len, LOGIN_LONGEST);
    assert_true(s.body_len <= LOGIN_BODY_MAX);
    put_welcome(&s, &m);
    assert_int_equal(s.len, WELCOME_LONGEST);
    put_denied(&s, &d);
    assert_int_equal(s.len, DENIED_LONGEST);
}

static void test_a_denial_never_reads_as_no_error(void **state)
{
    uint8_t in[DENIED_SHORTEST] = { 0 };
    struct denied d;
    struct span body;

    (void)state;
    assert_int_equal(denied_get(span_of(in, sizeof(in)), &d, &body),
                     ERR_PROTOCOL);
    in[0] = 0x7f;
    assert_int_equal(denied_get(span_of(in, sizeof(in)), &d, &body), ERR_OK);
    assert_int_equal(d.code, ERR_PROTOCOL);
}

/* Text with its zero, then runs of 32 bytes: X, R, C, L or H. */
static void check_message(const struct wire_writer *w, const char *text,
                          const char *runs)
{
    struct span got = wire_written(w);
    size_t at = strlen(text) + 1;

    assert_true(wire_writer_done(w));
    assert_int_equal(got.len, at + 32 * strlen(runs));
    assert_memory_equal(got.data, text, at);
    for (size_t i = 0; i < 32 * strlen(runs); i++) {
        assert_int_equal(got.data[at + i], runs[i / 32]);
    }
}

static void test_the_signed_bytes_are_the_specified_ones(void **state)
{
    struct login_binding b;
    uint8_t out[LOGIN_MESSAGE_MAX];
    uint8_t hash[HASH_LEN];
    struct wire_writer w;

    (void)state;
    memset(b.exporter, 'X', sizeof(b.exporter));
    memset(b.relay_key, 'R', sizeof(b.relay_key));
    memset(b.client_key, 'C', sizeof(b.client_key));
    memset(b.login_hash, 'L', sizeof(b.login_hash));
    memset(hash, 'H', sizeof(hash));

    wire_writer_init(&w, out, sizeof(out));
    login_client_message(&w, &b);
    check_message(&w, "sallyport/1 client", "XRL");
    wire_writer_init(&w, out, sizeof(out));
    login_enrol_message(&w, &b);
    check_message(&w, "sallyport/1 enrol", "XRCL");
    wire_writer_init(&w, out, sizeof(out));
    login_relay_message(&w, &b, hash);
    check_message(&w, "sallyport/1 relay", "XCLH");
    wire_writer_init(&w, out, sizeof(out));
    login_denied_message(&w, &b, hash);
    check_message(&w, "sallyport/1 denied", "XCLH");
    wire_writer_init(&w, out, sizeof(out));
    login_next_key_message(&w, hash);
    check_message(&w, "sallyport/1 next", "H");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_message_comes_back_as_it_was),
        cmocka_unit_test(test_no_message_may_be_short_or_long),
        cmocka_unit_test(test_a_changed_byte_is_refused_or_reads_as_written),
        cmocka_unit_test(test_a_login_is_read_as_it_was_written),
        cmocka_unit_test(test_logins_that_contradict_themselves_are_refused),
        cmocka_unit_test(test_limits_that_let_nothing_live_are_refused),
        cmocka_unit_test(
            test_the_longest_and_shortest_lengths_are_the_named_ones),
        cmocka_unit_test(test_a_denial_never_reads_as_no_error),
        cmocka_unit_test(test_the_signed_bytes_are_the_specified_ones),
    };
    return cmocka_run_group_tests(tests, make_samples, NULL);
}
