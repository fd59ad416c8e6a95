/*
 * Certificates by server name, see certs.h: which files make pairs, which of
 * them changed, and the sorted index that names are looked up in.
 */
#include "relay/certs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/log.h"
#include "relay/cert_file.h"

#define PATH_SIZE 1024u
#define FULLCHAIN "fullchain.pem"
#define PRIVKEY "privkey.pem"

/* What tells a file from what it was before. */
struct stamp {
    struct timespec changed;
    ino_t node;
    off_t size;
};

struct pair {
    char chain_path[PATH_SIZE];
    char key_path[PATH_SIZE];
    struct stamp chain, key; /* when last looked at, good or bad */
    bool is_known;           /* the stamps hold */
    bool is_there;           /* seen in this refresh */
    struct cert_file file;   /* context NULL: none that works yet */
};

/* One name of one pair. */
struct indexed {
    const char *name;
    const struct pair *pair;
};

struct certs {
    char folders[CERTS_FOLDERS_MAX][PATH_SIZE];
    bool is_bad[CERTS_FOLDERS_MAX]; /* said so in the log */
    size_t folder_count;
    struct pair **pairs;
    size_t pair_count;
    struct indexed *index; /* by name, then the last to end first */
    size_t index_count;
};

struct certs *certs_new(const char *const *folders, size_t count)
{
    struct certs *c = calloc(1, sizeof(*c));

    assert(count <= CERTS_FOLDERS_MAX);
    if (c == NULL) {
        return NULL;
    }
    c->pairs = calloc(CERTS_MAX, sizeof(struct pair *));
    if (c->pairs == NULL) {
        free(c);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (folders[i][0] != '\0') {
            (void)snprintf(c->folders[c->folder_count++], PATH_SIZE, "%s",
                           folders[i]);
        }
    }
    return c;
}

static void pair_free(struct pair *p)
{
    cert_file_wipe(&p->file);
    free(p);
}

void certs_free(struct certs *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->pair_count; i++) {
        pair_free(c->pairs[i]);
    }
    free(c->pairs);
    free(c->index);
    free(c);
}

static bool stamp_of(const char *path, struct stamp *out)
{
    struct stat st;

    memset(out, 0, sizeof(*out));
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    out->changed = st.st_mtim;
    out->node = st.st_ino;
    out->size = st.st_size;
    return true;
}

static bool stamp_same(const struct stamp *a, const struct stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec && a->node == b->node &&
           a->size == b->size;
}

/* The files of |p| are new or changed: use them, or say why not. What failed
 * for want of memory or descriptors is tried again the next time. */
static void pair_read(struct pair *p)
{
    struct cert_file file;
    char why[CERT_WHY_MAX];
    enum err e = cert_file_read(p->chain_path, p->key_path, &file, why);

    p->is_known = e != ERR_NOMEM;
    if (e != ERR_OK) {
        LOG(LOG_ERROR, "certificate-refused", log_text("file", p->chain_path),
            log_text("why", why),
            log_text("kept",
                     p->file.context != NULL ? "the one before" : "none"));
        return;
    }
    cert_file_wipe(&p->file);
    p->file = file;
    LOG(LOG_INFO, "certificate", log_text("file", p->chain_path),
        log_text("name", p->file.names[0]),
        log_u64("names", p->file.name_count),
        log_u64("days",
                file.ends_s < clock_wall_s()
                    ? 0
                    : (uint64_t)(file.ends_s - clock_wall_s()) / 86400));
    if (file.ends_s < clock_wall_s()) {
        LOG(LOG_WARN, "certificate-ended", log_text("file", p->chain_path),
            log_text("why", "browsers refuse it: renew it"));
    }
    if (file.begins_s > clock_wall_s()) {
        LOG(LOG_WARN, "certificate-early", log_text("file", p->chain_path),
            log_text("why", "by this machine's clock its time has not begun: "
                            "is the clock right?"));
    }
}

static struct pair *pair_find(struct certs *c, const char *chain_path)
{
    struct pair *p;

    for (size_t i = 0; i < c->pair_count; i++) {
        if (strcmp(c->pairs[i]->chain_path, chain_path) == 0) {
            return c->pairs[i];
        }
    }
    if (c->pair_count == CERTS_MAX) {
        return NULL;
    }
    p = calloc(1, sizeof(*p));
    if (p != NULL) {
        (void)snprintf(p->chain_path, PATH_SIZE, "%s", chain_path);
        c->pairs[c->pair_count++] = p;
    }
    return p;
}

/* A pair stands in the folder: read it if it is not as it was. */
static bool pair_seen(struct certs *c, const char *chain_path,
                      const char *key_path)
{
    struct pair *p = pair_find(c, chain_path);
    struct stamp chain, key;

    if (p == NULL) {
        return false;
    }
    p->is_there = true;
    (void)stamp_of(chain_path, &chain);
    (void)stamp_of(key_path, &key);
    if (p->is_known && stamp_same(&p->chain, &chain) &&
        stamp_same(&p->key, &key) && strcmp(p->key_path, key_path) == 0) {
        return false;
    }
    p->chain = chain;
    p->key = key;
    (void)snprintf(p->key_path, PATH_SIZE, "%s", key_path);
    pair_read(p);
    return true;
}

static bool join(char out[PATH_SIZE], const char *folder, const char *name)
{
    int len = snprintf(out, PATH_SIZE, "%s/%s", folder, name);

    return len > 0 && len < (int)PATH_SIZE;
}

/* |path| with its last four characters, ".pem" or ".crt", made ".key". */
static bool key_beside(char out[PATH_SIZE], const char *path)
{
    struct stamp ignored;

    memcpy(out, path, strlen(path) + 1);
    memcpy(out + strlen(path) - 4, ".key", 5);
    return stamp_of(out, &ignored);
}

static bool ends_with(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);

    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* certbot's way: fullchain.pem with privkey.pem in |folder|. */
static bool see_folder(struct certs *c, const char *folder, bool *is_one)
{
    char chain[PATH_SIZE], key[PATH_SIZE];
    struct stamp ignored;

    *is_one = join(chain, folder, FULLCHAIN) && join(key, folder, PRIVKEY) &&
              (stamp_of(chain, &ignored) || stamp_of(key, &ignored));
    return *is_one && pair_seen(c, chain, key);
}

/* What |name| in |folder| is: a file with a pair, half of one, a folder. */
static bool see_entry(struct certs *c, const char *folder, const char *name)
{
    char path[PATH_SIZE], key[PATH_SIZE];
    struct stat st;
    bool is_one;

    if (name[0] == '.' || !join(path, folder, name)) {
        return false;
    }
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        return see_folder(c, path, &is_one);
    }
    if (ends_with(name, ".crt")) {
        (void)key_beside(key, path);
        return pair_seen(c, path, key);
    }
    if (ends_with(name, ".pem")) {
        return pair_seen(c, path, key_beside(key, path) ? key : path);
    }
    return false;
}

/* Not all of the folder was seen: what was read before stays in use. */
static void folder_failed(struct certs *c, size_t i, int error)
{
    if (!c->is_bad[i]) {
        LOG(LOG_ERROR, "certificates-unreadable",
            log_text("folder", c->folders[i]),
            log_text("why", strerror(error)));
    }
    c->is_bad[i] = true;
    for (size_t k = 0; k < c->pair_count; k++) {
        c->pairs[k]->is_there = true;
    }
}

static bool see_all(struct certs *c, size_t i)
{
    const char *path = c->folders[i];
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool is_one, changed;

    if (folder == NULL) {
        folder_failed(c, i, errno);
        return false;
    }
    changed = see_folder(c, path, &is_one);
    errno = 0;
    while (!is_one && (entry = readdir(folder)) != NULL) {
        changed |= see_entry(c, path, entry->d_name);
        errno = 0;
    }
    if (errno != 0) {
        folder_failed(c, i, errno);
    } else {
        c->is_bad[i] = false;
    }
    (void)closedir(folder);
    return changed;
}

static int compare_indexed(const void *a, const void *b)
{
    const struct indexed *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    if (order != 0) {
        return order;
    }
    return (x->pair->file.ends_s < y->pair->file.ends_s) -
           (x->pair->file.ends_s > y->pair->file.ends_s);
}

/* The index anew; without memory there is none, and the log says so. */
static void make_index(struct certs *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->pair_count; i++) {
        count += c->pairs[i]->file.name_count;
    }
    free(c->index);
    c->index_count = 0;
    c->index = calloc(count == 0 ? 1 : count, sizeof(struct indexed));
    if (c->index == NULL) {
        LOG(LOG_ERROR, "certificates-lost", log_text("why", "out of memory"));
        return;
    }
    for (size_t i = 0; i < c->pair_count; i++) {
        const struct pair *p = c->pairs[i];

        for (size_t k = 0; k < p->file.name_count; k++) {
            c->index[c->index_count++] =
                (struct indexed){ p->file.names[k], p };
        }
    }
    qsort(c->index, c->index_count, sizeof(struct indexed), compare_indexed);
}

void certs_refresh(struct certs *c)
{
    bool changed = false;
    size_t kept = 0;

    for (size_t i = 0; i < c->pair_count; i++) {
        c->pairs[i]->is_there = false;
    }
    for (size_t i = 0; i < c->folder_count; i++) {
        changed |= see_all(c, i);
    }
    for (size_t i = 0; i < c->pair_count; i++) {
        struct pair *p = c->pairs[i];

        if (p->is_there) {
            c->pairs[kept++] = p;
            continue;
        }
        LOG(LOG_INFO, "certificate-gone", log_text("file", p->chain_path));
        pair_free(p);
        changed = true;
    }
    c->pair_count = kept;
    if (changed || c->index == NULL) {
        make_index(c);
    }
}

/* The first of the index with |name|. */
static const struct pair *look_up(const struct certs *c, const char *name)
{
    size_t low = 0, high = c->index_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(c->index[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < c->index_count && strcmp(c->index[low].name, name) == 0
               ? c->index[low].pair
               : NULL;
}

struct tls_context *certs_find(const struct certs *c, const char *server_name)
{
    const struct pair *p = look_up(c, server_name);
    const char *dot = strchr(server_name, '.');
    char wildcard[CERT_NAME_MAX];

    if (p == NULL && dot != NULL && dot != server_name &&
        strlen(dot) + 2 <= sizeof(wildcard)) {
        (void)snprintf(wildcard, sizeof(wildcard), "*%s", dot);
        p = look_up(c, wildcard);
    }
    return p == NULL ? NULL : p->file.context;
}

size_t certs_count(const struct certs *c)
{
    size_t count = 0;

    for (size_t i = 0; i < c->pair_count; i++) {
        count += c->pairs[i]->file.context != NULL;
    }
    return count;
}
