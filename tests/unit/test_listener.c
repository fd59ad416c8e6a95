/* Listening: the address it got, and the one it cannot get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "common/address.h"
#include "common/listener.h"

static void on_never(uv_stream_t *server, void *owner)
{
    (void)server;
    (void)owner;
    fail();
}

static void test_a_taken_port_is_told(void **state)
{
    struct sockaddr_storage at;
    struct visitor_address name;
    struct listener *first, *second;
    const char *why = NULL;
    struct loop l;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    assert_int_equal(address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(
        listener_open(&l, (struct sockaddr *)&at, on_never, NULL, &first, &why),
        ERR_OK);
    listener_name(first, &at);
    address_to_visitor(&at, &name);
    assert_true(name.port != 0);
    assert_int_equal(listener_open(&l, (struct sockaddr *)&at, on_never, NULL,
                                   &second, &why),
                     ERR_IO);
    assert_string_equal(why, "address already in use");
    /* Given back, the port is free at once. */
    listener_close(first);
    uv_run(&l.uv, UV_RUN_NOWAIT);
    assert_int_equal(listener_open(&l, (struct sockaddr *)&at, on_never, NULL,
                                   &second, &why),
                     ERR_OK);
    listener_close(second);
    listener_close(NULL);
    loop_close(&l);
}

static void test_an_address_of_others_is_told(void **state)
{
    struct sockaddr_storage at;
    struct listener *listener;
    const char *why = NULL;
    struct loop l;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    assert_int_equal(address_parse("192.0.2.1:0", &at), ERR_OK);
    assert_int_equal(listener_open(&l, (struct sockaddr *)&at, on_never, NULL,
                                   &listener, &why),
                     ERR_ABSENT);
    assert_string_equal(why, "address not available");
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_taken_port_is_told),
        cmocka_unit_test(test_an_address_of_others_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
