/* Settings: one table read by file, flags and help; mistakes have a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/settings.h"
#include "common/settings_value.h"
#include "proto/limits.h"

struct item {
    char target[64];
};

struct sample {
    char name[16];
    uint64_t public_port;
    uint64_t grace_us;
    bool verbose;
    struct setting_list listen;
    char config[32];
    char items[4][96]; /* "key=target" */
    size_t item_count;
};

static const struct setting rows[] = {
    { "name", SETTING_TEXT, offsetof(struct sample, name), 16, "none", 0, 0,
      NULL, "A name" },
    { "public-port", SETTING_COUNT, offsetof(struct sample, public_port), 0,
      "443", 1, 65535, "PORT", "A port" },
    { "grace", SETTING_DURATION, offsetof(struct sample, grace_us), 0, "45s", 0,
      GRACE_MAX_US, NULL, "A time" },
    { "verbose", SETTING_SWITCH, offsetof(struct sample, verbose), 0, NULL, 0,
      0, NULL, "Say more" },
    { "listen", SETTING_LIST, offsetof(struct sample, listen), 0, "a:1, b:2", 0,
      0, "ADDRESS", "Where" },
    { "config", SETTING_TEXT, offsetof(struct sample, config), 32, NULL, 0, 0,
      "FILE", "The file" },
};

static const struct setting item_rows[] = {
    { "target", SETTING_TEXT, offsetof(struct item, target), 64, NULL, 0, 0,
      NULL, "A target" },
};

static const struct settings_table item_table = { .rows = item_rows,
                                                  .count = 1 };

static enum err on_item(void *settings, const char *key, const void *item,
                        struct settings_error *e)
{
    struct sample *s = settings;
    const struct item *i = item;

    if (i->target[0] == '\0') {
        (void)snprintf(e->text, sizeof(e->text), "%s has no target", key);
        return ERR_SETTINGS;
    }
    (void)snprintf(s->items[s->item_count++], 96, "%.20s=%s", key, i->target);
    return ERR_OK;
}

static const char *const flags_only[] = { "config", NULL };

static const struct settings_table table = {
    .flags_only = flags_only,
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .map_key = "tunnels",
    .item_table = &item_table,
    .item_size = sizeof(struct item),
    .on_item = on_item,
};

static struct sample s;
static struct settings_error wrong;

/* Read |text| as the file "t.yaml"; the error's text is in |wrong|. */
static enum err read_text(const char *text)
{
    FILE *file = fopen("t.yaml", "w");
    enum err error;

    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
    memset(&s, 0, sizeof(s));
    wrong.text[0] = '\0';
    settings_defaults(&table, &s);
    error = settings_read(&table, "t.yaml", &s, &wrong);
    (void)unlink("t.yaml");
    return error;
}

static int in_folder(void **state)
{
    static char folder[] = "/tmp/test_settings-XXXXXX";

    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int out_of_folder(void **state)
{
    char folder[64];

    (void)state;
    return getcwd(folder, sizeof(folder)) == NULL || rmdir(folder) != 0;
}

static void test_a_whole_file_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_text("# a comment\n"
                               "name: \"x y\"\n"
                               "public-port: 8443\n"
                               "grace: 2m\n"
                               "verbose: true\n"
                               "listen: [\"[::]:443\", 0.0.0.0:443]\n"
                               "tunnels:\n"
                               "  web:\n"
                               "    target: 8080\n"
                               "  api: { target: 3000 }\n"),
                     ERR_OK);
    assert_string_equal(s.name, "x y");
    assert_int_equal(s.public_port, 8443);
    assert_int_equal(s.grace_us, 120 * US_PER_S);
    assert_true(s.verbose);
    assert_int_equal(s.listen.count, 2);
    assert_string_equal(s.listen.items[1], "0.0.0.0:443");
    assert_int_equal(s.item_count, 2);
    assert_string_equal(s.items[0], "web=8080");
}

static void test_nothing_in_the_file_leaves_the_defaults(void **state)
{
    static const char *const texts[] = { "", "# only a comment\n", "---\n",
                                         "{}\n" };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(read_text(texts[i]), ERR_OK);
        assert_string_equal(s.name, "none");
        assert_int_equal(s.grace_us, 45 * US_PER_S);
        assert_int_equal(s.listen.count, 2);
        assert_string_equal(s.listen.items[1], "b:2");
    }
}

static void test_each_mistake_has_its_line_and_sentence(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "name: a\nlistn: b\n",
          "t.yaml:2: unknown key \"listn\"; did you mean \"listen\"?" },
        { "zebra: b\n", "t.yaml:1: unknown key \"zebra\"" },
        { "public_port: 1\n", "t.yaml:1: unknown key \"public_port\"; did you "
                              "mean \"public-port\"?" },
        { "config: b\n", "t.yaml:1: unknown key \"config\"" },
        { "name: a\n\nname: b\n",
          "t.yaml:3: the key \"name\" stands here a second time" },
        { "name: &x a\n", "t.yaml:1: anchors (&name) are not taken: write the "
                          "value out" },
        { "name: *x\n", "t.yaml:1: aliases (*name) are not taken: write the "
                        "value out" },
        { "name: !!str a\n",
          "t.yaml:1: tags (!name) are not taken: leave it out" },
        { "name: a\n---\nname: b\n", "t.yaml:2: a second document (---): only "
                                     "one may stand here" },
        { "%YAML 1.1\n---\nname: a\n",
          "t.yaml:1: directives (%) are not taken: leave the line out" },
        { "- a\n", "t.yaml:1: lines of the form \"key: value\" must stand "
                   "here" },
        { "public-port: 0\n",
          "t.yaml:1: public-port: must be from 1 to 65535" },
        { "public-port: 8x\n",
          "t.yaml:1: public-port: \"8x\" is not a number" },
        { "public-port: 99999999999999999999\n",
          "t.yaml:1: public-port: \"99999999999999999999\" is not a number" },
        { "public-port:\n", "t.yaml:1: public-port: \"\" is not a number" },
        { "grace: 6m\n", "t.yaml:1: grace: must be from 0s to 5m" },
        { "grace: 10\n", "t.yaml:1: grace: \"10\" is not a duration such as "
                         "500ms, 90s, 10m or 24h" },
        { "verbose: yes\n", "t.yaml:1: verbose: \"yes\" is not true or false" },
        { "name: ~\n", "t.yaml:1: null is no value: leave the line out, or "
                       "write \"\"" },
        { "name: [a]\n", "t.yaml:1: name: takes one value, not a list" },
        { "name: {a: b}\n",
          "t.yaml:1: name: a value must stand here, not a map" },
        { "name: 0123456789abcdef\n",
          "t.yaml:1: name: is longer than 15 bytes" },
        { "name: \"a\\nb\"\n",
          "t.yaml:1: name: \"a\\x0ab\" is not a text on one line" },
        { "listen: [[a]]\n",
          "t.yaml:1: listen: a list of plain values must stand here" },
        { "tunnels: 8080\n", "t.yaml:1: tunnels: names with indented settings "
                             "must stand here" },
        { "tunnels:\n  a: 8080\n",
          "t.yaml:2: \"a\" must be followed by indented settings" },
        { "tunnels:\n  a: {target: b}\n  a: {target: c}\n",
          "t.yaml:3: \"a\" stands here a second time" },
        { "tunnels:\n  a: {taget: b}\n",
          "t.yaml:2: unknown key \"taget\"; did you mean \"target\"?" },
        { "tunnels:\n  a: {}\n", "t.yaml:2: a has no target" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_text(cases[i].text), ERR_SETTINGS);
        assert_string_equal(wrong.text, cases[i].want);
    }
    assert_int_equal(read_text("name: a\n  b: c: d\n"), ERR_SETTINGS);
    assert_non_null(strstr(wrong.text, "t.yaml:2: "));
}

static void test_a_file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    settings_defaults(&table, &s);
    assert_int_equal(settings_read(&table, "none.yaml", &s, &wrong),
                     ERR_ABSENT);
    assert_int_equal(settings_read(&table, "/tmp", &s, &wrong), ERR_SETTINGS);
    assert_string_equal(wrong.text, "/tmp: is a folder, not a file");
    assert_int_equal(settings_read(&table, "/dev/null", &s, &wrong), ERR_OK);
    assert_int_equal(settings_read(&table, "/dev/zero", &s, &wrong),
                     ERR_SETTINGS);
}

static enum err read_line(const char *const *words, struct settings_line *line,
                          const char **rest)
{
    char *argv[12] = { (char *)"prog" };
    int argc = 1;

    while (words[argc - 1] != NULL) {
        argv[argc] = (char *)words[argc - 1];
        argc++;
    }
    memset(&s, 0, sizeof(s));
    settings_defaults(&table, &s);
    *line = (struct settings_line){
        .argc = argc, .argv = argv, .rest = rest, .rest_max = 2
    };
    return settings_flags(&table, line, &s, &wrong);
}

static void test_flags_are_read_in_both_forms(void **state)
{
    static const char *const words[] = {
        "http",      "--public-port=99", "--grace",  "1s",
        "--verbose", "--listen=x",       "--listen", "y",
        "--",        "--name",           NULL
    };
    struct settings_line line;
    const char *rest[2];

    (void)state;
    assert_int_equal(read_line(words, &line, rest), ERR_OK);
    assert_int_equal(s.public_port, 99);
    assert_int_equal(s.grace_us, US_PER_S);
    assert_true(s.verbose);
    assert_int_equal(s.listen.count, 2);
    assert_string_equal(s.listen.items[0], "x");
    assert_int_equal(line.rest_count, 2);
    assert_string_equal(rest[1], "--name");
}

static void test_wrong_flags_are_named(void **state)
{
    static const struct {
        const char *words[4], *want;
    } cases[] = {
        { { "--nam", "a" },
          "--nam: there is no such flag; did you mean --name?" },
        { { "--publik-port=1" },
          "--publik-port: there is no such flag; did you mean --public-port?" },
        { { "-x" }, "-x: there is no such flag; see --help" },
        { { "--no-name" }, "--no-name: there is no such flag; see --help" },
        { { "--name" }, "--name: a value must follow" },
        { { "--grace=1y" },
          "--grace: \"1y\" is not a duration such as 500ms, "
          "90s, 10m or 24h" },
        { { "--verbose=maybe" }, "--verbose: \"maybe\" is not true or false" },
        { { "--no-verbose=true" }, "--no-verbose=true: takes no value" },
        { { "a", "b", "c" }, "c: one argument too many; see --help" },
    };
    struct settings_line line;
    const char *rest[2];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(read_line(cases[i].words, &line, rest), ERR_SETTINGS);
        assert_string_equal(wrong.text, cases[i].want);
    }
}

static void test_what_is_printed_reads_back_the_same(void **state)
{
    struct sample before;
    FILE *file;

    (void)state;
    assert_int_equal(read_text("name: 'a\"\\b'\ngrace: 1500ms\nlisten: []\n"),
                     ERR_OK);
    before = s;
    file = fopen("printed.yaml", "w");
    settings_print(&table, &s, file);
    (void)fclose(file);
    memset(&s, 0, sizeof(s));
    settings_defaults(&table, &s);
    assert_int_equal(settings_read(&table, "printed.yaml", &s, &wrong), ERR_OK);
    (void)unlink("printed.yaml");
    assert_memory_equal(&before, &s, sizeof(s));
}

static void test_a_text_is_one_line_of_letters(void **state)
{
    static const char *const bad[] = {
        ("\xc2\x9b"
         "2J"),
        "\xc2\x85",
        "\xe2\x80\xa8",
        "\xe2\x80\xa9",
        "\xef\xbb\xbf",
        "\xef\xbf\xbf",
        "\xff",
        "\x80",
        "\xc0\xaf",
        "\xe0\x80\xaf",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xe2\x80",
        "\x7f",
        "a\tb",
    };
    static const char *const good[] = { "", "caf\xc3\xa9",
                                        "\xe4\xb8\xad \xf0\x9f\x98\x80" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(
            settings_value_set(&rows[0], &s, span_text(bad[i]), &wrong),
            ERR_SETTINGS);
        assert_non_null(strstr(wrong.text, "is not a text on one line"));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(
            settings_value_set(&rows[0], &s, span_text(good[i]), &wrong),
            ERR_OK);
        assert_string_equal(s.name, good[i]);
    }
}

static void test_help_shows_every_row_with_its_default(void **state)
{
    char text[2048] = "";
    FILE *file = fmemopen(text, sizeof(text), "w");

    (void)state;
    settings_help(&table, file);
    (void)fclose(file);
    assert_non_null(strstr(text, "  --public-port PORT          A port [443]"));
    assert_non_null(
        strstr(text, "  --listen ADDRESS            Where; may be repeated "
                     "[a:1, b:2]"));
    assert_non_null(strstr(text, "--verbose "));
    assert_non_null(strstr(text, "--config FILE"));
    for (char *line = strtok(text, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 80);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file_is_read),
        cmocka_unit_test(test_nothing_in_the_file_leaves_the_defaults),
        cmocka_unit_test(test_each_mistake_has_its_line_and_sentence),
        cmocka_unit_test(test_a_file_that_cannot_be_read_is_named),
        cmocka_unit_test(test_flags_are_read_in_both_forms),
        cmocka_unit_test(test_wrong_flags_are_named),
        cmocka_unit_test(test_what_is_printed_reads_back_the_same),
        cmocka_unit_test(test_a_text_is_one_line_of_letters),
        cmocka_unit_test(test_help_shows_every_row_with_its_default),
    };

    return cmocka_run_group_tests(tests, in_folder, out_of_folder);
}
