/* The table from id to stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/streams.h"
#include "tests/support/pair.h"

static struct stream *add(struct streams *t, uint32_t id)
{
    struct frame_open open = pair_open(1);
    struct stream *st = stream_new(id, 0, &open);

    assert_non_null(st);
    assert_int_equal(streams_add(t, st), ERR_OK);
    return st;
}

static void drop(struct streams *t, uint32_t id)
{
    struct stream *st = streams_find(t, id);

    assert_non_null(st);
    streams_remove(t, st);
    stream_free(st);
}

static void test_what_was_added_is_found_and_nothing_else(void **state)
{
    struct streams t = { .ids = NULL };

    (void)state;
    assert_null(streams_find(&t, 2));
    for (uint32_t id = 2; id <= 200; id += 4) {
        (void)add(&t, id);
    }
    for (uint32_t id = 1; id <= 210; id++) {
        struct stream *st = streams_find(&t, id);

        assert_int_equal(st != NULL, id % 4 == 2 && id <= 200);
        assert_true(st == NULL || st->id == id);
    }
    for (uint32_t id = 2; id <= 200; id += 4) {
        drop(&t, id);
        assert_null(streams_find(&t, id));
    }
    streams_deinit(&t);
}

static void test_memory_follows_what_lives_not_what_lived(void **state)
{
    struct streams t = { .ids = NULL };

    (void)state;
    (void)add(&t, 2);
    for (uint32_t id = 4; id < 100000; id += 2) {
        (void)add(&t, id);
        if (id >= 40) {
            drop(&t, id - 34);
        }
    }
    assert_int_equal(t.count, 19);
    assert_true(t.capacity <= 64);
    assert_non_null(streams_find(&t, 2));
    while (t.count > 0) {
        drop(&t, t.at[t.used - 1]->id);
    }
    streams_deinit(&t);
}

static void test_an_id_may_come_late(void **state)
{
    struct streams t = { .ids = NULL };
    struct stream *late;

    (void)state;
    (void)add(&t, 2);
    (void)add(&t, 8);
    (void)add(&t, 10);
    drop(&t, 8);
    late = add(&t, 6);
    assert_ptr_equal(streams_find(&t, 6), late);
    late = add(&t, 8);
    assert_ptr_equal(streams_find(&t, 8), late);
    drop(&t, 2);
    drop(&t, 6);
    drop(&t, 8);
    drop(&t, 10);
    streams_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_added_is_found_and_nothing_else),
        cmocka_unit_test(test_memory_follows_what_lives_not_what_lived),
        cmocka_unit_test(test_an_id_may_come_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
