/*
 * One value of a settings row, see settings_value.h: numbers, durations and
 * switches as people write them.
 */
#include "common/settings_value.h"

#include <inttypes.h>
#include <string.h>

#include "common/log.h"
#include "common/near.h"
#include "proto/limits.h"

static const struct unit {
    const char *name;
    uint64_t us;
} units[] = {
    { "d", 86400 * US_PER_S }, { "h", 3600 * US_PER_S }, { "m", 60 * US_PER_S },
    { "s", US_PER_S },         { "ms", US_PER_MS },
};

static void *place_of(const struct setting *row, void *settings)
{
    return (char *)settings + row->offset;
}

static const void *seen_at(const struct setting *row, const void *settings)
{
    return (const char *)settings + row->offset;
}

/* |text| is not what |row| takes: say so, with |want|. */
static enum err refuse(struct span text, const char *want,
                       struct settings_error *e)
{
    char shown[128];

    log_escape(text, shown, sizeof(shown));
    (void)snprintf(e->text, sizeof(e->text), "\"%s\" is not %s", shown, want);
    return ERR_SETTINGS;
}

/* The digits |text| begins with; |used| 0 when there are none or too many. */
static uint64_t read_digits(struct span text, size_t *used)
{
    uint64_t v = 0;
    size_t i = 0;

    while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9') {
        uint64_t digit = (uint64_t)(text.data[i] - '0');

        if (v > (UINT64_MAX - digit) / 10) {
            *used = 0;
            return 0;
        }
        v = v * 10 + digit;
        i++;
    }
    *used = i;
    return v;
}

static void duration_text(uint64_t us, char *out, size_t size)
{
    size_t i = 0;

    if (us == 0) {
        (void)snprintf(out, size, "0s");
        return;
    }
    while (i + 1 < sizeof(units) / sizeof(units[0]) && us % units[i].us != 0) {
        i++;
    }
    (void)snprintf(out, size, "%" PRIu64 "%s", us / units[i].us, units[i].name);
}

static bool read_duration(struct span text, uint64_t *us)
{
    size_t used;
    uint64_t v = read_digits(text, &used);
    struct span unit = span_after(text, used);

    if (used == 0) {
        return false;
    }
    if (unit.len == 0) {
        *us = 0;
        return v == 0;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (span_equal(unit, span_text(units[i].name))) {
            *us = v * units[i].us;
            return v <= UINT64_MAX / units[i].us;
        }
    }
    return false;
}

static enum err set_number(const struct setting *row, uint64_t v, uint64_t *out,
                           struct settings_error *e)
{
    char least[32], most[32];

    if (v >= row->min && v <= row->max) {
        *out = v;
        return ERR_OK;
    }
    if (row->kind == SETTING_DURATION) {
        duration_text(row->min, least, sizeof(least));
        duration_text(row->max, most, sizeof(most));
    } else {
        (void)snprintf(least, sizeof(least), "%" PRIu64, row->min);
        (void)snprintf(most, sizeof(most), "%" PRIu64, row->max);
    }
    (void)snprintf(e->text, sizeof(e->text), "must be from %s to %s", least,
                   most);
    return ERR_SETTINGS;
}

/* The letter that |text| begins with in UTF-8; |*used| 0 when none does. */
static uint32_t read_letter(struct span text, size_t *used)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t first = text.data[0];
    uint32_t letter = first;
    size_t len = 1;

    if (first >= 0x80) {
        len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        letter = first & (0x7fu >> len);
    }
    *used = 0;
    if (len > text.len || (first >= 0x80 && first < 0xc0) || first >= 0xf8) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((text.data[i] & 0xc0u) != 0x80) {
            return 0;
        }
        letter = letter << 6 | (text.data[i] & 0x3fu);
    }
    *used = letter < least[len] ? 0 : len;
    return letter;
}

/* What stands in a line of a YAML file as it is, and steers no terminal. */
static bool is_one_line(struct span text)
{
    while (text.len > 0) {
        size_t used;
        uint32_t c = read_letter(text, &used);

        if (used == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 ||
            c == 0x2029 || (c >= 0xd800 && c < 0xe000) || c == 0xfeff ||
            c == 0xfffe || c == 0xffff || c > 0x10ffff) {
            return false;
        }
        text = span_after(text, used);
    }
    return true;
}

static enum err set_text(struct span text, char *out, size_t size,
                         struct settings_error *e)
{
    if (text.len >= size) {
        (void)snprintf(e->text, sizeof(e->text), "is longer than %zu bytes",
                       size - 1);
        return ERR_SETTINGS;
    }
    if (!is_one_line(text)) {
        return refuse(text, "a text on one line", e);
    }
    if (text.len > 0) {
        memcpy(out, text.data, text.len);
    }
    memset(out + text.len, 0, size - text.len);
    return ERR_OK;
}

static enum err set_list(struct span text, struct setting_list *list,
                         struct settings_error *e)
{
    if (list->count == SETTING_LIST_MAX) {
        (void)snprintf(e->text, sizeof(e->text), "has more than %u items",
                       SETTING_LIST_MAX);
        return ERR_SETTINGS;
    }
    TRY(set_text(text, list->items[list->count], SETTING_TEXT_MAX, e));
    list->count++;
    return ERR_OK;
}

enum err settings_value_set(const struct setting *row, void *settings,
                            struct span text, struct settings_error *e)
{
    void *at = place_of(row, settings);
    uint64_t v = 0;
    size_t used;

    switch (row->kind) {
    case SETTING_TEXT:
        return set_text(text, at, row->size, e);
    case SETTING_COUNT:
        v = read_digits(text, &used);
        if (used == 0 || used != text.len) {
            return refuse(text, "a number", e);
        }
        return set_number(row, v, at, e);
    case SETTING_DURATION:
        if (!read_duration(text, &v)) {
            return refuse(text, "a duration such as 500ms, 90s, 10m or 24h", e);
        }
        return set_number(row, v, at, e);
    case SETTING_SWITCH:
        *(bool *)at = span_equal(text, span_text("true"));
        if (*(bool *)at || span_equal(text, span_text("false"))) {
            return ERR_OK;
        }
        return refuse(text, "true or false", e);
    case SETTING_LIST:
        return set_list(text, at, e);
    }
    assert(false);
    return ERR_SETTINGS;
}

void settings_value_clear(const struct setting *row, void *settings)
{
    if (row->kind == SETTING_LIST) {
        memset(place_of(row, settings), 0, sizeof(struct setting_list));
    }
}

const struct setting_list *settings_value_list(const struct setting *row,
                                               const void *settings)
{
    assert(row->kind == SETTING_LIST);
    return seen_at(row, settings);
}

void settings_value_text(const struct setting *row, const void *settings,
                         size_t index, char *out, size_t size)
{
    const void *at = seen_at(row, settings);

    switch (row->kind) {
    case SETTING_TEXT:
        (void)snprintf(out, size, "%s", (const char *)at);
        break;
    case SETTING_COUNT:
        (void)snprintf(out, size, "%" PRIu64, *(const uint64_t *)at);
        break;
    case SETTING_DURATION:
        duration_text(*(const uint64_t *)at, out, size);
        break;
    case SETTING_SWITCH:
        (void)snprintf(out, size, "%s", *(const bool *)at ? "true" : "false");
        break;
    case SETTING_LIST:
        assert(index < settings_value_list(row, settings)->count);
        (void)snprintf(out, size, "%s",
                       settings_value_list(row, settings)->items[index]);
        break;
    }
}

const struct setting *settings_value_row(const struct settings_table *t,
                                         struct span name, const char **near)
{
    unsigned best = NEAR_ENOUGH + 1;

    *near = "";
    for (size_t i = 0; i < t->count; i++) {
        unsigned distance = near_distance(name, t->rows[i].name);

        if (distance == 0) {
            return &t->rows[i];
        }
        if (distance < best && distance * 2 < strlen(t->rows[i].name)) {
            best = distance;
            *near = t->rows[i].name;
        }
    }
    return NULL;
}

bool settings_value_in_file(const struct settings_table *t,
                            const struct setting *row)
{
    const char *const *name = t->flags_only;

    while (name != NULL && *name != NULL && strcmp(*name, row->name) != 0) {
        name++;
    }
    return name == NULL || *name == NULL;
}
