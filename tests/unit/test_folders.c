/* Where things are kept, and folders that are the user's alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/folders.h"
#include "common/near.h"

static void set(const char *name, const char *value)
{
    assert_int_equal(value == NULL ? unsetenv(name) : setenv(name, value, 1),
                     0);
}

static void test_places_follow_the_xdg_standard(void **state)
{
    char path[64];

    (void)state;
    set("HOME", "/home/ann");
    set("XDG_CONFIG_HOME", NULL);
    set("XDG_STATE_HOME", "/srv/state");
    assert_int_equal(folders_config(path, sizeof(path)), ERR_OK);
    assert_string_equal(path, "/home/ann/.config/sallyport");
    assert_int_equal(folders_state(path, sizeof(path)), ERR_OK);
    assert_string_equal(path, "/srv/state/sallyport");
    set("XDG_STATE_HOME", "relative");
    assert_int_equal(folders_state(path, sizeof(path)), ERR_OK);
    assert_string_equal(path, "/home/ann/.local/state/sallyport");
    assert_int_equal(folders_state(path, 20), ERR_FILE);
    set("HOME", NULL);
    assert_int_equal(folders_state(path, sizeof(path)), ERR_FILE);
}

static void test_folders_are_made_for_the_user_alone(void **state)
{
    char base[] = "/tmp/test_folders-XXXXXX";
    char path[64], file[64];
    const char *why = NULL;
    struct stat st;
    FILE *out;

    (void)state;
    assert_non_null(mkdtemp(base));
    (void)snprintf(path, sizeof(path), "%s/a/b", base);
    assert_int_equal(folders_make(path, &why), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(folders_make(path, &why), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0755);
    (void)snprintf(file, sizeof(file), "%s/f", base);
    out = fopen(file, "w");
    (void)fclose(out);
    assert_int_equal(folders_make(file, &why), ERR_FILE);
    assert_string_equal(why, "Not a directory");
    assert_int_equal(folders_make("", &why), ERR_FILE);
    assert_int_equal(unlink(file) | rmdir(path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path) | rmdir(base), 0);
}

static void test_a_near_word_is_told_from_a_far_one(void **state)
{
    static const struct {
        const char *word, *known;
        unsigned distance;
    } cases[] = {
        { "listen", "listen", 0 }, { "public_port", "public-port", 0 },
        { "listn", "listen", 1 },  { "lisetn", "listen", 1 },
        { "kisten", "listen", 1 }, { "listenn", "listen", 1 },
        { "lstn", "listen", 2 },   { "zebra", "listen", 3 },
        { "", "ab", 2 },           { "", "abcdef", 3 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(
            near_distance(span_text(cases[i].word), cases[i].known),
            cases[i].distance);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_follow_the_xdg_standard),
        cmocka_unit_test(test_folders_are_made_for_the_user_alone),
        cmocka_unit_test(test_a_near_word_is_told_from_a_far_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
