/*
 * Chunks and their queues: headroom, growth at both ends, order and sums.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/chunk.h"
#include "proto/limits.h"

static struct chunk *chunk_text(const char *text)
{
    struct chunk *c = chunk_copy(span_text(text));

    assert_non_null(c);
    return c;
}

static void test_a_new_chunk_is_empty_with_all_its_room(void **state)
{
    struct chunk *c = chunk_new(100);

    (void)state;
    assert_non_null(c);
    assert_int_equal(chunk_span(c).len, 0);
    assert_int_equal(chunk_room(c), 100);
    assert_ptr_equal(chunk_data(c), chunk_tail(c));
    chunk_free(c);
}

static void test_a_copy_holds_the_same_bytes(void **state)
{
    struct chunk *c = chunk_text("hello");

    (void)state;
    assert_true(span_equal(chunk_span(c), span_text("hello")));
    assert_int_equal(chunk_room(c), 0);
    chunk_free(c);

    c = chunk_copy(span_of(NULL, 0));
    assert_non_null(c);
    assert_int_equal(chunk_span(c).len, 0);
    chunk_free(c);
}

static void test_bytes_written_at_the_tail_join_the_payload(void **state)
{
    struct chunk *c = chunk_new(8);

    (void)state;
    memcpy(chunk_tail(c), "abc", 3);
    chunk_grow(c, 3);
    memcpy(chunk_tail(c), "defgh", 5);
    chunk_grow(c, 5);
    assert_true(span_equal(chunk_span(c), span_text("abcdefgh")));
    assert_int_equal(chunk_room(c), 0);
    chunk_free(c);
}

static void test_a_header_goes_in_front_without_a_copy(void **state)
{
    struct chunk *c = chunk_text("payload");
    const uint8_t *payload = chunk_data(c);
    uint8_t *header = chunk_prepend(c, FRAME_HEADER_LEN);

    (void)state;
    assert_ptr_equal(header + FRAME_HEADER_LEN, payload);
    memcpy(header, "HEADER: ", FRAME_HEADER_LEN);
    assert_true(span_equal(chunk_span(c), span_text("HEADER: payload")));
    chunk_free(c);
}

static void test_dropped_bytes_become_headroom(void **state)
{
    struct chunk *c = chunk_text("0123456789");

    (void)state;
    chunk_drop(c, 4);
    assert_true(span_equal(chunk_span(c), span_text("456789")));
    assert_int_equal(chunk_room(c), 0);
    memcpy(chunk_prepend(c, CHUNK_HEADROOM + 4), "x", 1);
    assert_int_equal(chunk_span(c).len, CHUNK_HEADROOM + 10);
    chunk_drop(c, chunk_span(c).len);
    assert_int_equal(chunk_span(c).len, 0);
    chunk_free(c);
}

static void test_a_queue_keeps_order_and_sums(void **state)
{
    struct chunk_queue q = { 0 };
    struct chunk *c;

    (void)state;
    assert_null(chunk_queue_take(&q));
    chunk_queue_put(&q, chunk_text("one"));
    chunk_queue_put(&q, chunk_text("three"));
    assert_int_equal(q.bytes, 8);
    assert_int_equal(q.count, 2);

    c = chunk_queue_take(&q);
    assert_true(span_equal(chunk_span(c), span_text("one")));
    assert_null(c->next);
    assert_int_equal(q.bytes, 5);
    chunk_queue_put(&q, c);
    c = chunk_queue_take(&q);
    assert_true(span_equal(chunk_span(c), span_text("three")));
    chunk_free(c);
    chunk_free(chunk_queue_take(&q));
    assert_null(chunk_queue_take(&q));
    assert_null(q.tail);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(q.count, 0);
}

static void test_a_cleared_queue_is_empty_and_usable(void **state)
{
    struct chunk_queue q = { 0 };

    (void)state;
    chunk_queue_clear(&q);
    chunk_queue_put(&q, chunk_text("one"));
    chunk_queue_put(&q, chunk_text("two"));
    chunk_queue_clear(&q);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(q.count, 0);
    chunk_queue_put(&q, chunk_text("three"));
    assert_int_equal(q.bytes, 5);
    chunk_queue_clear(&q);
}

static void test_freeing_nothing_is_fine(void **state)
{
    (void)state;
    chunk_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_chunk_is_empty_with_all_its_room),
        cmocka_unit_test(test_a_copy_holds_the_same_bytes),
        cmocka_unit_test(test_bytes_written_at_the_tail_join_the_payload),
        cmocka_unit_test(test_a_header_goes_in_front_without_a_copy),
        cmocka_unit_test(test_dropped_bytes_become_headroom),
        cmocka_unit_test(test_a_queue_keeps_order_and_sums),
        cmocka_unit_test(test_a_cleared_queue_is_empty_and_usable),
        cmocka_unit_test(test_freeing_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
