/* Listening: the address it got, and the one it cannot get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/address.h"
#include "common/listener.h"
#include "common/timer.h"

static void on_never(int fd, void *owner)
{
    (void)fd;
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

/* Connections that came. */
struct door {
    struct loop loop;
    struct listener *listener;
    struct timer *watchdog;
    int fds[64];
    unsigned count;
};

static void on_knock(int fd, void *owner)
{
    struct door *d = owner;

    assert_true(d->count < 64);
    d->fds[d->count++] = fd;
}

static void on_watchdog(void *owner)
{
    (void)owner;
    fail();
}

/* Run till |count| have come. */
static void door_until(struct door *d, unsigned count)
{
    timer_set(d->watchdog, loop_now(&d->loop) + 20 * US_PER_S);
    while (d->count < count) {
        uv_run(&d->loop.uv, UV_RUN_ONCE);
    }
    timer_stop(d->watchdog);
    assert_int_equal(d->count, count);
}

/* A connection to |at|; it waits in the listener's queue. */
static int knock(const struct sockaddr_storage *at)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)at, sizeof(struct sockaddr_in)),
        0);
    return fd;
}

/* Use up the descriptors below |end|; how many were used. */
static unsigned use_up(int end, int *fds)
{
    unsigned count = 0;
    int fd;

    while ((fd = dup(STDERR_FILENO)) < end) {
        assert_true(fd >= 0);
        fds[count++] = fd;
    }
    (void)close(fd);
    return count;
}

static void test_without_descriptors_who_knocks_waits(void **state)
{
    enum { LIMIT = 64, END = LIMIT - (int)DESCRIPTORS_KEPT };
    struct door d = { .count = 0 };
    struct sockaddr_storage at;
    struct rlimit before, small;
    int visitors[3], used[LIMIT] = { 0 };
    unsigned used_count;
    const char *why;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    small = before;
    small.rlim_cur = LIMIT;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    assert_int_equal(loop_open(&d.loop), ERR_OK);
    assert_int_equal(address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(listener_open(&d.loop, (struct sockaddr *)&at, on_knock,
                                   &d, &d.listener, &why),
                     ERR_OK);
    d.watchdog = timer_new(&d.loop, on_watchdog, NULL);
    listener_name(d.listener, &at);
    for (unsigned i = 0; i < 3; i++) {
        visitors[i] = knock(&at);
    }
    used_count = use_up(END, used);
    assert_true(used_count > 2);
    (void)close(used[--used_count]);
    door_until(&d, 1);
    assert_true(d.fds[0] < END);
    /* The second was accepted with a descriptor that is not for it. */
    for (unsigned i = 0; i < 20; i++) {
        uv_run(&d.loop.uv, UV_RUN_NOWAIT);
    }
    assert_int_equal(d.count, 1);
    for (unsigned i = 1; i < 3; i++) {
        (void)close(used[--used_count]);
        door_until(&d, i + 1);
        assert_true(d.fds[i] < END);
    }
    listener_close(d.listener);
    timer_close(d.watchdog);
    loop_close(&d.loop);
    for (unsigned i = 0; i < 3; i++) {
        (void)close(visitors[i]);
        (void)close(d.fds[i]);
    }
    while (used_count > 0) {
        (void)close(used[--used_count]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_who_waits_is_let_in_before_the_end(void **state)
{
    struct door d = { .count = 0 };
    struct sockaddr_storage at;
    int visitors[3];
    const char *why;

    (void)state;
    assert_int_equal(loop_open(&d.loop), ERR_OK);
    assert_int_equal(address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(listener_open(&d.loop, (struct sockaddr *)&at, on_knock,
                                   &d, &d.listener, &why),
                     ERR_OK);
    listener_name(d.listener, &at);
    for (unsigned i = 0; i < 3; i++) {
        visitors[i] = knock(&at);
    }
    listener_finish(d.listener);
    assert_int_equal(d.count, 3);
    uv_run(&d.loop.uv, UV_RUN_NOWAIT);
    loop_close(&d.loop);
    for (unsigned i = 0; i < 3; i++) {
        (void)close(visitors[i]);
        (void)close(d.fds[i]);
    }
}

static void test_a_socket_of_others_waits_for_the_next_owner(void **state)
{
    struct door d = { .count = 0 };
    struct sockaddr_storage at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int visitors[2];
    const char *why;

    (void)state;
    assert_int_equal(loop_open(&d.loop), ERR_OK);
    assert_int_equal(address_parse("127.0.0.1:0", &at), ERR_OK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 4), 0);
    d.watchdog = timer_new(&d.loop, on_watchdog, NULL);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            listener_adopt(&d.loop, dup(fd), on_knock, &d, &d.listener, &why),
            ERR_OK);
        listener_name(d.listener, &at);
        if (i == 0) {
            visitors[0] = knock(&at);
            door_until(&d, 1);
            listener_close(d.listener);
            visitors[1] = knock(&at);
        }
    }
    door_until(&d, 2);
    listener_close(d.listener);
    timer_close(d.watchdog);
    loop_close(&d.loop);
    (void)close(fd);
    for (unsigned i = 0; i < 2; i++) {
        (void)close(visitors[i]);
        (void)close(d.fds[i]);
    }
}

static void test_what_is_no_socket_is_not_adopted(void **state)
{
    struct listener *listener;
    const char *why = NULL;
    struct loop l;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    assert_int_equal(listener_adopt(&l, -1, on_never, NULL, &listener, &why),
                     ERR_IO);
    assert_null(listener);
    assert_non_null(why);
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_taken_port_is_told),
        cmocka_unit_test(test_an_address_of_others_is_told),
        cmocka_unit_test(test_without_descriptors_who_knocks_waits),
        cmocka_unit_test(test_who_waits_is_let_in_before_the_end),
        cmocka_unit_test(test_a_socket_of_others_waits_for_the_next_owner),
        cmocka_unit_test(test_what_is_no_socket_is_not_adopted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
