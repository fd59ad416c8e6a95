/* What is noticed of the machine's network, and of a sleep. */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/watch.h"
#include "common/timer.h"

#define LONG_US (60 * US_PER_S)

struct seen {
    unsigned network, wake;
};

static void on_watch(void *owner, enum watch_event event)
{
    struct seen *s = owner;

    s->network += event == WATCH_NETWORK ? 1 : 0;
    s->wake += event == WATCH_WAKE ? 1 : 0;
}

static void run_until(struct loop *l, const unsigned *count)
{
    uint64_t end_us = loop_now(l) + LONG_US;

    while (*count == 0 && loop_now(l) < end_us) {
        uv_run(&l->uv, UV_RUN_ONCE);
    }
    assert_true(*count > 0);
}

/* The loopback of a network of our own, up or down. */
static void change_network(void)
{
    struct ifreq request = { .ifr_name = "lo" };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    request.ifr_flags ^= IFF_UP;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    (void)close(fd);
}

/* Watch a network of our own; skips the test where there can be none. */
static struct watch *watch_own_network(struct loop *l, struct seen *seen)
{
    struct watch *w;

    if (unshare(CLONE_NEWNET) != 0) {
        print_message("a network of our own needs root\n");
        skip();
    }
    assert_int_equal(loop_open(l), ERR_OK);
    w = watch_new(l, on_watch, seen);
    assert_non_null(w);
    return w;
}

static void test_a_link_that_comes_up_is_noticed(void **state)
{
    struct loop loop;
    struct seen seen = { 0 };
    struct watch *w = watch_own_network(&loop, &seen);

    (void)state;
    change_network();
    run_until(&loop, &seen.network);
    watch_free(w);
    loop_close(&loop);
}

/* Let next to nothing wait in the watch's socket. */
static void shorten_queue(void)
{
    for (int fd = 3; fd < 64; fd++) {
        int domain = 0, least = 0;
        socklen_t len = sizeof(domain);

        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
            domain == AF_NETLINK) {
            assert_int_equal(
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)),
                0);
        }
    }
}

static void test_what_comes_after_too_much_is_noticed(void **state)
{
    struct loop loop;
    struct seen seen = { 0 };
    struct watch *w = watch_own_network(&loop, &seen);

    (void)state;
    shorten_queue();
    for (int i = 0; i < 4; i++) {
        change_network();
    }
    run_until(&loop, &seen.network);
    seen.network = 0;
    change_network();
    run_until(&loop, &seen.network);
    watch_free(w);
    loop_close(&loop);
}

static void test_a_sleep_is_noticed(void **state)
{
    struct loop loop;
    struct seen seen = { 0 };
    struct watch *w;

    (void)state;
    assert_int_equal(loop_open(&loop), ERR_OK);
    w = watch_new(&loop, on_watch, &seen);
    assert_non_null(w);
    (void)sleep(4); /* stands for the machine's */
    run_until(&loop, &seen.wake);
    watch_free(w);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_link_that_comes_up_is_noticed),
        cmocka_unit_test(test_what_comes_after_too_much_is_noticed),
        cmocka_unit_test(test_a_sleep_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
