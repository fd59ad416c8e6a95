/* Whole frames out of pieces, and heads out of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proto/assembly.h"
#include "proto/collector.h"
#include "tests/support/bytes.h"

/* Two frames, 11 and 8 bytes long. */
static size_t two_frames(uint8_t *out)
{
    struct span frame = bytes_frame(2, FRAME_DATA, 0, span_text("abc"));
    size_t len = frame.len;

    memcpy(out, frame.data, frame.len);
    frame = bytes_frame(2, FRAME_DATA, FRAME_FIN, span_of(NULL, 0));
    memcpy(out + len, frame.data, frame.len);
    return len + frame.len;
}

static void test_frames_cut_anywhere_come_out_whole(void **state)
{
    uint8_t bytes[64];
    size_t len = two_frames(bytes);

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        struct assembly a = { .bytes = NULL };
        unsigned frames = 0;
        size_t done = 0;

        while (done < len) {
            size_t until = done < cut ? cut : len;
            struct assembly_frame frame;
            const char *why;
            size_t used;

            assert_int_equal(assembly_take(&a,
                                           span_of(bytes + done, until - done),
                                           true, &used, &frame, &why),
                             ERR_OK);
            assert_true(used > 0);
            done += used;
            if (frame.is_whole && ++frames == 1) {
                assert_true(span_equal(frame.payload, span_text("abc")));
            }
        }
        assert_int_equal(frames, 2);
        assembly_deinit(&a);
    }
}

static void test_a_whole_frame_is_not_copied(void **state)
{
    struct assembly a = { .bytes = NULL };
    uint8_t bytes[64];
    size_t len = two_frames(bytes);
    struct assembly_frame frame;
    const char *why;
    size_t used;

    (void)state;
    assert_int_equal(
        assembly_take(&a, span_of(bytes, len), true, &used, &frame, &why),
        ERR_OK);
    assert_true(frame.is_whole);
    assert_ptr_equal(frame.payload.data, bytes + FRAME_HEADER_LEN);
    assert_null(a.bytes);
}

static void test_a_bad_header_is_refused_before_its_payload(void **state)
{
    struct assembly a = { .bytes = NULL };
    uint8_t header[FRAME_HEADER_LEN] = { 0, 0, 0, 2, 0xff, 0xff, FRAME_DATA };
    struct assembly_frame frame;
    const char *why = NULL;
    size_t used;

    (void)state;
    for (size_t first = 0; first < 8; first++) {
        enum err error = ERR_OK;

        if (first > 0) {
            error = assembly_take(&a, span_of(header, first), true, &used,
                                  &frame, &why);
            assert_int_equal(error, ERR_OK);
        }
        error = assembly_take(&a, span_of(header + first, 8 - first), true,
                              &used, &frame, &why);
        assert_int_equal(error, ERR_PROTOCOL);
        assert_non_null(why);
        assembly_deinit(&a);
    }
}

static void test_a_head_grows_to_its_bound_and_no_further(void **state)
{
    static const uint8_t bytes[FRAME_PAYLOAD_MAX];
    struct collector c = { .bytes = NULL };
    struct span rest = span_of(bytes, HEAD_MAX - 4 * sizeof(bytes));
    uint8_t *block;

    (void)state;
    collector_begin(&c, HEAD_FINAL);
    assert_int_equal(collector_add(&c, span_of(NULL, 0)), ERR_OK);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(collector_add(&c, span_of(bytes, sizeof(bytes))),
                         ERR_OK);
    }
    assert_int_equal(collector_add(&c, span_of(bytes, rest.len + 1)),
                     ERR_PROTOCOL);
    assert_int_equal(collector_add(&c, rest), ERR_OK);
    assert_int_equal(c.len, HEAD_MAX);
    assert_true(c.capacity <= 2 * HEAD_MAX);
    block = collector_end(&c);
    assert_false(c.is_active);
    assert_int_equal(c.len, 0);
    free(block);
    collector_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_cut_anywhere_come_out_whole),
        cmocka_unit_test(test_a_whole_frame_is_not_copied),
        cmocka_unit_test(test_a_bad_header_is_refused_before_its_payload),
        cmocka_unit_test(test_a_head_grows_to_its_bound_and_no_further),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
