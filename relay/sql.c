/*
 * SQLite for the store, see sql.h. Statements are prepared each time: logins
 * and names are rare beside the data path, which never comes here.
 */
#include "relay/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

/* How long the operator's commands may hold the relay up, and it them. */
#define SQL_BUSY_MS 2000

/* What to do about SQLite's |code|. */
static const char *advice_for(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "the disk is full: free some space";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program holds it: try again";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
        return "it cannot be opened for writing: it and its folder must "
               "belong to the relay's user";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "it is damaged or no store of ours: bring back a copy, or move "
               "it away";
    case SQLITE_IOERR:
        return "reading or writing it failed: look at the disk";
    case SQLITE_NOMEM:
        return "out of memory";
    default:
        return "it failed";
    }
}

static enum err failed(struct sql *s, int code)
{
    const char *detail =
        s->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(s->db);

    (void)snprintf(s->why, sizeof(s->why), "%s: %s (%.120s)", s->path,
                   advice_for(code), detail);
    return ERR_STORE;
}

/* SQLite would make the file readable for all that the umask lets. */
static enum err make_file(struct sql *s)
{
    int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        (void)snprintf(s->why, sizeof(s->why), "%s: %s", s->path,
                       strerror(errno));
        return ERR_STORE;
    }
    (void)close(fd);
    return ERR_OK;
}

enum err sql_open(struct sql *s, const char *path)
{
    static const char *const pragmas[] = {
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        /* No files but those beside the store. */
        "PRAGMA temp_store = MEMORY",
        "PRAGMA trusted_schema = OFF",
    };
    sqlite3 *db = NULL;
    int code;

    assert(strlen(path) < sizeof(s->path));
    memcpy(s->path, path, strlen(path) + 1);
    TRY(make_file(s));
    code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
    s->db = db;
    if (code != SQLITE_OK) {
        return failed(s, code);
    }
    (void)sqlite3_busy_timeout(db, SQL_BUSY_MS);
    for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++) {
        TRY(sql_run(s, pragmas[i], NULL, NULL, NULL));
    }
    return ERR_OK;
}

void sql_close(struct sql *s)
{
    (void)sqlite3_close(s->db);
    s->db = NULL;
}

static int bind(sqlite3_stmt *statement, const struct sql_values *values)
{
    int code = SQLITE_OK;

    for (size_t i = 0; i < values->count && code == SQLITE_OK; i++) {
        const struct sql_value *v = &values->at[i];
        int at = (int)i + 1;
        const char *data =
            v->bytes.data == NULL ? "" : (const char *)v->bytes.data;

        switch (v->kind) {
        case SQL_INT:
            code = sqlite3_bind_int64(statement, at, v->number);
            break;
        case SQL_BLOB:
            code = sqlite3_bind_blob64(statement, at, data, v->bytes.len,
                                       SQLITE_STATIC);
            break;
        case SQL_TEXT:
            code = sqlite3_bind_text64(statement, at, data, v->bytes.len,
                                       SQLITE_STATIC, SQLITE_UTF8);
            break;
        }
    }
    return code;
}

enum err sql_run(struct sql *s, const char *text,
                 const struct sql_values *values, sql_row_fn *fn, void *owner)
{
    sqlite3_stmt *statement = NULL;
    enum err error = ERR_OK;
    int code = sqlite3_prepare_v2(s->db, text, -1, &statement, NULL);

    if (code == SQLITE_OK && values != NULL) {
        code = bind(statement, values);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    while (code == SQLITE_ROW) {
        if (fn != NULL) {
            fn((const struct sql_row *)statement, owner);
        }
        code = sqlite3_step(statement);
    }
    /* The sentence first: finalize() may make SQLite forget it. */
    if (code != SQLITE_DONE) {
        error = failed(s, code);
    }
    (void)sqlite3_finalize(statement);
    return error;
}

int64_t sql_changes(const struct sql *s)
{
    return sqlite3_changes(s->db);
}

enum err sql_begin(struct sql *s)
{
    return sql_run(s, "BEGIN IMMEDIATE", NULL, NULL, NULL);
}

enum err sql_end(struct sql *s, enum err error)
{
    char why[SQL_WHY_MAX];

    if (error == ERR_OK) {
        error = sql_run(s, "COMMIT", NULL, NULL, NULL);
    }
    if (error != ERR_OK && sqlite3_get_autocommit(s->db) == 0) {
        memcpy(why, s->why, sizeof(why));
        if (sql_run(s, "ROLLBACK", NULL, NULL, NULL) == ERR_OK) {
            return error;
        }
        /* What made us undo is what matters. */
        memcpy(s->why, why, sizeof(why));
    }
    return error;
}

int64_t sql_row_int(const struct sql_row *row, int column)
{
    return sqlite3_column_int64((sqlite3_stmt *)(uintptr_t)row, column);
}

void sql_row_blob(const struct sql_row *row, int column, void *out, size_t len)
{
    sqlite3_stmt *statement = (sqlite3_stmt *)(uintptr_t)row;
    const void *blob = sqlite3_column_blob(statement, column);

    memset(out, 0, len);
    if (blob != NULL && sqlite3_column_bytes(statement, column) == (int)len) {
        memcpy(out, blob, len);
    }
}

void sql_row_text(const struct sql_row *row, int column, char *out, size_t size)
{
    sqlite3_stmt *statement = (sqlite3_stmt *)(uintptr_t)row;
    const unsigned char *text = sqlite3_column_text(statement, column);

    (void)snprintf(out, size, "%s", text == NULL ? "" : (const char *)text);
}
