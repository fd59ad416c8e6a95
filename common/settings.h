/*
 * Settings from file and flags by one table: a row is name, kind, default,
 * limits, unit and sentence, and --help, the YAML file, the flags and the
 * sample files all read it. YAML: a strict subset (libyaml), unknown or
 * repeated keys are refused with their line.
 */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stddef.h>
#include <stdio.h>

#include "proto/error.h"

enum setting_kind {
    SETTING_TEXT,     /* char[], NUL-terminated, size bytes */
    SETTING_COUNT,    /* uint64_t, min..max */
    SETTING_DURATION, /* uint64_t in microseconds; "90s", "10m", "24h", "1d" */
    SETTING_SWITCH,   /* bool; flag --x or --no-x; file true/false */
    SETTING_LIST      /* struct setting_list of texts; flag may repeat */
};

#define SETTING_TEXT_MAX 512u
#define SETTING_LIST_MAX 32u
#define SETTINGS_ROWS_MAX 64u
#define SETTINGS_ITEMS_MAX 64u           /* of a map in the file */
#define SETTINGS_ITEM_KEY_MAX 64u        /* with its zero */
#define SETTINGS_FILE_MAX (256u * 1024u) /* bytes of a file */

struct setting_list {
    size_t count;
    char items[SETTING_LIST_MAX][SETTING_TEXT_MAX];
};

struct setting {
    /* "public-port": key in the file, --public-port on the line. */
    const char *name;
    enum setting_kind kind;
    size_t offset;        /* into the settings struct */
    size_t size;          /* of a text */
    const char *fallback; /* as it would be written; NULL: zeros; a list's
                             items stand with ", " between them */
    uint64_t min, max;    /* count, duration */
    const char *unit;     /* shown in --help: "PORT", "FILE", "DURATION" */
    const char *text;     /* the sentence */
};

struct settings_error {
    char text[512]; /* "relay.yaml:7: unknown key \"listn\"; did you mean..." */
};

struct settings_table {
    const struct setting *rows;
    size_t count;
    /* Names of rows that are flags only, such as "config"; NULL ends the
     * list, and NULL instead of it: all may stand in the file. */
    const char *const *flags_only;
    /*
     * A key of the file that is not a row but a mapping of mappings
     * (`tunnels:`), NULL none; each item is given to |on_item| as a table of
     * |item_table| filled into a fresh struct of |item_size| bytes.
     */
    const char *map_key;
    const struct settings_table *item_table;
    size_t item_size;
    /* ERR_SETTINGS with a sentence in |e|; the file and line are put before
     * it. Keys are not repeated. */
    enum err (*on_item)(void *settings, const char *key, const void *item,
                        struct settings_error *e);
};

/* Fill |settings| with the defaults. */
void settings_defaults(const struct settings_table *t, void *settings);

/* Read the YAML file. ERR_ABSENT: no such file; ERR_SETTINGS: |e| says. */
MUST_CHECK enum err settings_read(const struct settings_table *t,
                                  const char *path, void *settings,
                                  struct settings_error *e);

/*
 * Read the flags among argv[1..argc-1] (--name VALUE, --name=VALUE); what is
 * no flag goes to |rest| (at most |rest_max|, count in |rest_count|). `--`
 * ends the flags. A list's first flag replaces what was there. ERR_SETTINGS:
 * |e| says.
 */
struct settings_line {
    int argc;
    char **argv;
    const char **rest;
    size_t rest_max;
    size_t rest_count;
};
MUST_CHECK enum err settings_flags(const struct settings_table *t,
                                   struct settings_line *line, void *settings,
                                   struct settings_error *e);

/* One entry of a help text: |flag|, then |text| from column 30 to 80. */
void settings_help_line(const char *flag, const char *text, FILE *out);

/* The rows as help text. */
void settings_help(const struct settings_table *t, FILE *out);

/* The rows but the flags' own, as a YAML file that settings_read() takes. */
void settings_print(const struct settings_table *t, const void *settings,
                    FILE *out);

#endif
