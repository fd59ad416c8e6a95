/* ClientHellos: real ones, cut up, and all kinds of broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "common/tls.h"
#include "common/tls_hello.h"

static size_t begin16(struct wire_writer *w)
{
    wire_write_u16(w, 0);
    return w->len;
}

static void end16(struct wire_writer *w, size_t begun)
{
    size_t len = w->len - begun;

    w->data[begun - 2] = (uint8_t)(len >> 8);
    w->data[begun - 1] = (uint8_t)len;
}

struct hello_parts {
    const char *name;     /* NULL: no server_name */
    const char *name_two; /* a second entry in the list */
    const char *alpn[3];
    bool repeats;   /* the server_name extension comes twice */
    size_t padding; /* an extension of so many bytes */
};

static void put_name(struct wire_writer *w, const struct hello_parts *p)
{
    size_t extension, list;

    wire_write_u16(w, 0);
    extension = begin16(w);
    list = begin16(w);
    wire_write_u8(w, 0);
    wire_write_string16(w, span_text(p->name));
    if (p->name_two != NULL) {
        wire_write_u8(w, 0);
        wire_write_string16(w, span_text(p->name_two));
    }
    end16(w, list);
    end16(w, extension);
}

static void put_alpn(struct wire_writer *w, const struct hello_parts *p)
{
    size_t extension, list;

    wire_write_u16(w, 16);
    extension = begin16(w);
    list = begin16(w);
    for (size_t i = 0; i < 3 && p->alpn[i] != NULL; i++) {
        wire_write_string8(w, span_text(p->alpn[i]));
    }
    end16(w, list);
    end16(w, extension);
}

/* The handshake message. */
static void put_hello(struct wire_writer *w, const struct hello_parts *p)
{
    static const uint8_t zeros[HELLO_MAX];
    size_t body, extensions;

    wire_write_u8(w, 1);
    wire_write_u8(w, 0);
    body = begin16(w);
    wire_write_u16(w, 0x0303);
    wire_write_bytes(w, span_of(zeros, 32));
    wire_write_string8(w, span_of(zeros, 32));
    wire_write_string16(w, span_of("\x13\x01", 2));
    wire_write_string8(w, span_of(zeros, 1));
    extensions = begin16(w);
    if (p->name != NULL) {
        put_name(w, p);
    }
    if (p->repeats) {
        put_name(w, p);
    }
    if (p->alpn[0] != NULL) {
        put_alpn(w, p);
    }
    if (p->padding > 0) {
        wire_write_u16(w, 21);
        wire_write_string16(w, span_of(zeros, p->padding));
    }
    end16(w, extensions);
    end16(w, body);
    assert_true(wire_writer_done(w));
}

/* |message| in records of |piece| bytes. */
static void put_records(struct wire_writer *w, struct span message,
                        size_t piece)
{
    while (message.len > 0) {
        size_t len = message.len < piece ? message.len : piece;

        wire_write_bytes(w, span_of("\x16\x03\x01", 3));
        wire_write_string16(w, span_of(message.data, len));
        message = span_after(message, len);
    }
}

static enum tls_hello_state read_parts(const struct hello_parts *p,
                                       size_t piece, struct tls_hello *hello)
{
    uint8_t message[HELLO_MAX], records[6 * HELLO_MAX + 6];
    struct wire_writer m, r;

    wire_writer_init(&m, message, sizeof(message));
    wire_writer_init(&r, records, sizeof(records));
    put_hello(&m, p);
    put_records(&r, wire_written(&m), piece);
    return tls_hello_read(wire_written(&r), hello);
}

static void test_names_and_offers_are_found(void **state)
{
    struct hello_parts p = { .name = "Demo.T.Example-1.com",
                             .alpn = { "h2", "http/1.1" } };
    struct tls_hello hello;

    (void)state;
    for (size_t piece = 1; piece < 400; piece += 7) {
        assert_int_equal(read_parts(&p, piece, &hello), TLS_HELLO_WHOLE);
        assert_string_equal(hello.server_name, "demo.t.example-1.com");
        assert_false(hello.offers_link);
        assert_true(hello.offers_other);
    }
}

static void test_a_link_is_known_by_its_only_offer(void **state)
{
    static const struct hello_parts cases[] = {
        { .alpn = { LINK_ALPN } },
        { .alpn = { LINK_ALPN, "http/1.1" } },
        { .alpn = { "h2", LINK_ALPN } },
        { .name = "a" },
    };
    struct tls_hello hello;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(read_parts(&cases[i], 999, &hello), TLS_HELLO_WHOLE);
        assert_int_equal(hello.offers_link, i < 3);
        assert_int_equal(hello.offers_other, i == 1 || i == 2);
    }
}

static void test_bad_names_and_offers_are_refused(void **state)
{
    static const struct hello_parts cases[] = {
        { .name = "" },
        { .name = "a b" },
        { .name = "a." },
        { .name = "caf\xc3\xa9" },
        { .name = "a/../b" },
        { .name = "a", .name_two = "b" },
        { .name = "a", .repeats = true },
        { .alpn = { "h2", "" } },
    };
    struct tls_hello hello;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (read_parts(&cases[i], 999, &hello) != TLS_HELLO_BAD) {
            print_error("case %zu\n", i);
            fail();
        }
    }
}

/* A hello as BoringSSL writes it, post-quantum share and all. */
static size_t real_hello(uint8_t *out, size_t size)
{
    struct tls_context *context;
    struct wire_writer w;
    struct tls *t;

    assert_int_equal(tls_context_link_client(&context), ERR_OK);
    t = tls_new_client(context, "relay.example");
    wire_writer_init(&w, out, size);
    tls_lend_output(t, &w);
    assert_int_equal(tls_handshake(t), TLS_WANT_INPUT);
    tls_free(t);
    tls_context_free(context);
    return w.len;
}

static void test_a_real_hello_is_read_and_never_early(void **state)
{
    uint8_t bytes[HELLO_MAX];
    size_t len = real_hello(bytes, sizeof(bytes));
    struct tls_hello hello;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(tls_hello_read(span_of(bytes, i), &hello),
                         TLS_HELLO_MORE);
    }
    assert_int_equal(tls_hello_read(span_of(bytes, len), &hello),
                     TLS_HELLO_WHOLE);
    assert_string_equal(hello.server_name, "relay.example");
    assert_true(hello.offers_link);
    assert_false(hello.offers_other);
}

static void test_a_flipped_byte_does_no_harm(void **state)
{
    uint8_t bytes[HELLO_MAX];
    size_t len = real_hello(bytes, sizeof(bytes));
    struct tls_hello hello;

    (void)state;
    for (size_t i = 0; i < len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t *copy = malloc(len);

            memcpy(copy, bytes, len);
            copy[i] ^= (uint8_t)(1u << bit);
            tls_hello_read(span_of(copy, len), &hello);
            assert_non_null(memchr(hello.server_name, 0, 256));
            free(copy);
        }
    }
}

static void test_what_is_no_hello_is_bad_at_once(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        { "G", 1 },
        { "\x16\x02", 2 },
        { "\x16\x03\x01\x00\x00", 5 },
        { "\x16\x03\x01\x40\x01", 5 },
        { "\x16\x03\x01\x00\x01\x02", 6 },
        { "\x16\x03\x01\x00\x04\x01\x00\x40\x00", 9 },
        { "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10 },
    };
    struct tls_hello hello;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            tls_hello_read(span_of(cases[i].bytes, cases[i].len), &hello),
            TLS_HELLO_BAD);
    }
    assert_int_equal(tls_hello_read(span_of("", 0), &hello), TLS_HELLO_MORE);
}

static void test_the_length_has_a_bound(void **state)
{
    struct hello_parts p = { .padding = 16000 };
    struct tls_hello hello;

    (void)state;
    assert_int_equal(read_parts(&p, TLS_RECORD_MAX, &hello), TLS_HELLO_WHOLE);
    assert_int_equal(read_parts(&p, 1, &hello), TLS_HELLO_WHOLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_offers_are_found),
        cmocka_unit_test(test_a_link_is_known_by_its_only_offer),
        cmocka_unit_test(test_bad_names_and_offers_are_refused),
        cmocka_unit_test(test_a_real_hello_is_read_and_never_early),
        cmocka_unit_test(test_a_flipped_byte_does_no_harm),
        cmocka_unit_test(test_what_is_no_hello_is_bad_at_once),
        cmocka_unit_test(test_the_length_has_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
