/* The live table, and the random labels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/keys.h"
#include "proto/hostname.h"
#include "relay/label.h"
#include "relay/names.h"

static int first, second; /* two sessions: only their addresses matter */

static void test_the_last_claim_wins_and_tells_who_lost(void **state)
{
    struct names *n = names_new();
    struct names_holder before, now;

    (void)state;
    assert_int_equal(
        names_claim(n, "demo", (struct names_holder){ &first, 1 }, &before),
        ERR_OK);
    assert_null(before.session);
    assert_int_equal(
        names_claim(n, "demo", (struct names_holder){ &second, 7 }, &before),
        ERR_OK);
    assert_ptr_equal(before.session, &first);
    assert_int_equal(before.tunnel, 1);
    assert_true(names_find(n, span_text("demo"), &now));
    assert_ptr_equal(now.session, &second);
    assert_int_equal(names_count(n), 1);
    names_free(n);
}

static void test_only_the_holder_can_drop_a_name(void **state)
{
    struct names *n = names_new();
    struct names_holder who;

    (void)state;
    assert_int_equal(
        names_claim(n, "demo", (struct names_holder){ &second, 7 }, &who),
        ERR_OK);
    names_drop(n, "demo", &first);
    assert_true(names_find(n, span_text("demo"), &who));
    names_drop(n, "demo", &second);
    assert_false(names_find(n, span_text("demo"), &who));
    names_drop(n, "demo", &second);
    assert_int_equal(names_count(n), 0);
    names_free(n);
}

static void test_thousands_of_names_are_all_found(void **state)
{
    struct names *n = names_new();
    struct names_holder who;
    char label[NAME_MAX_LEN + 1];

    (void)state;
    for (uint16_t i = 0; i < 5000; i++) {
        (void)snprintf(label, sizeof(label), "name-%u", i);
        assert_int_equal(
            names_claim(n, label, (struct names_holder){ &first, i }, &who),
            ERR_OK);
    }
    for (uint16_t i = 0; i < 5000; i++) {
        (void)snprintf(label, sizeof(label), "name-%u", i);
        assert_true(names_find(n, span_text(label), &who));
        assert_int_equal(who.tunnel, i);
        if (i % 2 == 0) {
            names_drop(n, label, &first);
        }
    }
    assert_int_equal(names_count(n), 2500);
    assert_false(names_find(n, span_text("name-4998"), &who));
    assert_true(names_find(n, span_text("name-4999"), &who));
    names_free(n);
    names_free(NULL);
}

static void test_random_labels_are_allowed_and_differ(void **state)
{
    char label[NAME_MAX_LEN + 1], other[NAME_MAX_LEN + 1];
    const char *why;

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        label_random(label);
        assert_int_equal(hostname_check_label(span_text(label), &why), ERR_OK);
        assert_true(strlen(label) >= 8 + 2 + 2 * 2);
        label_random(other);
        assert_string_not_equal(label, other);
    }
}

static void test_the_words_are_sorted_and_single(void **state)
{
    static const char *const words[] = {
#include "relay/words.inc"
    };

    (void)state;
    for (size_t i = 1; i < sizeof(words) / sizeof(words[0]); i++) {
        assert_true(strcmp(words[i - 1], words[i]) < 0);
        assert_int_equal(strspn(words[i], "abcdefghijklmnopqrstuvwxyz"),
                         strlen(words[i]));
        assert_in_range(strlen(words[i]), 2, 8);
    }
}

static int start(void **state)
{
    (void)state;
    return keys_start() != ERR_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_claim_wins_and_tells_who_lost),
        cmocka_unit_test(test_only_the_holder_can_drop_a_name),
        cmocka_unit_test(test_thousands_of_names_are_all_found),
        cmocka_unit_test(test_random_labels_are_allowed_and_differ),
        cmocka_unit_test(test_the_words_are_sorted_and_single),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
