/* Options of sockets: that the system has taken them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/platform.h"

static int open_socket(void **state)
{
    static int fd;

    fd = platform_socket(AF_INET);
    *state = &fd;
    return fd < 0 ? -1 : 0;
}

static int close_socket(void **state)
{
    return close(*(int *)*state);
}

static void test_congestion_control_is_what_was_chosen(void **state)
{
    int fd = *(int *)*state;

    platform_congestion(fd, "reno");
    assert_true(platform_has_congestion(fd, "reno"));
    assert_false(platform_has_congestion(fd, "ren"));
}

static void test_one_the_system_has_not_changes_nothing(void **state)
{
    int fd = *(int *)*state;

    platform_congestion(fd, "reno");
    platform_congestion(fd, "no-such-control");
    assert_true(platform_has_congestion(fd, "reno"));
    assert_false(platform_has_congestion(-1, "reno"));
}

static void test_little_may_wait_unsent(void **state)
{
    int fd = *(int *)*state;
    unsigned bytes = 0;
    socklen_t len = sizeof(bytes);

    platform_unsent_low_mark(fd, 131072);
    assert_int_equal(
        getsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &len), 0);
    assert_int_equal(bytes, 131072);
}

#define CASE(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_socket, close_socket)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_congestion_control_is_what_was_chosen),
        CASE(test_one_the_system_has_not_changes_nothing),
        CASE(test_little_may_wait_unsent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
