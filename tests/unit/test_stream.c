/* The state table of a stream, walked whole, and its lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/stream.h"
#include "tests/support/pair.h"

/* What each pair must give; the table of PROTOCOL.md once more. */
struct pair_case {
    enum stream_state from;
    enum stream_input input;
    enum err error;
    enum stream_state to;
};

static const struct pair_case cases[] = {
    { STREAM_OPEN, STREAM_SEND_FIN, ERR_OK, STREAM_SENT_FIN },
    { STREAM_OPEN, STREAM_RECV_FIN, ERR_OK, STREAM_GOT_FIN },
    { STREAM_OPEN, STREAM_RESET, ERR_OK, STREAM_DONE },
    { STREAM_SENT_FIN, STREAM_SEND_FIN, ERR_PROTOCOL, STREAM_SENT_FIN },
    { STREAM_SENT_FIN, STREAM_RECV_FIN, ERR_OK, STREAM_DONE },
    { STREAM_SENT_FIN, STREAM_RESET, ERR_OK, STREAM_DONE },
    { STREAM_GOT_FIN, STREAM_SEND_FIN, ERR_OK, STREAM_DONE },
    { STREAM_GOT_FIN, STREAM_RECV_FIN, ERR_PROTOCOL, STREAM_GOT_FIN },
    { STREAM_GOT_FIN, STREAM_RESET, ERR_OK, STREAM_DONE },
    { STREAM_DONE, STREAM_SEND_FIN, ERR_ABSENT, STREAM_DONE },
    { STREAM_DONE, STREAM_RECV_FIN, ERR_ABSENT, STREAM_DONE },
    { STREAM_DONE, STREAM_RESET, ERR_ABSENT, STREAM_DONE },
};

static struct stream *new_stream(uint32_t id)
{
    struct frame_open open = pair_open(1);
    struct stream *st = stream_new(id, 0, &open);

    assert_non_null(st);
    return st;
}

static void test_every_pair_of_state_and_input_is_as_written(void **state)
{
    struct stream *st = new_stream(2);

    (void)state;
    assert_int_equal(sizeof(cases) / sizeof(cases[0]),
                     STREAM_STATES * STREAM_INPUTS);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        st->state = cases[i].from;
        assert_int_equal(stream_apply(st, cases[i].input), cases[i].error);
        assert_int_equal(st->state, cases[i].to);
    }
    stream_free(st);
}

static void test_a_new_stream_is_open_and_stands_in_no_list(void **state)
{
    struct stream *st = new_stream(8);

    (void)state;
    assert_int_equal(st->id, 8);
    assert_int_equal(st->tunnel, 1);
    assert_int_equal(st->state, STREAM_OPEN);
    assert_int_equal(stream_held(st), 0);
    assert_false(stream_list_has(st, LIST_READY));
    stream_free(st);
    stream_free(NULL);
}

static void test_a_list_keeps_its_order_whoever_leaves(void **state)
{
    struct stream *st[3];
    struct stream_list list = { .first = NULL };

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        st[i] = new_stream(2 * i + 2);
        stream_list_put(&list, LIST_GRANT, st[i]);
    }
    stream_list_leave(st[1], LIST_GRANT);
    stream_list_leave(st[1], LIST_GRANT);
    assert_ptr_equal(list.first, st[0]);
    assert_ptr_equal(list.last, st[2]);
    stream_list_put_first(&list, LIST_GRANT, st[1]);
    assert_ptr_equal(list.first, st[1]);
    stream_list_leave(st[2], LIST_GRANT);
    assert_ptr_equal(list.last, st[0]);
    stream_list_leave(st[1], LIST_GRANT);
    stream_list_leave(st[0], LIST_GRANT);
    assert_null(list.first);
    assert_null(list.last);
    stream_list_put_first(&list, LIST_GRANT, st[2]);
    assert_ptr_equal(list.last, st[2]);
    stream_list_leave(st[2], LIST_GRANT);
    for (unsigned i = 0; i < 3; i++) {
        stream_free(st[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair_of_state_and_input_is_as_written),
        cmocka_unit_test(test_a_new_stream_is_open_and_stands_in_no_list),
        cmocka_unit_test(test_a_list_keeps_its_order_whoever_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
