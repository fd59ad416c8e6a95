/* Log lines: what a stranger sends can neither forge nor break one. */
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "common/log.h"

static int ends[2];

static int open_sink(void **state)
{
    (void)state;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        return -1;
    }
    log_set_fd(ends[1]);
    log_set_level(LOG_INFO);
    return 0;
}

static int close_sink(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    return close(ends[0]) | close(ends[1]);
}

/* The line that was written, without its time; "" when there was none. */
static const char *line_read(void)
{
    static char text[8192];
    ssize_t len = read(ends[0], text, sizeof(text) - 1);

    text[len < 0 ? 0 : len] = '\0';
    return len <= 0 ? "" : strchr(text, ' ') + 1;
}

static void test_a_line_is_level_event_and_pairs(void **state)
{
    (void)state;
    LOG(LOG_INFO, "link-up", log_u64("link", 7),
        log_text("peer", "198.51.100.4:443"));
    assert_string_equal(line_read(),
                        "info link-up link=7 peer=198.51.100.4:443\n");
    log_write(LOG_WARN, "bare", NULL);
    assert_string_equal(line_read(), "warn bare\n");
}

static void test_text_from_outside_cannot_forge_a_line(void **state)
{
    (void)state;
    LOG(LOG_ERROR, "x", log_text("name", "a\nerror y \"\\\x1b[2J\xc3\xa9"));
    assert_string_equal(line_read(), "error x name=\"a\\x0aerror y "
                                     "\\x22\\x5c\\x1b[2J\\xc3\\xa9\"\n");
    LOG(LOG_INFO, "x", log_text("a", "b=c"), log_text("d", ""));
    assert_string_equal(line_read(), "info x a=\"b=c\" d=\"\"\n");
}

static void test_a_long_value_is_cut_and_the_line_still_ends(void **state)
{
    char text[LOG_VALUE_MAX + 2];
    const char *line;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    LOG(LOG_INFO, "x", log_text("v", text));
    line = line_read();
    assert_string_equal(line + strlen(line) - 6, "a...\"\n");
    memset(text, 1, sizeof(text) - 1);
    LOG(LOG_INFO, "x", log_text("a", text), log_text("b", text),
        log_text("c", text), log_text("d", text));
    line = line_read();
    assert_string_equal(strchr(line, '\n'), "\n");
}

static void test_lines_above_the_level_are_not_written(void **state)
{
    (void)state;
    LOG(LOG_DEBUG, "x", log_u64("a", 1));
    assert_string_equal(line_read(), "");
    log_set_level(LOG_DEBUG);
    LOG(LOG_DEBUG, "x", log_u64("a", UINT64_MAX));
    assert_string_equal(line_read(), "debug x a=18446744073709551615\n");
}

static void test_escaping_never_cuts_an_escape_in_two(void **state)
{
    char out[8];

    (void)state;
    log_escape(span_text("ab\ncd"), out, sizeof(out));
    assert_string_equal(out, "ab\\x0ac");
    log_escape(span_text("abcd\nd"), out, sizeof(out));
    assert_string_equal(out, "abcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_line_is_level_event_and_pairs,
                                        open_sink, close_sink),
        cmocka_unit_test_setup_teardown(
            test_text_from_outside_cannot_forge_a_line, open_sink, close_sink),
        cmocka_unit_test_setup_teardown(
            test_a_long_value_is_cut_and_the_line_still_ends, open_sink,
            close_sink),
        cmocka_unit_test_setup_teardown(
            test_lines_above_the_level_are_not_written, open_sink, close_sink),
        cmocka_unit_test(test_escaping_never_cuts_an_escape_in_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
