/*
 * What the relay remembers, see store.h: the tables, and a function for each
 * thing that is done with them. How a statement is run is sql's.
 */
#include "relay/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/folders.h"
#include "common/keys.h"
#include "common/log.h"
#include "relay/label.h"
#include "relay/sql.h"

#define STORE_FILE "relay.db"
#define STORE_VERSION 1
#define STORE_FIND_LEAST 6u /* characters of a key that say which */
#define STORE_USED_STEP_S 3600
#define STORE_SKEW_S 3600 /* a clock may be set back so far */
#define STORE_AUDIT_ROWS "10000"
#define STORE_LABEL_TRIES 8u

static const char *const schema[] = {
    "CREATE TABLE keys("
    " key BLOB PRIMARY KEY NOT NULL, name TEXT NOT NULL,"
    " added INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0) STRICT",
    "CREATE TABLE invitations("
    " enrol_key BLOB PRIMARY KEY NOT NULL, name TEXT NOT NULL,"
    " made INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " uses_left INTEGER NOT NULL) STRICT",
    "CREATE TABLE redemptions("
    " enrol_key BLOB NOT NULL"
    "  REFERENCES invitations(enrol_key) ON DELETE CASCADE,"
    " key BLOB NOT NULL, at INTEGER NOT NULL,"
    " PRIMARY KEY(enrol_key, key)) STRICT",
    "CREATE TABLE names("
    " label TEXT PRIMARY KEY NOT NULL,"
    " key BLOB NOT NULL REFERENCES keys(key), tag BLOB NOT NULL,"
    " made INTEGER NOT NULL, used INTEGER NOT NULL) STRICT",
    "CREATE INDEX names_by_key ON names(key, tag)",
    "CREATE TABLE audit("
    " id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL,"
    " what TEXT NOT NULL, who TEXT NOT NULL) STRICT",
    "PRAGMA user_version = 1",
};

struct store {
    struct sql sql;
};

#define VALUES(...)                                                            \
    (&(struct sql_values){ sizeof((struct sql_value[]){ __VA_ARGS__ }) /       \
                               sizeof(struct sql_value),                       \
                           { __VA_ARGS__ } })

/* A key's bytes as a value. */
static struct sql_value of_key(const uint8_t key[KEY_LEN])
{
    return sql_blob(key, KEY_LEN);
}

static enum err refuse(struct store *s, enum err error, const char *sentence)
{
    (void)snprintf(s->sql.why, sizeof(s->sql.why), "%s", sentence);
    return error;
}

struct store *store_new(void)
{
    return calloc(1, sizeof(struct store));
}

static void on_row_int(const struct sql_row *row, void *owner)
{
    *(int64_t *)owner = sql_row_int(row, 0);
}

static enum err make_tables(struct store *s)
{
    int64_t version = 0;

    TRY(sql_run(&s->sql, "PRAGMA user_version", NULL, on_row_int, &version));
    for (size_t i = 0; version == 0 && i < sizeof(schema) / sizeof(schema[0]);
         i++) {
        TRY(sql_run(&s->sql, schema[i], NULL, NULL, NULL));
    }
    if (version > STORE_VERSION) {
        (void)snprintf(s->sql.why, sizeof(s->sql.why),
                       "%s: a later sallyport-relay wrote it (version %" PRId64
                       "): use that one",
                       s->sql.path, version);
        return ERR_STORE;
    }
    return ERR_OK;
}

enum err store_open(struct store *s, const char *folder)
{
    char path[SQL_PATH_MAX];
    const char *why = "";

    if (folders_make(folder, &why) != ERR_OK) {
        (void)snprintf(s->sql.why, sizeof(s->sql.why),
                       "the state folder %.500s cannot be made: %s", folder,
                       why);
        return ERR_STORE;
    }
    if (folders_join(folder, STORE_FILE, path, sizeof(path)) != ERR_OK) {
        return refuse(s, ERR_STORE, "the state folder's path is too long");
    }
    TRY(sql_open(&s->sql, path));
    TRY(sql_begin(&s->sql));
    return sql_end(&s->sql, make_tables(s));
}

void store_free(struct store *s)
{
    if (s != NULL) {
        sql_close(&s->sql);
        free(s);
    }
}

const char *store_why(const struct store *s)
{
    return s->sql.why;
}

enum err store_invite(struct store *s, const struct store_invitation *i,
                      int64_t now_s)
{
    enum err error;

    TRY(sql_begin(&s->sql));
    /* What nobody can use any more need not be kept. A redeemed one is kept a
     * while, for a machine that asks again. */
    error = sql_run(&s->sql, "DELETE FROM invitations WHERE expires < ?",
                    VALUES(sql_int(now_s - 30 * 86400)), NULL, NULL);
    if (error == ERR_OK) {
        error =
            sql_run(&s->sql, "INSERT INTO invitations VALUES(?, ?, ?, ?, ?)",
                    VALUES(of_key(i->enrol_key), sql_text(span_text(i->name)),
                           sql_int(now_s), sql_int(i->expires_s),
                           sql_int(i->uses_left)),
                    NULL, NULL);
    }
    return sql_end(&s->sql, error);
}

static void on_row_key(const struct sql_row *row, void *owner)
{
    struct store_key *k = owner;

    sql_row_blob(row, 0, k->key, KEY_LEN);
    sql_row_text(row, 1, k->name, sizeof(k->name));
    k->added_s = sql_row_int(row, 2);
    k->revoked_s = sql_row_int(row, 3);
}

enum err store_key(struct store *s, const uint8_t key[KEY_LEN],
                   struct store_key *out)
{
    memset(out, 0, sizeof(*out));
    TRY(sql_run(&s->sql,
                "SELECT key, name, added, revoked FROM keys WHERE key = ?",
                VALUES(of_key(key)), on_row_key, out));
    if (out->added_s == 0) {
        return refuse(s, ERR_AUTH, "the key is not enrolled");
    }
    if (out->revoked_s != 0) {
        return refuse(s, ERR_REVOKED, "the key was revoked");
    }
    return ERR_OK;
}

/* Take one use of the invitation and enrol; within a transaction. */
static enum err redeem(struct store *s, const uint8_t enrol_key[KEY_LEN],
                       const uint8_t key[KEY_LEN], int64_t now_s)
{
    struct store_key known;
    int64_t done = 0;
    enum err error = store_key(s, key, &known);

    if (error == ERR_REVOKED || error == ERR_STORE) {
        return error;
    }
    TRY(sql_run(&s->sql,
                "SELECT count(*) FROM redemptions"
                " WHERE enrol_key = ? AND key = ?",
                VALUES(of_key(enrol_key), of_key(key)), on_row_int, &done));
    if (done != 0) {
        return ERR_OK;
    }
    TRY(sql_run(
        &s->sql,
        "UPDATE invitations SET uses_left = uses_left - 1"
        " WHERE enrol_key = ?1 AND uses_left > 0 AND expires > ?2"
        " AND made <= ?2 + ?3",
        VALUES(of_key(enrol_key), sql_int(now_s), sql_int(STORE_SKEW_S)), NULL,
        NULL));
    if (sql_changes(&s->sql) == 0) {
        return refuse(s, ERR_AUTH,
                      "the invitation is unknown, used up or expired, or was "
                      "made by a clock that was wrong");
    }
    TRY(sql_run(&s->sql, "INSERT INTO redemptions VALUES(?, ?, ?)",
                VALUES(of_key(enrol_key), of_key(key), sql_int(now_s)), NULL,
                NULL));
    return sql_run(&s->sql,
                   "INSERT OR IGNORE INTO keys"
                   " SELECT ?, name, ?, 0 FROM invitations WHERE enrol_key = ?",
                   VALUES(of_key(key), sql_int(now_s), of_key(enrol_key)), NULL,
                   NULL);
}

enum err store_redeem(struct store *s, const uint8_t enrol_key[KEY_LEN],
                      const uint8_t key[KEY_LEN], int64_t now_s)
{
    TRY(sql_begin(&s->sql));
    return sql_end(&s->sql, redeem(s, enrol_key, key, now_s));
}

enum err store_revoke(struct store *s, const uint8_t key[KEY_LEN],
                      int64_t now_s)
{
    enum err error;

    TRY(sql_begin(&s->sql));
    error = sql_run(&s->sql,
                    "UPDATE keys SET revoked = ? WHERE key = ? AND revoked = 0",
                    VALUES(sql_int(now_s), of_key(key)), NULL, NULL);
    if (error == ERR_OK) {
        error = sql_run(&s->sql,
                        "DELETE FROM invitations WHERE name ="
                        " (SELECT name FROM keys WHERE key = ?)",
                        VALUES(of_key(key)), NULL, NULL);
    }
    return sql_end(&s->sql, error);
}

enum err store_uninvite(struct store *s, const char *name, uint64_t *count)
{
    TRY(sql_run(&s->sql,
                "DELETE FROM invitations WHERE name = ? AND uses_left > 0",
                VALUES(sql_text(span_text(name))), NULL, NULL));
    *count = (uint64_t)sql_changes(&s->sql);
    return ERR_OK;
}

/* The operator's word for a key, and what it fits. */
struct search {
    const char *text;
    size_t len;
    unsigned count;
    struct store_key found;
};

static void on_key_search(const struct store_key *k, void *owner)
{
    struct search *f = owner;
    char key[KEY_TEXT_LEN];
    bool is_named = k->revoked_s == 0 && strcmp(k->name, f->text) == 0;

    keys_to_text(k->key, KEY_LEN, key, sizeof(key));
    if (is_named ||
        (f->len >= STORE_FIND_LEAST && strncmp(key, f->text, f->len) == 0)) {
        f->count++;
        f->found = *k;
    }
}

enum err store_key_find(struct store *s, const char *text,
                        struct store_key *out)
{
    struct search f = { .text = text, .len = strlen(text) };

    TRY(store_each_key(s, on_key_search, &f));
    if (f.count == 0) {
        return refuse(s, ERR_ABSENT,
                      "no key in force has that name, and none begins so: "
                      "`sallyport-relay keys` lists them");
    }
    if (f.count > 1) {
        return refuse(s, ERR_LIMIT,
                      "several keys fit: give the first characters of the "
                      "key itself, from `sallyport-relay keys`");
    }
    *out = f.found;
    return ERR_OK;
}

static void on_row_name(const struct sql_row *row, void *owner)
{
    struct store_name *n = owner;

    sql_row_text(row, 0, n->label, sizeof(n->label));
    sql_row_blob(row, 1, n->key, KEY_LEN);
    sql_row_text(row, 2, n->key_name, sizeof(n->key_name));
    n->made_s = sql_row_int(row, 3);
    n->used_s = sql_row_int(row, 4);
}

#define NAMES_AND_KEYS                                                         \
    "SELECT label, names.key, name, made, used"                                \
    " FROM names JOIN keys ON keys.key = names.key "

enum err store_name(struct store *s, struct span label, struct store_name *out)
{
    memset(out, 0, sizeof(*out));
    TRY(sql_run(&s->sql, NAMES_AND_KEYS "WHERE label = ?",
                VALUES(sql_text(label)), on_row_name, out));
    return out->label[0] == '\0' ? refuse(s, ERR_ABSENT, "no such name")
                                 : ERR_OK;
}

/* Note that |n| is used for this target now; not for every rebinding, and a
 * disk that is full takes nobody's name away. */
static void touch(struct store *s, const struct store_bind *b,
                  const struct store_name *n)
{
    enum err error = sql_run(
        &s->sql,
        "UPDATE names SET tag = ?1, used = ?2 WHERE label = ?3"
        " AND (tag <> ?1 OR used < ?2 - ?4)",
        VALUES(sql_blob(b->tag, TARGET_TAG_LEN), sql_int(b->now_s),
               sql_text(span_text(n->label)), sql_int(STORE_USED_STEP_S)),
        NULL, NULL);

    if (error != ERR_OK) {
        LOG(LOG_ERROR, "name-use-not-noted", log_text("name", n->label),
            log_text("why", store_why(s)));
    }
}

/* The label becomes the key's, for ever, if there is room for one more. */
static enum err add_name(struct store *s, const struct store_bind *b,
                         struct span label)
{
    int64_t count = 0;

    TRY(sql_run(&s->sql, "SELECT count(*) FROM names WHERE key = ?",
                VALUES(of_key(b->key)), on_row_int, &count));
    if (count >= b->names_max) {
        (void)snprintf(s->sql.why, sizeof(s->sql.why),
                       "this key has its %" PRIu32 " names already: take one "
                       "of them with --name, or ask the relay's operator to "
                       "raise `names`",
                       b->names_max);
        return ERR_LIMIT;
    }
    return sql_run(&s->sql, "INSERT INTO names VALUES(?1, ?2, ?3, ?4, ?4)",
                   VALUES(sql_text(label), of_key(b->key),
                          sql_blob(b->tag, TARGET_TAG_LEN), sql_int(b->now_s)),
                   NULL, NULL);
}

static enum err bind_wanted(struct store *s, const struct store_bind *b,
                            struct store_name *n)
{
    enum err error = store_name(s, b->wanted, n);

    if (error == ERR_ABSENT) {
        memcpy(n->label, b->wanted.data, b->wanted.len);
        return add_name(s, b, b->wanted);
    }
    if (error == ERR_OK && memcmp(n->key, b->key, KEY_LEN) != 0) {
        (void)snprintf(s->sql.why, sizeof(s->sql.why),
                       "the name %s belongs to another key: choose another",
                       n->label);
        return ERR_NAME_TAKEN;
    }
    return error;
}

static enum err bind_again(struct store *s, const struct store_bind *b,
                           struct store_name *n)
{
    memset(n, 0, sizeof(*n));
    TRY(sql_run(&s->sql,
                NAMES_AND_KEYS "WHERE label = (SELECT label FROM names"
                               " WHERE key = ? AND tag = ?"
                               " ORDER BY used DESC, made DESC LIMIT 1)",
                VALUES(of_key(b->key), sql_blob(b->tag, TARGET_TAG_LEN)),
                on_row_name, n));
    return n->label[0] == '\0' ? ERR_ABSENT : ERR_OK;
}

static enum err bind_random(struct store *s, const struct store_bind *b,
                            struct store_name *n)
{
    struct store_name other;

    for (unsigned i = 0; i < STORE_LABEL_TRIES; i++) {
        enum err error;

        label_random(n->label);
        error = store_name(s, span_text(n->label), &other);
        if (error == ERR_ABSENT) {
            return add_name(s, b, span_text(n->label));
        }
        TRY(error);
    }
    return refuse(s, ERR_STORE, "no free name was found: try again");
}

enum err store_bind_name(struct store *s, const struct store_bind *b,
                         char label[NAME_MAX_LEN + 1])
{
    struct store_name n = { .made_s = 0 };
    enum err error;

    assert(b->wanted.len <= NAME_MAX_LEN);
    TRY(sql_begin(&s->sql));
    if (b->wanted.len > 0) {
        error = bind_wanted(s, b, &n);
    } else {
        error = bind_again(s, b, &n);
        error = error == ERR_ABSENT ? bind_random(s, b, &n) : error;
    }
    TRY(sql_end(&s->sql, error));
    if (n.made_s != 0) {
        touch(s, b, &n);
    }
    memcpy(label, n.label, sizeof(n.label));
    return ERR_OK;
}

/* A caller's function for rows, behind the one that reads them. */
struct each {
    void (*key)(const struct store_key *k, void *owner);
    void (*name)(const struct store_name *n, void *owner);
    void *owner;
};

static void on_row_each_key(const struct sql_row *row, void *owner)
{
    const struct each *each = owner;
    struct store_key k;

    on_row_key(row, &k);
    each->key(&k, each->owner);
}

enum err store_each_key(struct store *s,
                        void (*each)(const struct store_key *k, void *owner),
                        void *owner)
{
    struct each e = { .key = each, .owner = owner };

    return sql_run(&s->sql,
                   "SELECT key, name, added, revoked FROM keys"
                   " ORDER BY added, rowid",
                   NULL, on_row_each_key, &e);
}

static void on_row_each_name(const struct sql_row *row, void *owner)
{
    const struct each *each = owner;
    struct store_name n;

    on_row_name(row, &n);
    each->name(&n, each->owner);
}

enum err store_each_name(struct store *s,
                         void (*each)(const struct store_name *n, void *owner),
                         void *owner)
{
    struct each e = { .name = each, .owner = owner };

    return sql_run(&s->sql, NAMES_AND_KEYS "ORDER BY made, names.rowid", NULL,
                   on_row_each_name, &e);
}

enum err store_audit(struct store *s, int64_t now_s, const char *what,
                     const char *who)
{
    enum err error;

    TRY(sql_begin(&s->sql));
    error = sql_run(&s->sql, "INSERT INTO audit(at, what, who) VALUES(?, ?, ?)",
                    VALUES(sql_int(now_s), sql_text(span_text(what)),
                           sql_text(span_text(who))),
                    NULL, NULL);
    if (error == ERR_OK) {
        error = sql_run(&s->sql,
                        "DELETE FROM audit WHERE id <="
                        " (SELECT max(id) FROM audit) - " STORE_AUDIT_ROWS,
                        NULL, NULL, NULL);
    }
    return sql_end(&s->sql, error);
}
