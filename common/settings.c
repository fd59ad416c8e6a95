/*
 * Settings from file and flags by one table, see settings.h. The values are
 * settings_value's, the file's grammar is settings_yaml's.
 */
#include "common/settings.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/settings_value.h"
#include "common/settings_yaml.h"

#define HELP_INDENT 30
#define HELP_WIDTH 80

/* A list's fallback: its items stand with ", " between them. */
static enum err fallback_list(const struct setting *row, void *settings,
                              struct settings_error *e)
{
    const char *from = row->fallback;

    while (*from != '\0') {
        const char *comma = strstr(from, ", ");
        size_t len = comma == NULL ? strlen(from) : (size_t)(comma - from);

        TRY(settings_value_set(row, settings, span_of(from, len), e));
        from += comma == NULL ? len : len + 2;
    }
    return ERR_OK;
}

void settings_defaults(const struct settings_table *t, void *settings)
{
    assert(t->count <= SETTINGS_ROWS_MAX);
    for (size_t i = 0; i < t->count; i++) {
        const struct setting *row = &t->rows[i];
        struct settings_error e;
        enum err error = ERR_OK;

        settings_value_clear(row, settings);
        if (row->fallback == NULL) {
            continue;
        }
        error = row->kind == SETTING_LIST
                    ? fallback_list(row, settings, &e)
                    : settings_value_set(row, settings,
                                         span_text(row->fallback), &e);
        /* A default that its own row refuses is a mistake of ours. */
        assert(error == ERR_OK);
    }
}

enum err settings_read(const struct settings_table *t, const char *path,
                       void *settings, struct settings_error *e)
{
    FILE *file = fopen(path, "re");
    struct stat st;
    enum err error;

    if (file == NULL) {
        error = errno == ENOENT ? ERR_ABSENT : ERR_SETTINGS;
        (void)snprintf(e->text, sizeof(e->text), "%.300s: %s", path,
                       strerror(errno));
        return error;
    }
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode)) {
        (void)snprintf(e->text, sizeof(e->text),
                       "%.300s: is a folder, not a file", path);
        error = ERR_SETTINGS;
    } else {
        error = settings_yaml_read(t, file, path, settings, e);
    }
    (void)fclose(file);
    return error;
}

/* A row's name as a flag: "public-port". */
static void flag_name(const char *name, char *out, size_t size)
{
    (void)snprintf(out, size, "%s", name);
    for (char *c = out; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
}

/* A flag in parts: "--no-x" is name "x", switched off. */
struct flag {
    const struct setting *row;
    bool is_off;
    bool has_value; /* after "=" */
    struct span value;
};

static enum err wrong_flag(struct settings_error *e, struct span name,
                           const char *why)
{
    char shown[100];

    log_escape(name, shown, sizeof(shown));
    (void)snprintf(e->text, sizeof(e->text), "%s: %.380s", shown, why);
    return ERR_SETTINGS;
}

/* The row that |text|, with its dashes, is about. */
static enum err parse_flag(const struct settings_table *t, const char *text,
                           struct flag *f, struct settings_error *e)
{
    const char *equals = strchr(text, '=');
    size_t len = equals == NULL ? strlen(text) : (size_t)(equals - text);
    struct span shown = span_of(text, len);
    struct span name = span_after(shown, len > 2 ? 2 : len);
    struct span rest = span_after(name, name.len > 3 ? 3 : name.len);
    const char *near = "", *ignored;
    char meant[64], why[120] = "there is no such flag; see --help";

    *f = (struct flag){ .has_value = equals != NULL };
    f->value = span_text(equals == NULL ? "" : equals + 1);
    if (text[1] == '-' && name.len > 0) {
        f->row = settings_value_row(t, name, &near);
    }
    if (f->row == NULL && rest.len > 0 && memcmp(name.data, "no-", 3) == 0) {
        f->row = settings_value_row(t, rest, &ignored);
        f->is_off = f->row != NULL;
    }
    if (f->row != NULL && f->is_off && f->row->kind != SETTING_SWITCH) {
        f->row = NULL;
    }
    if (f->row == NULL && near[0] != '\0') {
        flag_name(near, meant, sizeof(meant));
        (void)snprintf(why, sizeof(why),
                       "there is no such flag; did you mean --%s?", meant);
    }
    return f->row == NULL ? wrong_flag(e, shown, why) : ERR_OK;
}

/* Find the value of |f|, perhaps in the next argument, and set it. */
static enum err take_flag(struct settings_line *line, int *at, struct flag *f,
                          void *settings, struct settings_error *e)
{
    struct span shown = span_text(line->argv[*at]);
    struct settings_error inner;

    if (f->row->kind == SETTING_SWITCH && !f->has_value) {
        f->value = span_text(f->is_off ? "false" : "true");
    } else if (f->row->kind == SETTING_SWITCH && f->is_off) {
        return wrong_flag(e, shown, "takes no value");
    } else if (!f->has_value) {
        if (*at + 1 >= line->argc) {
            return wrong_flag(e, shown, "a value must follow");
        }
        (*at)++;
        f->value = span_text(line->argv[*at]);
    } else {
        shown.len =
            (size_t)((const char *)f->value.data - (const char *)shown.data) -
            1;
    }
    if (settings_value_set(f->row, settings, f->value, &inner) != ERR_OK) {
        return wrong_flag(e, shown, inner.text);
    }
    return ERR_OK;
}

enum err settings_flags(const struct settings_table *t,
                        struct settings_line *line, void *settings,
                        struct settings_error *e)
{
    bool seen[SETTINGS_ROWS_MAX] = { false };
    bool is_flags_end = false;

    assert(t->count <= SETTINGS_ROWS_MAX);
    line->rest_count = 0;
    for (int i = 1; i < line->argc; i++) {
        const char *text = line->argv[i];
        struct flag f;

        if (!is_flags_end && strcmp(text, "--") == 0) {
            is_flags_end = true;
            continue;
        }
        if (is_flags_end || text[0] != '-' || text[1] == '\0') {
            if (line->rest_count == line->rest_max) {
                return wrong_flag(e, span_text(text),
                                  "one argument too many; see --help");
            }
            line->rest[line->rest_count++] = text;
            continue;
        }
        TRY(parse_flag(t, text, &f, e));
        if (!seen[f.row - t->rows]) {
            seen[f.row - t->rows] = true;
            settings_value_clear(f.row, settings);
        }
        TRY(take_flag(line, &i, &f, settings, e));
    }
    return ERR_OK;
}

static const char *unit_of(const struct setting *row)
{
    switch (row->kind) {
    case SETTING_SWITCH:
        return "";
    case SETTING_COUNT:
        return row->unit != NULL ? row->unit : "NUMBER";
    case SETTING_DURATION:
        return row->unit != NULL ? row->unit : "DURATION";
    case SETTING_TEXT:
    case SETTING_LIST:
        return row->unit != NULL ? row->unit : "TEXT";
    }
    return "";
}

void settings_help_line(const char *flag, const char *text, FILE *out)
{
    int at = fprintf(out, "  %s", flag);

    if (at >= HELP_INDENT) {
        (void)fputc('\n', out);
        at = 0;
    }
    while (*text != '\0') {
        int len = (int)strcspn(text, " ");

        if (at > HELP_INDENT && at + 1 + len > HELP_WIDTH) {
            (void)fputc('\n', out);
            at = 0;
        }
        at += fprintf(out, "%*s%.*s", at < HELP_INDENT ? HELP_INDENT - at : 1,
                      "", len, text);
        text += len + (text[len] == ' ' ? 1 : 0);
    }
    (void)fputc('\n', out);
}

void settings_help(const struct settings_table *t, FILE *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct setting *row = &t->rows[i];
        bool is_on = row->kind == SETTING_SWITCH && row->fallback != NULL &&
                     strcmp(row->fallback, "true") == 0;
        bool has_default = row->fallback != NULL && row->fallback[0] != '\0' &&
                           row->kind != SETTING_SWITCH;
        char name[64], flag[120], text[SETTING_TEXT_MAX];

        flag_name(row->name, name, sizeof(name));
        (void)snprintf(flag, sizeof(flag), "--%s%s%s%s", is_on ? "[no-]" : "",
                       name, row->kind == SETTING_SWITCH ? "" : " ",
                       unit_of(row));
        (void)snprintf(text, sizeof(text), "%s%s%s%s%s", row->text,
                       row->kind == SETTING_LIST ? "; may be repeated" : "",
                       has_default ? " [" : "",
                       has_default ? row->fallback : "",
                       has_default ? "]" : "");
        settings_help_line(flag, text, out);
    }
}

/* A text as YAML takes it back. */
static void print_text(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            (void)fputc('\\', out);
        }
        (void)fputc(*text, out);
    }
    (void)fputs("\"\n", out);
}

void settings_print(const struct settings_table *t, const void *settings,
                    FILE *out)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct setting *row = &t->rows[i];
        char text[SETTING_TEXT_MAX];

        if (!settings_value_in_file(t, row)) {
            continue;
        }
        (void)fprintf(out, "%s:", row->name);
        if (row->kind == SETTING_LIST) {
            const struct setting_list *list =
                settings_value_list(row, settings);

            (void)fputs(list->count == 0 ? " []\n" : "\n", out);
            for (size_t k = 0; k < list->count; k++) {
                (void)fputs("  - ", out);
                print_text(list->items[k], out);
            }
            continue;
        }
        (void)fputc(' ', out);
        settings_value_text(row, settings, 0, text, sizeof(text));
        if (row->kind == SETTING_TEXT) {
            print_text(text, out);
        } else {
            (void)fprintf(out, "%s\n", text);
        }
    }
}
