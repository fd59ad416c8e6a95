/*
 * SQLite for the store: one statement, its values and its rows, and what went
 * wrong as a sentence. Knows no table.
 */
#ifndef RELAY_SQL_H
#define RELAY_SQL_H

#include "proto/error.h"
#include "proto/span.h"

#define SQL_PATH_MAX 640u
#define SQL_WHY_MAX 960u
#define SQL_VALUES_MAX 8u

struct sql {
    void *db; /* sqlite3 */
    char path[SQL_PATH_MAX];
    char why[SQL_WHY_MAX];
};

/* The values of a statement's question marks; |count| of them. */
struct sql_value {
    enum { SQL_INT, SQL_BLOB, SQL_TEXT } kind;
    int64_t number;
    struct span bytes;
};

struct sql_values {
    size_t count;
    struct sql_value at[SQL_VALUES_MAX];
};

/* One value; bytes are borrowed for the call it is given to. */
static inline struct sql_value sql_int(int64_t v)
{
    return (struct sql_value){ SQL_INT, v, { NULL, 0 } };
}

/* See sql_int(). */
static inline struct sql_value sql_blob(const void *data, size_t len)
{
    return (struct sql_value){ SQL_BLOB, 0, { data, len } };
}

/* See sql_int(). */
static inline struct sql_value sql_text(struct span text)
{
    return (struct sql_value){ SQL_TEXT, 0, text };
}

struct sql_row; /* of the current step */
typedef void sql_row_fn(const struct sql_row *row, void *owner);

/*
 * Open the database file |path|, made 0600 when absent: WAL, every commit
 * durable. ERR_STORE with s->why. |s| is zeroed before.
 */
MUST_CHECK enum err sql_open(struct sql *s, const char *path);

/* Fine when not open. */
void sql_close(struct sql *s);

/*
 * Run the one statement |text|; |values| may be NULL. |fn| is called for each
 * row (NULL: rows are dropped). ERR_STORE with s->why.
 */
MUST_CHECK enum err sql_run(struct sql *s, const char *text,
                            const struct sql_values *values, sql_row_fn *fn,
                            void *owner);

/* Rows the last statement changed. */
int64_t sql_changes(const struct sql *s);

/* Begin, and end as |error| says: ERR_OK commits, else all is undone and
 * |error| is returned. */
MUST_CHECK enum err sql_begin(struct sql *s);
MUST_CHECK enum err sql_end(struct sql *s, enum err error);

/* Column |column| of a row; blobs of another length are zeros. */
int64_t sql_row_int(const struct sql_row *row, int column);
void sql_row_blob(const struct sql_row *row, int column, void *out, size_t len);
void sql_row_text(const struct sql_row *row, int column, char *out,
                  size_t size);

#endif
