/* Invitations survive pasting, and say so when they did not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "common/invitation.h"

static struct invitation sample(void)
{
    struct invitation i = { .host = "relay.example.com", .port = 443 };

    memset(i.relay_key, 0xa5, sizeof(i.relay_key));
    memset(i.seed, 0x5a, sizeof(i.seed));
    return i;
}

static void test_an_invitation_comes_back_whole(void **state)
{
    struct invitation made = sample(), got;
    char text[INVITATION_TEXT_MAX];
    const char *why;

    (void)state;
    invitation_encode(&made, text, sizeof(text));
    assert_int_equal(invitation_decode(span_text(text), &got, &why), ERR_OK);
    assert_memory_equal(&made, &got, sizeof(made));
    memset(made.host, 'h', INVITATION_HOST_MAX - 1);
    invitation_encode(&made, text, sizeof(text));
    assert_int_equal(invitation_decode(span_text(text), &got, &why), ERR_OK);
    assert_string_equal(made.host, got.host);
}

static void test_white_space_from_wrapped_lines_is_fine(void **state)
{
    struct invitation made = sample(), got;
    char text[INVITATION_TEXT_MAX], wrapped[2 * INVITATION_TEXT_MAX];
    const char *why;
    size_t len = 0;

    (void)state;
    invitation_encode(&made, text, sizeof(text));
    for (size_t i = 0; text[i] != '\0'; i++) {
        wrapped[len++] = text[i];
        if (i % 60 == 59) {
            wrapped[len++] = '\r';
            wrapped[len++] = '\n';
        }
    }
    wrapped[len++] = '\n';
    assert_int_equal(invitation_decode(span_of(wrapped, len), &got, &why),
                     ERR_OK);
    assert_memory_equal(&made, &got, sizeof(made));
}

static void test_a_lost_or_changed_piece_is_noticed(void **state)
{
    struct invitation made = sample(), got;
    char text[INVITATION_TEXT_MAX];
    const char *why;
    size_t len;

    (void)state;
    invitation_encode(&made, text, sizeof(text));
    len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char right = text[i];

        assert_int_equal(invitation_decode(span_of(text, i), &got, &why),
                         ERR_SETTINGS);
        text[i] = right == 'A' ? 'B' : 'A';
        assert_int_equal(invitation_decode(span_text(text), &got, &why),
                         ERR_SETTINGS);
        text[i] = right;
    }
    assert_int_equal(
        invitation_decode(span_text("https://example.com"), &got, &why),
        ERR_SETTINGS);
    assert_non_null(strstr(why, "begins with \"sallyport:\""));
}

static void test_a_refused_invitation_leaves_no_secret(void **state)
{
    struct invitation made = sample(), got, zeros = { .port = 0 };
    char text[INVITATION_TEXT_MAX];
    const char *why;

    (void)state;
    made.port = 0;
    invitation_encode(&made, text, sizeof(text));
    assert_int_equal(invitation_decode(span_text(text), &got, &why),
                     ERR_SETTINGS);
    assert_memory_equal(&got, &zeros, sizeof(got));
}

static void test_a_host_that_steers_a_terminal_is_refused(void **state)
{
    static const char *const hosts[] = { "a\x1b[2Jb", "a b",
                                         ("a\x9b"
                                          "b"),
                                         "a\nb", "a\x7f" };
    struct invitation got;
    char text[INVITATION_TEXT_MAX];
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct invitation made = sample();

        (void)snprintf(made.host, sizeof(made.host), "%s", hosts[i]);
        invitation_encode(&made, text, sizeof(text));
        assert_int_equal(invitation_decode(span_text(text), &got, &why),
                         ERR_SETTINGS);
        assert_non_null(strstr(why, "malformed"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_invitation_comes_back_whole),
        cmocka_unit_test(test_white_space_from_wrapped_lines_is_fine),
        cmocka_unit_test(test_a_lost_or_changed_piece_is_noticed),
        cmocka_unit_test(test_a_refused_invitation_leaves_no_secret),
        cmocka_unit_test(test_a_host_that_steers_a_terminal_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
