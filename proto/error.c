/*
 * The table of errors as rows that can be looked up. Nothing here decides
 * anything: what an error ends is said where it is handled.
 */
#include "proto/error.h"

#include <assert.h>
#include <stddef.h>

struct error_row {
    enum err code;
    enum err_fault fault;
    const char *name;
    const char *text;
};

static const struct error_row error_rows[] = {
#define X(name, wire, fault, text) { ERR_##name, FAULT_##fault, #name, text },
    ERR_TABLE(X)
#undef X
};

#define ERROR_ROWS (sizeof(error_rows) / sizeof(error_rows[0]))

/* The row with number |code|, NULL when there is none. */
static const struct error_row *error_find(unsigned code)
{
    for (size_t i = 0; i < ERROR_ROWS; i++) {
        if ((unsigned)error_rows[i].code == code) {
            return &error_rows[i];
        }
    }
    return NULL;
}

const char *error_name(enum err e)
{
    const struct error_row *row = error_find((unsigned)e);

    assert(row != NULL);
    return row->name;
}

const char *error_text(enum err e)
{
    const struct error_row *row = error_find((unsigned)e);

    assert(row != NULL);
    return row->text;
}

enum err_fault error_fault(enum err e)
{
    const struct error_row *row = error_find((unsigned)e);

    assert(row != NULL);
    return row->fault;
}

enum err error_from_wire(uint16_t wire)
{
    const struct error_row *row = error_find(wire);

    if (row == NULL || !error_is_wire(row->code)) {
        return ERR_PROTOCOL;
    }
    return row->code;
}

bool error_is_wire(enum err e)
{
    return (unsigned)e < ERR_LOCAL_FIRST;
}
