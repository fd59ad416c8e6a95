/*
 * Borrowed bytes: what is left of them, whether they are the same, and copies
 * of every length around the size of a piece.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/span.h"

#define COPY_MAX (3 * SPAN_COPY_PIECE)
#define GUARD 0xa5

static void test_a_copy_has_all_bytes_and_no_more(void **state)
{
    static const size_t lens[] = {
        0,
        1,
        SPAN_COPY_PIECE - 1,
        SPAN_COPY_PIECE,
        SPAN_COPY_PIECE + 1,
        2 * SPAN_COPY_PIECE,
        2 * SPAN_COPY_PIECE + 1,
        COPY_MAX - 1,
    };
    uint8_t from[COPY_MAX];
    uint8_t to[COPY_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof(from); i++) {
        from[i] = (uint8_t)(i * 7 + i / 251);
    }
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        memset(to, GUARD, sizeof(to));
        span_copy(to + 1, span_of(from, lens[i]));
        assert_int_equal(to[0], GUARD);
        assert_memory_equal(to + 1, from, lens[i]);
        assert_int_equal(to[1 + lens[i]], GUARD);
    }
}

static void test_what_is_left_begins_behind_what_was_used(void **state)
{
    struct span s = span_text("hello");

    (void)state;
    assert_true(span_equal(span_after(s, 2), span_text("llo")));
    assert_int_equal(span_after(s, 5).len, 0);
    assert_ptr_equal(span_after(s, 0).data, s.data);
    assert_false(span_equal(s, span_text("hellO")));
    assert_false(span_equal(s, span_text("hell")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_copy_has_all_bytes_and_no_more),
        cmocka_unit_test(test_what_is_left_begins_behind_what_was_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
