/* The plan of a sandbox keeps its bounds; what holds is tried on the real
 * programs (tests/integration/test_sandbox.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/landlock.h"
#include "common/log.h"
#include "common/sandbox.h"

static void test_a_full_plan_takes_no_more_and_says_so(void **state)
{
    static struct sandbox_plan plan;
    char said[2048];
    int ends[2];
    ssize_t len;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    log_set_fd(ends[1]);
    for (size_t i = 0; i < SANDBOX_FOLDERS_MAX; i++) {
        sandbox_allow_read(&plan, "/srv");
    }
    for (size_t i = 0; i < SANDBOX_PORTS_MAX; i++) {
        sandbox_allow_connect(&plan, 1);
    }
    sandbox_allow_write(&plan, "/one-too-many");
    sandbox_allow_connect(&plan, 2);
    log_set_fd(STDERR_FILENO);
    assert_int_equal(plan.folder_count, SANDBOX_FOLDERS_MAX);
    assert_int_equal(plan.port_count, SANDBOX_PORTS_MAX);
    len = read(ends[0], said, sizeof(said) - 1);
    assert_true(len > 0);
    said[len] = '\0';
    assert_non_null(strstr(said, "left_out=/one-too-many"));
    assert_non_null(strstr(said, "left_out=2"));
    close(ends[0]);
    close(ends[1]);
}

static void test_a_path_too_long_is_left_out(void **state)
{
    static struct sandbox_plan plan;
    char path[FOLDERS_PATH_MAX + 1];

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    sandbox_allow_read(&plan, path);
    assert_int_equal(plan.folder_count, 0);
}

/* In a child: there is no way back. */
static void test_a_path_that_is_not_there_is_no_error(void **state)
{
    static struct sandbox_plan plan;
    pid_t child = fork();
    int status = -1;

    (void)state;
    if (child == 0) {
        int version = 0;

        sandbox_allow_read(&plan, "/nowhere/at/all");
        sandbox_allow_write(&plan, "/dev/null");
        sandbox_allow_connect(&plan, 443);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
            _exit(1);
        }
        _exit(landlock_close_in(&plan, &version));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_plan_takes_no_more_and_says_so),
        cmocka_unit_test(test_a_path_too_long_is_left_out),
        cmocka_unit_test(test_a_path_that_is_not_there_is_no_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
