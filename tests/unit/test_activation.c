/* Passed sockets: what is taken, what is refused, whom they are for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/activation.h"

#define FIRST 3
#define PLACES 3

/* What the test runner has at the descriptors that systemd would use. */
static int kept[PLACES];

static void say(const char *fds, const char *names)
{
    char pid[16];

    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", pid, 1), 0);
    assert_int_equal(setenv("LISTEN_FDS", fds, 1), 0);
    if (names != NULL) {
        assert_int_equal(setenv("LISTEN_FDNAMES", names, 1), 0);
    }
}

/* A socket at descriptor |at|; |does_listen| there is somebody who accepts. */
static void put(int at, int family, int type, bool does_listen)
{
    int fd = socket(family, type, 0);
    struct sockaddr_storage any = { .ss_family = (sa_family_t)family };
    socklen_t len = family == AF_INET6  ? sizeof(struct sockaddr_in6)
                    : family == AF_INET ? sizeof(struct sockaddr_in)
                                        : sizeof(sa_family_t);

    assert_true(fd >= 0);
    if (does_listen) {
        assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
        assert_int_equal(listen(fd, 4), 0);
    }
    assert_int_equal(dup2(fd, at), at);
    if (fd != at) {
        close(fd);
    }
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < PLACES; i++) {
        kept[i] = fcntl(FIRST + i, F_DUPFD_CLOEXEC, 100);
        close(FIRST + i);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < PLACES; i++) {
        close(FIRST + i);
        if (kept[i] >= 0) {
            (void)dup2(kept[i], FIRST + i);
            close(kept[i]);
        }
    }
    return 0;
}

static void test_listening_sockets_are_taken(void **state)
{
    struct activation a;

    (void)state;
    put(3, AF_INET, SOCK_STREAM, true);
    put(4, AF_INET, SOCK_STREAM, true);
    put(5, AF_INET, SOCK_STREAM, true);
    say("3", "web::redirect");
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_int_equal(a.count, 3);
    assert_int_equal(a.sockets[0].fd, 3);
    assert_string_equal(a.sockets[0].name, "web");
    assert_int_equal(a.sockets[0].at.ss_family, AF_INET);
    assert_string_equal(a.sockets[1].name, "");
    assert_false(a.sockets[0].is_dual);
    assert_string_equal(a.sockets[2].name, "redirect");
    for (int fd = 3; fd <= 5; fd++) {
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    }
    assert_null(getenv("LISTEN_FDS"));
    assert_null(getenv("LISTEN_PID"));
    assert_null(getenv("LISTEN_FDNAMES"));
    activation_close(&a);
    assert_int_equal(a.count, 0);
    assert_int_equal(fcntl(5, F_GETFD), -1);
}

static void test_a_socket_for_both_families_is_known(void **state)
{
    int only = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
    struct activation a;

    (void)state;
    for (int on = 0; on <= 1 && only >= 0; on++) {
        assert_int_equal(dup2(socket(AF_INET6, SOCK_STREAM, 0), 3), 3);
        assert_int_equal(
            setsockopt(3, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)), 0);
        assert_int_equal(bind(3, (struct sockaddr *)&any, sizeof(any)), 0);
        assert_int_equal(listen(3, 4), 0);
        say("1", NULL);
        assert_int_equal(activation_take(&a), ERR_OK);
        assert_int_equal(a.sockets[0].at.ss_family, AF_INET6);
        assert_int_equal(a.sockets[0].is_dual, on == 0);
    }
    close(only);
}

static void test_names_may_be_missing_or_long(void **state)
{
    char name[2 * ACTIVATION_NAME_MAX];
    struct activation a;

    (void)state;
    put(3, AF_INET, SOCK_STREAM, true);
    say("1", NULL);
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_string_equal(a.sockets[0].name, "");
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    say("1", name);
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_int_equal(strlen(a.sockets[0].name), ACTIVATION_NAME_MAX - 1);
}

static void test_none_are_passed_to_somebody_else(void **state)
{
    struct activation a;

    (void)state;
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_int_equal(a.count, 0);
    say("1", NULL);
    assert_int_equal(setenv("LISTEN_PID", "1", 1), 0);
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_int_equal(a.count, 0);
    assert_null(getenv("LISTEN_FDS"));
    say("1", NULL);
    assert_int_equal(unsetenv("LISTEN_PID"), 0);
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_int_equal(a.count, 0);
    say("0", NULL);
    assert_int_equal(activation_take(&a), ERR_OK);
    assert_int_equal(a.count, 0);
}

static void test_a_number_that_is_none_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "x", "-1", "1x", " 1", "17", "99999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct activation a;

        say(bad[i], NULL);
        assert_int_equal(activation_take(&a), ERR_SETTINGS);
        assert_non_null(strstr(a.why, "LISTEN_FDS="));
    }
}

static void test_what_does_not_listen_is_refused(void **state)
{
    struct activation a;

    (void)state;
    say("1", NULL);
    assert_int_equal(activation_take(&a), ERR_SETTINGS);
    assert_string_equal(a.why, "descriptor 3 is not open");

    put(3, AF_INET, SOCK_STREAM, false);
    say("1", NULL);
    assert_int_equal(activation_take(&a), ERR_SETTINGS);
    assert_non_null(strstr(a.why, "no listening stream socket"));

    put(3, AF_INET, SOCK_DGRAM, false);
    say("1", NULL);
    assert_int_equal(activation_take(&a), ERR_SETTINGS);

    assert_int_equal(dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 3), 3);
    say("1", NULL);
    assert_int_equal(activation_take(&a), ERR_SETTINGS);
}

static void test_a_local_socket_is_refused(void **state)
{
    struct activation a;

    (void)state;
    put(3, AF_INET, SOCK_STREAM, true);
    put(4, AF_UNIX, SOCK_STREAM, true);
    say("2", NULL);
    assert_int_equal(activation_take(&a), ERR_SETTINGS);
    assert_string_equal(a.why, "descriptor 4 is no socket of IPv4 or IPv6");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_listening_sockets_are_taken),
        CASE(test_a_socket_for_both_families_is_known),
        CASE(test_names_may_be_missing_or_long),
        CASE(test_none_are_passed_to_somebody_else),
        CASE(test_a_number_that_is_none_is_refused),
        CASE(test_what_does_not_listen_is_refused),
        CASE(test_a_local_socket_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
