/* Whole or not at all: a pipe is read to its end, and a limit is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "common/whole.h"

static void test_what_comes_in_pieces_is_read_whole(void **state)
{
    uint8_t out[8];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(whole_write(ends[1], span_text("abc")));
    assert_true(whole_write(ends[1], span_of(NULL, 0)));
    assert_true(whole_write(ends[1], span_text("de")));
    (void)close(ends[1]);
    assert_int_equal(whole_read(ends[0], out, sizeof(out)), 5);
    assert_memory_equal(out, "abcde", 5);
    assert_int_equal(whole_read(ends[0], out, sizeof(out)), 0);
    (void)close(ends[0]);
}

static void test_no_more_is_read_than_there_is_room(void **state)
{
    uint8_t out[3];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(whole_write(ends[1], span_text("abcde")));
    assert_int_equal(whole_read(ends[0], out, sizeof(out)), 3);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_a_closed_descriptor_is_an_error(void **state)
{
    uint8_t out[3];

    (void)state;
    assert_int_equal(whole_read(-1, out, sizeof(out)), -1);
    assert_int_equal(errno, EBADF);
    assert_false(whole_write(-1, span_text("a")));
    assert_int_equal(errno, EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_comes_in_pieces_is_read_whole),
        cmocka_unit_test(test_no_more_is_read_than_there_is_room),
        cmocka_unit_test(test_a_closed_descriptor_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
