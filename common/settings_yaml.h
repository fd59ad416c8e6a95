/*
 * The settings file: a strict subset of YAML (scalars, one level of lists, one
 * map of maps) into the rows of a table. For the room settings only.
 */
#ifndef COMMON_SETTINGS_YAML_H
#define COMMON_SETTINGS_YAML_H

#include <stdio.h>

#include "common/settings.h"

/* Read |file|, called |path| in sentences. ERR_SETTINGS: |e| says where. */
MUST_CHECK enum err settings_yaml_read(const struct settings_table *t,
                                       FILE *file, const char *path,
                                       void *settings,
                                       struct settings_error *e);

#endif
