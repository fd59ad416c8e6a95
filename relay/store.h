/*
 * What the relay remembers, in SQLite in the state folder: keys, invitations,
 * names, and an audit log. Each function is one transaction, durable when it
 * returns. Only public halves of keys and invitations are ever stored.
 */
#ifndef RELAY_STORE_H
#define RELAY_STORE_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/span.h"

#define STORE_TEXT_MAX 64u /* names of keys, with their zero */

struct store;

/* NULL without memory. */
struct store *store_new(void);

/*
 * Open FOLDER/relay.db, made (folder 0700, file 0600) when absent. ERR_STORE
 * with store_why() when it cannot be used.
 */
MUST_CHECK enum err store_open(struct store *s, const char *folder);

/* Close and free. NULL is fine. */
void store_free(struct store *s);

/* The sentence of the last failure: what happened, to what, what to do. The
 * store's own, good until the next call. */
const char *store_why(const struct store *s);

struct store_key {
    uint8_t key[KEY_LEN];
    char name[STORE_TEXT_MAX]; /* as the operator named it */
    int64_t added_s;
    int64_t revoked_s; /* 0: in force */
};

struct store_invitation {
    uint8_t enrol_key[KEY_LEN]; /* public half of the seed */
    char name[STORE_TEXT_MAX];
    int64_t expires_s;
    uint32_t uses_left;
};

struct store_name {
    char label[NAME_MAX_LEN + 1];
    uint8_t key[KEY_LEN];
    char key_name[STORE_TEXT_MAX];
    int64_t made_s;
    int64_t used_s; /* last bound, to the hour */
};

/* Remember an invitation. ERR_STORE. */
MUST_CHECK enum err
store_invite(struct store *s, const struct store_invitation *i, int64_t now_s);

/*
 * Enrol |key| by the invitation |enrol_key|, whose signature the caller has
 * verified. Redeeming twice with the same key is fine and costs one use.
 * ERR_AUTH for every invitation that is unknown, spent, expired or made over
 * an hour from now (by a clock that was wrong: it would last too long) alike;
 * ERR_REVOKED when |key| was revoked; ERR_STORE.
 */
MUST_CHECK enum err store_redeem(struct store *s,
                                 const uint8_t enrol_key[KEY_LEN],
                                 const uint8_t key[KEY_LEN], int64_t now_s);

/* Whether |key| may log in: ERR_OK with |out| filled, ERR_AUTH unknown,
 * ERR_REVOKED, ERR_STORE. */
MUST_CHECK enum err store_key(struct store *s, const uint8_t key[KEY_LEN],
                              struct store_key *out);

/*
 * The key that the operator means by |text|: its base64 text, a beginning of
 * it of at least 6 characters, or its name. ERR_ABSENT none, ERR_LIMIT
 * several (store_why() says so), ERR_STORE.
 */
MUST_CHECK enum err store_key_find(struct store *s, const char *text,
                                   struct store_key *out);

/* Refuse |key| from now on, for ever; its names stay its own, the open
 * invitations of its name end. */
MUST_CHECK enum err store_revoke(struct store *s, const uint8_t key[KEY_LEN],
                                 int64_t now_s);

/* End the open invitations for |name|, |*count| of them. ERR_STORE. */
MUST_CHECK enum err store_uninvite(struct store *s, const char *name,
                                   uint64_t *count);

struct store_bind {
    uint8_t key[KEY_LEN];
    uint8_t tag[TARGET_TAG_LEN];
    struct span wanted; /* empty: none; else hostname_check_label() passed */
    uint32_t names_max; /* of one key */
    int64_t now_s;
};

/*
 * The label for this key and target: the wanted one when it is free or its
 * own, else the one it had last for the same tag, else a new random one. From
 * then on the label is that key's for ever. ERR_NAME_TAKEN, ERR_LIMIT (the
 * key has its names already), ERR_STORE; store_why() is fit for the client.
 * That its use cannot be noted is no error: the log says so.
 */
MUST_CHECK enum err store_bind_name(struct store *s, const struct store_bind *b,
                                    char label[NAME_MAX_LEN + 1]);

/* Whether the label is known to belong to some key (404 against 503).
 * ERR_OK, ERR_ABSENT, ERR_STORE. */
MUST_CHECK enum err store_name(struct store *s, struct span label,
                               struct store_name *out);

/* Call |each| for every row, oldest first. */
MUST_CHECK enum err store_each_key(struct store *s,
                                   void (*each)(const struct store_key *k,
                                                void *owner),
                                   void *owner);
MUST_CHECK enum err store_each_name(struct store *s,
                                    void (*each)(const struct store_name *n,
                                                 void *owner),
                                    void *owner);

/* One line of the audit log, such as |what| "login" |who| "laptop (key)". */
MUST_CHECK enum err store_audit(struct store *s, int64_t now_s,
                                const char *what, const char *who);

#endif
