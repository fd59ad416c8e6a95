/*
 * The settings file, see settings_yaml.h: libyaml's events, one function for
 * each shape that may stand in the file, in the order it is met. Whatever else
 * YAML can do (anchors, tags, several documents) is refused with its line.
 */
#include "common/settings_yaml.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/log.h"
#include "common/settings_value.h"

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the current one */
    bool has_event;
    FILE *file;
    size_t file_len; /* read so far */
    const char *path;
    struct settings_error *e;
};

/* What is being filled: the file's own rows, or those of an item of the map. */
struct target {
    const struct settings_table *table;
    void *settings;
    bool seen[SETTINGS_ROWS_MAX];
    bool seen_map;
};

/* Put file and line before the sentence |text|. */
static enum err wrong_at(struct reader *r, size_t line, const char *text)
{
    char sentence[sizeof(r->e->text)];

    (void)snprintf(sentence, sizeof(sentence), "%s", text);
    (void)snprintf(r->e->text, sizeof(r->e->text), "%s:%zu: %.400s", r->path,
                   line + 1, sentence);
    return ERR_SETTINGS;
}

static enum err wrong(struct reader *r, const char *text)
{
    return wrong_at(r, r->event.start_mark.line, text);
}

/* Wrong, with a |word| from the file in the sentence. */
static enum err wrong_word(struct reader *r, size_t line, const char *before,
                           const char *word, const char *after)
{
    char shown[160], sentence[400];

    log_escape(span_text(word), shown, sizeof(shown));
    (void)snprintf(sentence, sizeof(sentence), "%s%s%s", before, shown, after);
    return wrong_at(r, line, sentence);
}

/* Whether the current event carries what the subset leaves out. */
static const char *left_out(const yaml_event_t *ev)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (ev->type == YAML_ALIAS_EVENT) {
        return "aliases (*name) are not taken: write the value out";
    }
    if (ev->type == YAML_SCALAR_EVENT) {
        anchor = ev->data.scalar.anchor;
        tag = ev->data.scalar.tag;
    } else if (ev->type == YAML_SEQUENCE_START_EVENT) {
        anchor = ev->data.sequence_start.anchor;
        tag = ev->data.sequence_start.tag;
    } else if (ev->type == YAML_MAPPING_START_EVENT) {
        anchor = ev->data.mapping_start.anchor;
        tag = ev->data.mapping_start.tag;
    }
    if (anchor != NULL) {
        return "anchors (&name) are not taken: write the value out";
    }
    return tag != NULL ? "tags (!name) are not taken: leave it out" : NULL;
}

/* Go on to the next event. */
static enum err next(struct reader *r)
{
    const char *text;

    if (r->has_event) {
        yaml_event_delete(&r->event);
        r->has_event = false;
    }
    if (yaml_parser_parse(&r->parser, &r->event) == 0) {
        text = r->parser.problem != NULL ? r->parser.problem : "not YAML";
        if (r->file_len > SETTINGS_FILE_MAX) {
            text = "the file is too large for settings";
        } else if (ferror(r->file) != 0) {
            text = strerror(errno);
        }
        return wrong_at(r, r->parser.problem_mark.line, text);
    }
    r->has_event = true;
    text = left_out(&r->event);
    return text == NULL ? ERR_OK : wrong(r, text);
}

/* The current scalar's text; a zero byte in it is refused. */
static enum err scalar(struct reader *r, struct span *out)
{
    *out = span_of(r->event.data.scalar.value, r->event.data.scalar.length);
    if (memchr(out->data, 0, out->len) != NULL) {
        return wrong(r, "a zero byte in a value");
    }
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
        (span_equal(*out, span_text("~")) ||
         span_equal(*out, span_text("null")))) {
        return wrong(r, "null is no value: leave the line out, or write \"\"");
    }
    return ERR_OK;
}

static enum err set(struct reader *r, const struct setting *row, void *settings)
{
    struct span text;
    struct settings_error e;
    char sentence[400];

    TRY(scalar(r, &text));
    if (settings_value_set(row, settings, text, &e) == ERR_OK) {
        return ERR_OK;
    }
    (void)snprintf(sentence, sizeof(sentence), "%s: %.300s", row->name, e.text);
    return wrong(r, sentence);
}

/* The value of a row: a scalar, or for a list a sequence of them. */
static enum err read_value(struct reader *r, const struct setting *row,
                           void *settings)
{
    settings_value_clear(row, settings);
    if (r->event.type == YAML_SCALAR_EVENT) {
        bool is_empty = r->event.data.scalar.length == 0;

        return row->kind == SETTING_LIST && is_empty ? ERR_OK
                                                     : set(r, row, settings);
    }
    if (r->event.type != YAML_SEQUENCE_START_EVENT) {
        return wrong_word(r, r->event.start_mark.line, "", row->name,
                          ": a value must stand here, not a map");
    }
    if (row->kind != SETTING_LIST) {
        return wrong_word(r, r->event.start_mark.line, "", row->name,
                          ": takes one value, not a list");
    }
    TRY(next(r));
    while (r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (r->event.type != YAML_SCALAR_EVENT) {
            return wrong_word(r, r->event.start_mark.line, "", row->name,
                              ": a list of plain values must stand here");
        }
        TRY(set(r, row, settings));
        TRY(next(r));
    }
    return ERR_OK;
}

static enum err read_rows(struct reader *r, struct target *t);

/* One item of the map, |key|: a mapping of its own rows. */
static enum err read_item(struct reader *r, struct target *t, const char *key)
{
    struct target item = { .table = t->table->item_table };
    struct settings_error e;
    size_t line = r->event.start_mark.line;
    enum err error;

    if (r->event.type != YAML_MAPPING_START_EVENT) {
        return wrong_word(r, line, "\"", key,
                          "\" must be followed by indented settings");
    }
    item.settings = calloc(1, t->table->item_size);
    if (item.settings == NULL) {
        return wrong_at(r, line, "out of memory");
    }
    settings_defaults(item.table, item.settings);
    error = read_rows(r, &item);
    if (error == ERR_OK &&
        t->table->on_item(t->settings, key, item.settings, &e) != ERR_OK) {
        error = wrong_at(r, line, e.text);
    }
    free(item.settings);
    return error;
}

/* The map: each key once, each value a mapping. */
static enum err read_map(struct reader *r, struct target *t)
{
    char keys[SETTINGS_ITEMS_MAX][SETTINGS_ITEM_KEY_MAX];
    size_t count = 0;

    if (r->event.type != YAML_MAPPING_START_EVENT) {
        return wrong_word(r, r->event.start_mark.line, "", t->table->map_key,
                          ": names with indented settings must stand here");
    }
    TRY(next(r));
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        size_t line = r->event.start_mark.line;
        struct span key;

        if (r->event.type != YAML_SCALAR_EVENT) {
            return wrong(r, "a name must stand here");
        }
        TRY(scalar(r, &key));
        if (count == SETTINGS_ITEMS_MAX || key.len >= SETTINGS_ITEM_KEY_MAX) {
            return wrong(r, "a name too many, or one too long");
        }
        memcpy(keys[count], key.data, key.len);
        keys[count][key.len] = '\0';
        for (size_t i = 0; i < count; i++) {
            if (strcmp(keys[i], keys[count]) == 0) {
                return wrong_word(r, line, "\"", keys[count],
                                  "\" stands here a second time");
            }
        }
        TRY(next(r));
        TRY(read_item(r, t, keys[count]));
        count++;
        TRY(next(r));
    }
    return ERR_OK;
}

/* No row has the name |key|. */
static enum err unknown(struct reader *r, struct span key, const char *near)
{
    char shown[160], sentence[400];

    log_escape(key, shown, sizeof(shown));
    (void)snprintf(sentence, sizeof(sentence), "unknown key \"%s\"%s%s%s",
                   shown, near[0] == '\0' ? "" : "; did you mean \"", near,
                   near[0] == '\0' ? "" : "\"?");
    return wrong(r, sentence);
}

/* One key and its value. */
static enum err read_row(struct reader *r, struct target *t)
{
    const struct setting *row;
    const char *near;
    struct span key;
    bool is_map, is_other;
    bool *seen;

    if (r->event.type != YAML_SCALAR_EVENT) {
        return wrong(r, "a key must stand here");
    }
    TRY(scalar(r, &key));
    is_map = t->table->map_key != NULL &&
             span_equal(key, span_text(t->table->map_key));
    row = is_map ? NULL : settings_value_row(t->table, key, &near);
    /* In the file a key has one spelling, its own. */
    is_other = row != NULL && !settings_value_in_file(t->table, row);
    if (is_other || (row != NULL && !span_equal(key, span_text(row->name)))) {
        near = is_other ? "" : row->name;
        row = NULL;
    }
    if (!is_map && row == NULL) {
        return unknown(r, key, near);
    }
    seen = is_map ? &t->seen_map : &t->seen[row - t->table->rows];
    if (*seen) {
        return wrong_word(r, r->event.start_mark.line, "the key \"",
                          is_map ? t->table->map_key : row->name,
                          "\" stands here a second time");
    }
    *seen = true;
    TRY(next(r));
    return is_map ? read_map(r, t) : read_value(r, row, t->settings);
}

/* A mapping of keys: from its start, the current event, to its end. */
static enum err read_rows(struct reader *r, struct target *t)
{
    assert(t->table->count <= SETTINGS_ROWS_MAX);
    TRY(next(r));
    while (r->event.type != YAML_MAPPING_END_EVENT) {
        TRY(read_row(r, t));
        TRY(next(r));
    }
    return ERR_OK;
}

/* The whole file: nothing, or one document with one mapping. */
static enum err read_file(struct reader *r, struct target *t)
{
    TRY(next(r)); /* the stream's start */
    TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) {
        return ERR_OK;
    }
    if (r->event.data.document_start.version_directive != NULL ||
        r->event.data.document_start.tag_directives.start !=
            r->event.data.document_start.tag_directives.end) {
        return wrong(r, "directives (%) are not taken: leave the line out");
    }
    TRY(next(r));
    if (r->event.type == YAML_MAPPING_START_EVENT) {
        TRY(read_rows(r, t));
    } else if (r->event.type != YAML_SCALAR_EVENT ||
               r->event.data.scalar.length != 0) {
        return wrong(r, "lines of the form \"key: value\" must stand here");
    }
    TRY(next(r)); /* the document's end */
    TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT) {
        return wrong(r, "a second document (---): only one may stand here");
    }
    return ERR_OK;
}

/* libyaml wants more of the file, which may as well be a pipe. */
static int on_yaml_read(void *owner, unsigned char *out, size_t size,
                        size_t *len)
{
    struct reader *r = owner;

    *len = fread(out, 1, size, r->file);
    r->file_len += *len;
    return ferror(r->file) == 0 && r->file_len <= SETTINGS_FILE_MAX;
}

enum err settings_yaml_read(const struct settings_table *t, FILE *file,
                            const char *path, void *settings,
                            struct settings_error *e)
{
    struct reader r = { .file = file, .path = path, .e = e };
    struct target target = { .table = t, .settings = settings };
    enum err error;

    if (yaml_parser_initialize(&r.parser) == 0) {
        return ERR_NOMEM;
    }
    yaml_parser_set_input(&r.parser, on_yaml_read, &r);
    error = read_file(&r, &target);
    if (r.has_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.parser);
    return error;
}
