/*
 * Identities and secrets, see keys.h. A key file is one line of text, the seed
 * in base64url: small enough that it is read and written whole.
 */
#include "common/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folders.h"
#include "common/whole.h"

#define KEY_FILE_HEAD "sallyport-key:"
#define KEY_FILE_MAX 128u
#define KEYS_BASE64 sodium_base64_VARIANT_URLSAFE_NO_PADDING

_Static_assert(KEY_LEN == crypto_sign_PUBLICKEYBYTES, "an Ed25519 key");
_Static_assert(KEY_SEED_LEN == crypto_sign_SEEDBYTES, "an Ed25519 seed");
_Static_assert(SIGNATURE_LEN == crypto_sign_BYTES, "an Ed25519 signature");
_Static_assert(KEYS_SHORT_KEY_LEN == crypto_shorthash_KEYBYTES, "SipHash");
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "SipHash");
_Static_assert(HASH_LEN == crypto_generichash_BYTES, "BLAKE2b-256");

enum err keys_start(void)
{
    return sodium_init() < 0 ? ERR_IO : ERR_OK;
}

void keys_make(struct key_pair *k)
{
    uint8_t seed[KEY_SEED_LEN];

    keys_random(seed, sizeof(seed));
    keys_from_seed(k, seed);
    keys_wipe(seed, sizeof(seed));
}

void keys_from_seed(struct key_pair *k, const uint8_t seed[KEY_SEED_LEN])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    int failed = crypto_sign_seed_keypair(k->public_key, secret, seed);

    assert(failed == 0);
    memcpy(k->seed, seed, KEY_SEED_LEN);
    keys_wipe(secret, sizeof(secret));
}

/* Whether the open file |fd| is safe to hold a secret. */
static enum err check_file(int fd, const char **why)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        *why = strerror(errno);
    } else if (!S_ISREG(st.st_mode)) {
        *why = "it is no regular file";
    } else if (st.st_uid != geteuid() && geteuid() != 0) {
        *why = "it belongs to another user";
    } else if ((st.st_mode & 077) != 0) {
        *why = "others can read it: chmod 600 it, and make a new key if "
               "others may have";
    } else {
        return ERR_OK;
    }
    return ERR_FILE;
}

static enum err parse_file(struct span text, struct key_pair *k)
{
    struct span head = span_text(KEY_FILE_HEAD);
    uint8_t seed[KEY_SEED_LEN];
    enum err error;

    while (text.len > 0 && text.data[text.len - 1] == '\n') {
        text.len--;
    }
    if (text.len < head.len ||
        !span_equal(span_of(text.data, head.len), head)) {
        return ERR_FILE;
    }
    error = keys_from_text(span_after(text, head.len), seed, sizeof(seed));
    if (error == ERR_OK) {
        keys_from_seed(k, seed);
    }
    keys_wipe(seed, sizeof(seed));
    return error == ERR_OK ? ERR_OK : ERR_FILE;
}

enum err keys_load(const char *path, struct key_pair *k, const char **why)
{
    uint8_t text[KEY_FILE_MAX];
    enum err error = ERR_FILE;
    ptrdiff_t len;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0 && errno == ENOENT) {
        *why = "there is no such file";
        return ERR_ABSENT;
    }
    if (fd < 0) {
        *why = errno == ELOOP ? "it is a symbolic link" : strerror(errno);
        return ERR_FILE;
    }
    if (check_file(fd, why) == ERR_OK) {
        len = whole_read(fd, text, sizeof(text));
        *why = len < 0 ? strerror(errno) : "it holds no key of ours";
        if (len > 0) {
            error = parse_file(span_of(text, (size_t)len), k);
        }
        keys_wipe(text, sizeof(text));
    }
    (void)close(fd);
    return error;
}

/* Make what is above |path|, and say where that is. */
static enum err make_parent(const char *path, char *parent, size_t size,
                            const char **why)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);

    if (len >= size) {
        *why = strerror(ENAMETOOLONG);
        return ERR_FILE;
    }
    memcpy(parent, path, len);
    parent[len] = '\0';
    if (len == 0) {
        (void)snprintf(parent, size, slash == NULL ? "." : "/");
    }
    return folders_make(parent, why);
}

/* A rename is kept only when its folder is. */
static void sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

enum err keys_store(const char *path, const struct key_pair *k,
                    const char **why)
{
    char parent[FOLDERS_PATH_MAX];
    char part[FOLDERS_PATH_MAX + 16];
    char text[KEY_FILE_MAX] = KEY_FILE_HEAD;
    size_t head = strlen(KEY_FILE_HEAD);
    bool is_written;
    int fd;

    TRY(make_parent(path, parent, sizeof(parent), why));
    (void)snprintf(part, sizeof(part), "%s/.key-XXXXXX", parent);
    fd = mkostemp(part, O_CLOEXEC);
    if (fd < 0) {
        *why = strerror(errno);
        return ERR_FILE;
    }
    keys_to_text(k->seed, sizeof(k->seed), text + head,
                 sizeof(text) - head - 1);
    text[strlen(text) + 1] = '\0';
    text[strlen(text)] = '\n';
    is_written = fchmod(fd, 0600) == 0 && whole_write(fd, span_text(text)) &&
                 fsync(fd) == 0;
    keys_wipe(text, sizeof(text));
    /* Unlike rename(), link() does not replace what is there. */
    if (!is_written || link(part, path) != 0) {
        *why = strerror(errno);
        (void)close(fd);
        (void)unlink(part);
        return ERR_FILE;
    }
    (void)close(fd);
    (void)unlink(part);
    sync_folder(parent);
    return ERR_OK;
}

void keys_sign(const struct key_pair *k, struct span message,
               uint8_t signature[SIGNATURE_LEN])
{
    uint8_t public_key[KEY_LEN];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    int failed = crypto_sign_seed_keypair(public_key, secret, k->seed);

    assert(failed == 0 && memcmp(public_key, k->public_key, KEY_LEN) == 0);
    failed = crypto_sign_detached(signature, NULL, message.data, message.len,
                                  secret);
    assert(failed == 0);
    keys_wipe(secret, sizeof(secret));
}

bool keys_verify(const uint8_t public_key[KEY_LEN], struct span message,
                 const uint8_t signature[SIGNATURE_LEN])
{
    return crypto_sign_verify_detached(signature, message.data, message.len,
                                       public_key) == 0;
}

void keys_hash(struct span message, const uint8_t *key, uint8_t hash[HASH_LEN])
{
    int failed = crypto_generichash(hash, HASH_LEN, message.data, message.len,
                                    key, key == NULL ? 0 : KEY_LEN);

    assert(failed == 0);
    (void)failed;
}

uint64_t keys_short_hash(struct span text,
                         const uint8_t key[KEYS_SHORT_KEY_LEN])
{
    uint64_t hash;

    (void)crypto_shorthash((uint8_t *)&hash, text.data, text.len, key);
    return hash;
}

void keys_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

uint32_t keys_random_below(uint32_t bound)
{
    return randombytes_uniform(bound);
}

bool keys_same(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}

void keys_wipe(void *secret, size_t len)
{
    sodium_memzero(secret, len);
}

void keys_to_text(const uint8_t *bytes, size_t len, char *out, size_t size)
{
    assert(size >= sodium_base64_ENCODED_LEN(len, KEYS_BASE64));
    (void)sodium_bin2base64(out, size, bytes, len, KEYS_BASE64);
}

enum err keys_from_text(struct span text, uint8_t *out, size_t len)
{
    size_t got = 0;
    const char *end = NULL;

    if (sodium_base642bin(out, len, (const char *)text.data, text.len, NULL,
                          &got, &end, KEYS_BASE64) != 0 ||
        end != (const char *)text.data + text.len || got != len) {
        return ERR_SETTINGS;
    }
    return ERR_OK;
}
