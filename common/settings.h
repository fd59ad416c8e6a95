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

struct setting_list {
    size_t count;
    char items[SETTING_LIST_MAX][SETTING_TEXT_MAX];
};

struct setting {
    const char *name; /* "listen": key in the file, --listen on the line */
    enum setting_kind kind;
    size_t offset;        /* into the settings struct */
    size_t size;          /* of a text */
    const char *fallback; /* default as it would be written; NULL none */
    uint64_t min, max;    /* count, duration */
    const char *unit;     /* shown in --help: "PORT", "FILE", "DURATION" */
    const char *text;     /* the sentence */
};

struct settings_table {
    const struct setting *rows;
    size_t count;
    /*
     * A key of the file that is not a row but a mapping of mappings
     * (`tunnels:`), NULL none; each item is given to |on_item| as a table of
     * |item_rows| filled into a fresh struct of |item_size| bytes.
     */
    const char *map_key;
    const struct settings_table *item_table;
    size_t item_size;
    enum err (*on_item)(void *settings, const char *key, const void *item);
};

struct settings_error {
    char text[512]; /* "relay.yaml:7: unknown key \"listn\"; did you mean..." */
};

/* Fill |settings| with the defaults. */
void settings_defaults(const struct settings_table *t, void *settings);

/* Read the YAML file. ERR_ABSENT: no such file; ERR_SETTINGS: |e| says. */
MUST_CHECK enum err settings_read(const struct settings_table *t,
                                  const char *path, void *settings,
                                  struct settings_error *e);

/*
 * Read the flags among argv[1..argc-1] (--name VALUE, --name=VALUE); what is
 * no flag goes to |rest| (at most |rest_max|, count in |*rest_count|).
 * `--` ends the flags.
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

/* The rows as help text. */
void settings_help(const struct settings_table *t, FILE *out);

#endif
