/*
 * Identities and secrets: Ed25519 keys, their files, signing, verifying,
 * hashing, randomness, comparing and wiping: all that is libsodium's.
 */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/span.h"

#define KEY_SEED_LEN 32u
#define KEY_TEXT_LEN 44u /* base64 of 32 bytes with its zero, no padding */

struct key_pair {
    uint8_t public_key[KEY_LEN];
    uint8_t seed[KEY_SEED_LEN]; /* secret */
};

/* Once, first: start libsodium. ERR_IO when it cannot. */
MUST_CHECK enum err keys_start(void);

/* A new random key pair; wipe it with keys_wipe(). */
void keys_make(struct key_pair *k);

/* The pair that follows from |seed|. */
void keys_from_seed(struct key_pair *k, const uint8_t seed[KEY_SEED_LEN]);

/*
 * Read the key file |path|: ERR_ABSENT when there is none, ERR_FILE when it
 * is no key, is not the user's own (root may read any), or others can read it;
 * |*why| (constant text) says which.
 */
MUST_CHECK enum err keys_load(const char *path, struct key_pair *k,
                              const char **why);

/*
 * Write |k| to |path|, mode 0600, whole or not at all (temporary file, fsync,
 * link); folders on the way are made 0700. Never overwrites: ERR_FILE when
 * the file is there.
 */
MUST_CHECK enum err keys_store(const char *path, const struct key_pair *k,
                               const char **why);

/* Ed25519. A signature that is not right is an answer, not an error. */
void keys_sign(const struct key_pair *k, struct span message,
               uint8_t signature[SIGNATURE_LEN]);
bool keys_verify(const uint8_t public_key[KEY_LEN], struct span message,
                 const uint8_t signature[SIGNATURE_LEN]);

/* BLAKE2b-256; |key| of KEY_LEN bytes makes it a keyed hash, NULL plain. */
void keys_hash(struct span message, const uint8_t *key, uint8_t hash[HASH_LEN]);

/* SipHash-2-4 under a random |key|, for tables that strangers put into. */
#define KEYS_SHORT_KEY_LEN 16u
uint64_t keys_short_hash(struct span text,
                         const uint8_t key[KEYS_SHORT_KEY_LEN]);

/* |len| random bytes. */
void keys_random(void *out, size_t len);
/* A uniformly random number below |bound|. */
uint32_t keys_random_below(uint32_t bound);
bool keys_same(const void *a, const void *b, size_t len); /* constant time */
void keys_wipe(void *secret, size_t len);

/* Base64url without padding, and back: ERR_SETTINGS when it is not |len|. */
void keys_to_text(const uint8_t *bytes, size_t len, char *out, size_t size);
MUST_CHECK enum err keys_from_text(struct span text, uint8_t *out, size_t len);

#endif
