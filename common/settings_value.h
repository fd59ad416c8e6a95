/*
 * One value of a settings row: from text into the struct, and back into text.
 * For the rooms settings and settings_yaml only.
 */
#ifndef COMMON_SETTINGS_VALUE_H
#define COMMON_SETTINGS_VALUE_H

#include "common/settings.h"
#include "proto/span.h"

/*
 * Put |text| into |row|'s place in |settings|; a list grows by one item.
 * ERR_SETTINGS with a sentence in |e|, without file or line.
 */
MUST_CHECK enum err settings_value_set(const struct setting *row,
                                       void *settings, struct span text,
                                       struct settings_error *e);

/* Empty the list of |row|; other kinds stay. */
void settings_value_clear(const struct setting *row, void *settings);

/* The value as settings_value_set() would read it; of a list item |index|. */
void settings_value_text(const struct setting *row, const void *settings,
                         size_t index, char *out, size_t size);

/* The list of |row|. */
const struct setting_list *settings_value_list(const struct setting *row,
                                               const void *settings);

/*
 * The row that is named |name| ('-' and '_' the same), NULL when there is
 * none; then |near| is the name that was perhaps meant, "" when none is close.
 */
const struct setting *settings_value_row(const struct settings_table *t,
                                         struct span name, const char **near);

/* Whether |row| may stand in the file. */
bool settings_value_in_file(const struct settings_table *t,
                            const struct setting *row);

#endif
