/* The operator's commands reach a running relay, and only meant sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keys.h"
#include "common/log.h"
#include "common/timer.h"
#include "relay/admin.h"

static char folder[64];
static struct loop loop;
static struct admin *admin;

/* Three sessions of two keys, and which were ended. */
static struct admin_session sessions[] = {
    { .id = 1, .key_name = "laptop", .names = "demo quiet-otter-1" },
    { .id = 2, .key_name = "laptop", .names = "other" },
    { .id = 31, .key_name = "desk", .names = "demonstration" },
};
static enum err ended[3];

static bool session_at(void *owner, size_t index, struct admin_session *out)
{
    (void)owner;
    if (index >= 3) {
        return false;
    }
    *out = sessions[index];
    return true;
}

static void session_end(void *owner, uint64_t id, enum err reason)
{
    (void)owner;
    for (size_t i = 0; i < 3; i++) {
        if (sessions[i].id == id) {
            ended[i] = reason;
        }
    }
}

static int open_admin(void **state)
{
    const struct admin_handler h = { session_at, session_end, NULL };
    const char *why;

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/test_admin-XXXXXX");
    log_set_level(LOG_ERROR);
    memset(ended, 0, sizeof(ended));
    if (mkdtemp(folder) == NULL || loop_open(&loop) != ERR_OK) {
        return -1;
    }
    return admin_open(&loop, folder, &h, &admin, &why) != ERR_OK;
}

static int close_admin(void **state)
{
    (void)state;
    admin_close(admin);
    loop_close(&loop);
    return rmdir(folder); /* the socket has gone */
}

static void on_look(void *owner)
{
    (void)owner; /* only so that the loop comes round */
}

/* Ask |line| from another process, as the operator does. */
static enum err ask(const char *line, char *answer, size_t size)
{
    FILE *out = tmpfile();
    int status = -1;
    pid_t child;
    size_t len;

    assert_non_null(out);
    child = fork();
    if (child == 0) {
        enum err error = admin_ask(folder, line, out);

        (void)fflush(out);
        _exit(error == ERR_OK ? 0 : error == ERR_REFUSED ? 1 : 2);
    }
    while (waitpid(child, &status, WNOHANG) != child) {
        struct timer *look = timer_new(&loop, on_look, NULL);

        timer_set(look, loop_now(&loop) + 10 * US_PER_MS);
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
        timer_close(look);
    }
    rewind(out);
    len = fread(answer, 1, size - 1, out);
    answer[len] = '\0';
    (void)fclose(out);
    return WEXITSTATUS(status) == 0   ? ERR_OK
           : WEXITSTATUS(status) == 1 ? ERR_REFUSED
                                      : ERR_IO;
}

static void test_sessions_are_listed(void **state)
{
    char answer[4096];

    (void)state;
    assert_int_equal(ask("sessions", answer, sizeof(answer)), ERR_OK);
    assert_non_null(strstr(answer, "demo quiet-otter-1\n"));
    assert_non_null(strstr(answer, "\n31 "));
}

static void test_a_session_is_listed_with_its_link(void **state)
{
    char answer[4096];

    (void)state;
    sessions[1].rtt_us = 41500;
    sessions[1].jitter_us = 2260;
    sessions[1].waiting = 123456;
    sessions[1].resumes = 17;
    sessions[1].is_full = true;
    sessions[2].is_full = true;
    sessions[2].is_parked = true;
    assert_int_equal(ask("sessions", answer, sizeof(answer)), ERR_OK);
    assert_non_null(strstr(answer, " RTT    JITTER   WAITING RESUMES  NAMES"));
    assert_non_null(strstr(answer, " 41.5ms     2.3ms    123456      17  oth"));
    assert_non_null(strstr(answer, " up "));
    assert_non_null(strstr(answer, " full "));
    assert_non_null(strstr(answer, " away "));
}

static void test_a_kick_ends_what_is_meant_and_no_more(void **state)
{
    char answer[4096];

    (void)state;
    assert_int_equal(ask("kick demo", answer, sizeof(answer)), ERR_OK);
    assert_string_equal(answer, "1 session ended\n");
    assert_int_equal(ended[0], ERR_SHUTDOWN);
    assert_int_equal(ended[1], ERR_OK);
    assert_int_equal(ended[2], ERR_OK);
    assert_int_equal(ask("kick 3", answer, sizeof(answer)), ERR_REFUSED);
    assert_string_equal(answer, "0 sessions ended\n");
    assert_int_equal(ask("kick 31", answer, sizeof(answer)), ERR_OK);
    assert_int_equal(ended[2], ERR_SHUTDOWN);
}

static void test_revoking_ends_every_session_of_the_key(void **state)
{
    char answer[4096], line[64] = "revoke ";

    (void)state;
    keys_to_text(sessions[0].key, KEY_LEN, line + 7, sizeof(line) - 7);
    assert_int_equal(ask(line, answer, sizeof(answer)), ERR_OK);
    assert_string_equal(answer, "2 sessions ended\n");
    assert_int_equal(ended[0], ERR_REVOKED);
    assert_int_equal(ended[1], ERR_REVOKED);
    assert_int_equal(ended[2], ERR_OK);
}

static void test_an_unknown_command_is_refused(void **state)
{
    char answer[4096];

    (void)state;
    assert_int_equal(ask("dance", answer, sizeof(answer)), ERR_REFUSED);
    assert_non_null(strstr(answer, "knows no such command"));
}

static void test_a_second_relay_on_the_state_is_refused(void **state)
{
    const struct admin_handler h = { session_at, session_end, NULL };
    struct admin *second = NULL;
    const char *why = NULL;

    (void)state;
    assert_int_equal(admin_open(&loop, folder, &h, &second, &why), ERR_IO);
    assert_string_equal(why, "another relay runs with this state folder");
}

static void test_a_socket_left_by_a_dead_relay_is_no_hindrance(void **state)
{
    const struct admin_handler h = { session_at, session_end, NULL };
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    const char *why = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    admin_close(admin);
    admin = NULL;
    assert_int_equal(admin_ask(folder, "sessions", stdout), ERR_ABSENT);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/admin.sock", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    (void)close(fd);
    assert_int_equal(admin_ask(folder, "sessions", stdout), ERR_ABSENT);
    assert_int_equal(admin_open(&loop, folder, &h, &admin, &why), ERR_OK);
}

#define WITH_ADMIN(test)                                                       \
    cmocka_unit_test_setup_teardown(test, open_admin, close_admin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ADMIN(test_sessions_are_listed),
        WITH_ADMIN(test_a_session_is_listed_with_its_link),
        WITH_ADMIN(test_a_kick_ends_what_is_meant_and_no_more),
        WITH_ADMIN(test_revoking_ends_every_session_of_the_key),
        WITH_ADMIN(test_an_unknown_command_is_refused),
        WITH_ADMIN(test_a_second_relay_on_the_state_is_refused),
        WITH_ADMIN(test_a_socket_left_by_a_dead_relay_is_no_hindrance),
    };

    sessions[2].key[0] = 0xff;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
