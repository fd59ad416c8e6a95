/*
 * The checked cursor: order of bytes, edges, and overruns that stick.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/wire.h"

static const uint8_t whole[] = {
    0x01,                                           /* u8 */
    0x01, 0x02,                                     /* u16 */
    0x01, 0x02, 0x03, 0x04,                         /* u32 */
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, /* u64 */
    0x02, 'a',  'b',                                /* string8 */
    0x00, 0x03, 'c',  'd',  'e',                    /* string16 */
    'f',  'g',                                      /* bytes */
};

struct values {
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    struct span string8, string16, bytes;
};

static void read_all(struct wire_reader *r, struct span in, struct values *v)
{
    wire_reader_init(r, in);
    v->u8 = wire_read_u8(r);
    v->u16 = wire_read_u16(r);
    v->u32 = wire_read_u32(r);
    v->u64 = wire_read_u64(r);
    v->string8 = wire_read_string8(r);
    v->string16 = wire_read_string16(r);
    v->bytes = wire_read_bytes(r, 2);
}

static void test_integers_are_big_endian(void **state)
{
    struct wire_reader r;
    struct values v;

    (void)state;
    read_all(&r, span_of(whole, sizeof(whole)), &v);
    assert_true(wire_reader_done(&r));
    assert_int_equal(v.u8, 1);
    assert_int_equal(v.u16, 0x0102);
    assert_int_equal(v.u32, 0x01020304);
    assert_int_equal(v.u64, 0x0102030405060708);
    assert_true(span_equal(v.string8, span_text("ab")));
    assert_true(span_equal(v.string16, span_text("cde")));
    assert_true(span_equal(v.bytes, span_text("fg")));
}

static void test_every_length_short_is_bad(void **state)
{
    struct wire_reader r;
    struct values v;

    (void)state;
    for (size_t len = 0; len < sizeof(whole); len++) {
        read_all(&r, span_of(whole, len), &v);
        assert_true(r.is_bad);
        assert_false(wire_reader_done(&r));
        assert_int_equal(v.bytes.len, 0);
    }
}

static void test_a_byte_left_over_is_not_done(void **state)
{
    const uint8_t in[] = { 1, 2, 3 };
    struct wire_reader r;

    (void)state;
    wire_reader_init(&r, span_of(in, sizeof(in)));
    assert_int_equal(wire_read_u16(&r), 0x0102);
    assert_false(r.is_bad);
    assert_false(wire_reader_done(&r));
    assert_int_equal(wire_read_u8(&r), 3);
    assert_true(wire_reader_done(&r));
}

static void test_an_overrun_sticks_and_yields_zeros(void **state)
{
    const uint8_t in[] = { 0xff, 0xff, 0xff };
    uint8_t copy[2] = { 7, 7 };
    struct wire_reader r;

    (void)state;
    wire_reader_init(&r, span_of(in, sizeof(in)));
    assert_int_equal(wire_read_u32(&r), 0);
    assert_int_equal(wire_read_u8(&r), 0);
    wire_read_copy(&r, copy, sizeof(copy));
    assert_int_equal(copy[0] | copy[1], 0);
    assert_int_equal(wire_read_bytes(&r, 0).len, 0);
    assert_false(wire_reader_done(&r));
}

static void test_a_copy_takes_what_is_there(void **state)
{
    const uint8_t in[] = { 1, 2, 3 };
    uint8_t copy[3] = { 0 };
    struct wire_reader r;

    (void)state;
    wire_reader_init(&r, span_of(in, sizeof(in)));
    wire_read_copy(&r, copy, 0);
    wire_read_copy(&r, copy, 3);
    assert_memory_equal(copy, in, 3);
    assert_true(wire_reader_done(&r));
}

static void test_reading_nothing_from_nothing_is_done(void **state)
{
    struct wire_reader r;

    (void)state;
    wire_reader_init(&r, span_of(NULL, 0));
    assert_int_equal(wire_read_bytes(&r, 0).len, 0);
    assert_true(wire_reader_done(&r));
}

static void write_all(struct wire_writer *w)
{
    wire_write_u8(w, 1);
    wire_write_u16(w, 0x0102);
    wire_write_u32(w, 0x01020304);
    wire_write_u64(w, 0x0102030405060708);
    wire_write_string8(w, span_text("ab"));
    wire_write_string16(w, span_text("cde"));
    wire_write_text(w, "fg");
}

static void test_what_is_written_is_what_is_read(void **state)
{
    uint8_t out[sizeof(whole)];
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, out, sizeof(out));
    write_all(&w);
    assert_true(wire_writer_done(&w));
    assert_true(span_equal(wire_written(&w), span_of(whole, sizeof(whole))));
}

static void test_a_writer_never_passes_its_capacity(void **state)
{
    (void)state;
    for (size_t capacity = 0; capacity < sizeof(whole); capacity++) {
        uint8_t out[sizeof(whole)] = { 0 };
        struct wire_writer w;

        wire_writer_init(&w, out, capacity);
        write_all(&w);
        assert_false(wire_writer_done(&w));
        assert_true(wire_written(&w).len <= capacity);
        for (size_t i = capacity; i < sizeof(out); i++) {
            assert_int_equal(out[i], 0);
        }
    }
}

static void test_a_writer_that_went_bad_drops_the_rest(void **state)
{
    uint8_t out[4];
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, out, sizeof(out));
    wire_write_u64(&w, 1);
    wire_write_u8(&w, 1);
    assert_int_equal(wire_written(&w).len, 0);
    assert_false(wire_writer_done(&w));
}

static void test_a_string_longer_than_its_length_can_say_is_bad(void **state)
{
    static uint8_t text[UINT16_MAX + 1];
    static uint8_t out[UINT16_MAX + 8];
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, out, sizeof(out));
    wire_write_string8(&w, span_of(text, UINT8_MAX));
    assert_true(wire_writer_done(&w));
    wire_write_string8(&w, span_of(text, UINT8_MAX + 1));
    assert_false(wire_writer_done(&w));

    wire_writer_init(&w, out, sizeof(out));
    wire_write_string16(&w, span_of(text, UINT16_MAX));
    assert_true(wire_writer_done(&w));
    wire_writer_init(&w, out, sizeof(out));
    wire_write_string16(&w, span_of(text, UINT16_MAX + 1));
    assert_false(wire_writer_done(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_big_endian),
        cmocka_unit_test(test_every_length_short_is_bad),
        cmocka_unit_test(test_a_byte_left_over_is_not_done),
        cmocka_unit_test(test_an_overrun_sticks_and_yields_zeros),
        cmocka_unit_test(test_a_copy_takes_what_is_there),
        cmocka_unit_test(test_reading_nothing_from_nothing_is_done),
        cmocka_unit_test(test_what_is_written_is_what_is_read),
        cmocka_unit_test(test_a_writer_never_passes_its_capacity),
        cmocka_unit_test(test_a_writer_that_went_bad_drops_the_rest),
        cmocka_unit_test(test_a_string_longer_than_its_length_can_say_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
