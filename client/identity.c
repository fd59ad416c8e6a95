/*
 * Two files: machine.key, made here and never sent anywhere, and relays, a
 * line for each relay: host, port and the keys it may prove itself with.
 */
#include "client/identity.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folders.h"

#define RELAYS_FILE_MAX (16u * KIB)
#define RELAY_LINE_MAX 600u

static enum err fail_with(struct identity_error *e, const char *path,
                          const char *why)
{
    snprintf(e->text, sizeof(e->text), "%s: %s", path, why);
    return ERR_FILE;
}

/* The longest name fits, or find_folder() has refused. */
static void file_path(const struct identity *id, const char *name, char *out)
{
    enum err err = folders_join(id->folder, name, out, IDENTITY_PATH_MAX);

    assert(err == ERR_OK);
}

static enum err find_folder(struct identity *id, const char *folder,
                            struct identity_error *e)
{
    char longest[IDENTITY_PATH_MAX];

    if (folder[0] != '\0') {
        snprintf(id->folder, sizeof(id->folder), "%s", folder);
    } else if (folders_state(id->folder, sizeof(id->folder)) != ERR_OK) {
        return fail_with(e, "HOME is not set",
                         "say where the machine's key is with --state FOLDER");
    }
    if (folders_join(id->folder, "machine.key.12345678.new", longest,
                     sizeof(longest)) != ERR_OK) {
        return fail_with(e, id->folder, "the path is too long");
    }
    return ERR_OK;
}

static enum err read_key_text(char *text, struct relay_pin *r)
{
    if (r->key_count >= RELAY_KEYS_MAX) {
        return ERR_FILE;
    }
    TRY(keys_from_text(span_text(text), r->keys[r->key_count], KEY_LEN));
    r->key_count++;
    return ERR_OK;
}

/* One line: HOST PORT KEY [KEY ...]. */
static enum err read_line(struct identity *id, char *line)
{
    char *rest = NULL;
    char *host = strtok_r(line, " \n", &rest);
    char *port = strtok_r(NULL, " \n", &rest);
    struct relay_pin *r = &id->relays[id->relay_count];
    unsigned long number;
    char *key;

    if (host == NULL) {
        return ERR_OK;
    }
    if (port == NULL || strlen(host) >= sizeof(r->host) ||
        id->relay_count >= RELAYS_MAX) {
        return ERR_FILE;
    }
    number = strtoul(port, NULL, 10);
    if (number == 0 || number > UINT16_MAX) {
        return ERR_FILE;
    }
    memset(r, 0, sizeof(*r));
    memcpy(r->host, host, strlen(host) + 1);
    r->port = (uint16_t)number;
    while ((key = strtok_r(NULL, " \n", &rest)) != NULL) {
        TRY(read_key_text(key, r));
    }
    if (r->key_count == 0) {
        return ERR_FILE;
    }
    id->relay_count++;
    return ERR_OK;
}

static enum err read_relays(struct identity *id, struct identity_error *e)
{
    char path[IDENTITY_PATH_MAX];
    char line[RELAY_LINE_MAX];
    enum err err = ERR_OK;
    FILE *f;

    file_path(id, "relays", path);
    f = fopen(path, "re");
    if (f == NULL) {
        return errno == ENOENT ? ERR_OK : fail_with(e, path, strerror(errno));
    }
    while (err == ERR_OK && fgets(line, sizeof(line), f) != NULL) {
        err = read_line(id, line);
    }
    if (err == ERR_OK && ferror(f)) {
        err = ERR_FILE;
    }
    fclose(f);
    if (err != ERR_OK) {
        return fail_with(e, path,
                         "not a list of relays: remove it and log in again");
    }
    return ERR_OK;
}

enum err identity_load(struct identity *id, const char *folder,
                       struct identity_error *e)
{
    char path[IDENTITY_PATH_MAX];
    const char *why = "";
    enum err err;

    memset(id, 0, sizeof(*id));
    TRY(find_folder(id, folder, e));
    file_path(id, "machine.key", path);
    err = keys_load(path, &id->key, &why);
    if (err != ERR_OK && err != ERR_ABSENT) {
        return fail_with(e, path, why);
    }
    id->has_key = err == ERR_OK;
    return read_relays(id, e);
}

enum err identity_make_key(struct identity *id, struct identity_error *e)
{
    char path[IDENTITY_PATH_MAX];
    const char *why = "";

    if (id->has_key) {
        return ERR_OK;
    }
    file_path(id, "machine.key", path);
    keys_make(&id->key);
    if (keys_store(path, &id->key, &why) != ERR_OK) {
        keys_wipe(&id->key, sizeof(id->key));
        return fail_with(e, path, why);
    }
    id->has_key = true;
    return ERR_OK;
}

static bool is_same_relay(const struct relay_pin *a, const struct relay_pin *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

static int write_relay(FILE *f, const struct relay_pin *r)
{
    if (fprintf(f, "%s %u", r->host, (unsigned)r->port) < 0) {
        return -1;
    }
    for (size_t i = 0; i < r->key_count; i++) {
        char text[KEY_TEXT_LEN];

        keys_to_text(r->keys[i], KEY_LEN, text, sizeof(text));
        if (fprintf(f, " %s", text) < 0) {
            return -1;
        }
    }
    return fputc('\n', f) == EOF ? -1 : 0;
}

/* Whole or not at all: a new file, flushed to the disk, takes the place. */
static enum err write_relays(const struct identity *id,
                             struct identity_error *e)
{
    char path[IDENTITY_PATH_MAX];
    char fresh[IDENTITY_PATH_MAX];
    bool is_good = true;
    FILE *f = NULL;
    int fd;

    file_path(id, "relays", path);
    file_path(id, "relays.new", fresh);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
              0600);
    if (fd >= 0) {
        f = fdopen(fd, "w");
    }
    if (f == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return fail_with(e, fresh, strerror(errno));
    }
    for (size_t i = 0; i < id->relay_count; i++) {
        is_good = write_relay(f, &id->relays[i]) == 0 && is_good;
    }
    is_good = fflush(f) == 0 && fsync(fd) == 0 && is_good;
    is_good = fclose(f) == 0 && is_good;
    if (!is_good || rename(fresh, path) != 0) {
        enum err err = fail_with(e, path, strerror(errno));

        unlink(fresh);
        return err;
    }
    return ERR_OK;
}

enum err identity_pin(struct identity *id, const struct relay_pin *relay,
                      struct identity_error *e)
{
    struct relay_pin first = *relay;
    size_t kept = 0;

    for (size_t i = 0; i < id->relay_count; i++) {
        if (!is_same_relay(&id->relays[i], &first)) {
            id->relays[kept++] = id->relays[i];
        }
    }
    if (kept == RELAYS_MAX) {
        kept--;
    }
    memmove(&id->relays[1], &id->relays[0], kept * sizeof(id->relays[0]));
    id->relays[0] = first;
    id->relay_count = kept + 1;
    return write_relays(id, e);
}

const struct relay_pin *identity_relay(const struct identity *id,
                                       const char *name)
{
    for (size_t i = 0; i < id->relay_count; i++) {
        const struct relay_pin *r = &id->relays[i];
        char full[INVITATION_HOST_MAX + 8];

        snprintf(full, sizeof(full), "%s:%u", r->host, (unsigned)r->port);
        if (name[0] == '\0' || strcmp(name, r->host) == 0 ||
            strcmp(name, full) == 0) {
            return r;
        }
    }
    return NULL;
}

void identity_tag(const struct identity *id, const char *target,
                  uint8_t tag[TARGET_TAG_LEN])
{
    static const char purpose[] = "sallyport target tag";
    uint8_t secret[HASH_LEN];
    uint8_t hash[HASH_LEN];

    keys_hash(span_of(purpose, sizeof(purpose)), id->key.seed, secret);
    keys_hash(span_text(target), secret, hash);
    memcpy(tag, hash, TARGET_TAG_LEN);
    keys_wipe(secret, sizeof(secret));
}

void identity_wipe(struct identity *id)
{
    keys_wipe(&id->key, sizeof(id->key));
    id->has_key = false;
}
