/*
 * The table of errors: numbers, names and what may cross the wire.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/error.h"

static const enum err all_errors[] = {
#define X(name, wire, fault, text) ERR_##name,
    ERR_TABLE(X)
#undef X
};

#define ALL (sizeof(all_errors) / sizeof(all_errors[0]))

static void test_no_number_stands_twice_in_the_table(void **state)
{
    (void)state;
    for (size_t i = 1; i < ALL; i++) {
        assert_true(all_errors[i - 1] < all_errors[i]);
    }
}

static void test_every_error_has_a_name_and_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        assert_true(error_name(all_errors[i])[0] != '\0');
        assert_true(error_text(all_errors[i])[0] != '\0');
    }
    assert_string_equal(error_name(ERR_FLOW), "FLOW");
    assert_string_equal(error_text(ERR_OK), "no error");
}

static void test_every_error_says_whose_fault_it_is(void **state)
{
    (void)state;
    assert_int_equal(error_fault(ERR_OK), FAULT_NONE);
    assert_int_equal(error_fault(ERR_PROTOCOL), FAULT_PEER);
    assert_int_equal(error_fault(ERR_NOMEM), FAULT_WORLD);
}

static void test_wire_errors_come_back_as_themselves(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        enum err e = all_errors[i];

        if (error_is_wire(e)) {
            assert_int_equal(error_from_wire((uint16_t)e), e);
        }
    }
}

static void test_unknown_and_local_numbers_are_read_as_protocol(void **state)
{
    (void)state;
    assert_int_equal(error_from_wire(22), ERR_PROTOCOL);
    assert_int_equal(error_from_wire(0xff), ERR_PROTOCOL);
    assert_int_equal(error_from_wire(0xffff), ERR_PROTOCOL);
    assert_int_equal(error_from_wire(ERR_IO), ERR_PROTOCOL);
}

static void test_local_errors_may_not_stand_in_a_frame(void **state)
{
    (void)state;
    assert_true(error_is_wire(ERR_OK));
    assert_true(error_is_wire(ERR_EXPIRED));
    assert_false(error_is_wire(ERR_IO));
    assert_false(error_is_wire(ERR_RESOLVE));
}

static enum err fails_second(int *calls)
{
    TRY(ERR_OK);
    *calls += 1;
    TRY(ERR_LIMIT);
    *calls += 1;
    return ERR_OK;
}

static void test_try_returns_the_first_error(void **state)
{
    int calls = 0;

    (void)state;
    assert_int_equal(fails_second(&calls), ERR_LIMIT);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_number_stands_twice_in_the_table),
        cmocka_unit_test(test_every_error_has_a_name_and_a_sentence),
        cmocka_unit_test(test_every_error_says_whose_fault_it_is),
        cmocka_unit_test(test_wire_errors_come_back_as_themselves),
        cmocka_unit_test(test_unknown_and_local_numbers_are_read_as_protocol),
        cmocka_unit_test(test_local_errors_may_not_stand_in_a_frame),
        cmocka_unit_test(test_try_returns_the_first_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
