/*
 * The live table, see names.h: open hashing by SipHash, buckets that double
 * when there is more than one name for each on average.
 */
#include "relay/names.h"

#include <stdlib.h>

#include "common/keys.h"

#define BUCKETS_FIRST 64u

struct entry {
    struct entry *next;
    struct names_holder holder;
    size_t len;
    char label[NAME_MAX_LEN + 1];
};

struct names {
    struct entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
    uint8_t key[KEYS_SHORT_KEY_LEN];
};

struct names *names_new(void)
{
    struct names *n = calloc(1, sizeof(*n));

    if (n == NULL) {
        return NULL;
    }
    n->bucket_count = BUCKETS_FIRST;
    n->buckets = calloc(n->bucket_count, sizeof(struct entry *));
    if (n->buckets == NULL) {
        free(n);
        return NULL;
    }
    keys_random(n->key, sizeof(n->key));
    return n;
}

void names_free(struct names *n)
{
    if (n == NULL) {
        return;
    }
    for (size_t i = 0; i < n->bucket_count; i++) {
        while (n->buckets[i] != NULL) {
            struct entry *e = n->buckets[i];

            n->buckets[i] = e->next;
            free(e);
        }
    }
    free(n->buckets);
    free(n);
}

static struct entry **bucket_of(const struct names *n, struct span label)
{
    uint64_t hash = keys_short_hash(label, n->key);

    return &n->buckets[hash & (n->bucket_count - 1)];
}

/* Where |label| hangs, or the end of its bucket's chain. */
static struct entry **place_of(const struct names *n, struct span label)
{
    struct entry **at = bucket_of(n, label);

    while (*at != NULL &&
           !span_equal(span_of((*at)->label, (*at)->len), label)) {
        at = &(*at)->next;
    }
    return at;
}

/* Twice the buckets. Without memory the chains just get longer. */
static void grow(struct names *n)
{
    struct entry **old = n->buckets;
    size_t old_count = n->bucket_count;
    struct entry **wide = calloc(old_count * 2, sizeof(struct entry *));

    if (wide == NULL) {
        return;
    }
    n->buckets = wide;
    n->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct entry *e = old[i];
            struct entry **at = bucket_of(n, span_of(e->label, e->len));

            old[i] = e->next;
            e->next = *at;
            *at = e;
        }
    }
    free(old);
}

enum err names_claim(struct names *n, const char *label,
                     struct names_holder holder, struct names_holder *before)
{
    struct span text = span_text(label);
    struct entry **at = place_of(n, text);
    struct entry *e = *at;

    assert(text.len <= NAME_MAX_LEN && holder.session != NULL);
    *before = (struct names_holder){ .session = NULL };
    if (e != NULL) {
        *before = e->holder;
        e->holder = holder;
        return ERR_OK;
    }
    e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return ERR_NOMEM;
    }
    e->holder = holder;
    e->len = text.len;
    memcpy(e->label, text.data, text.len);
    *at = e;
    n->count++;
    if (n->count > n->bucket_count) {
        grow(n);
    }
    return ERR_OK;
}

void names_drop(struct names *n, const char *label, const void *session)
{
    struct entry **at = place_of(n, span_text(label));
    struct entry *e = *at;

    if (e == NULL || e->holder.session != session) {
        return;
    }
    *at = e->next;
    free(e);
    n->count--;
}

bool names_find(const struct names *n, struct span label,
                struct names_holder *out)
{
    const struct entry *e = *place_of(n, label);

    if (e == NULL) {
        *out = (struct names_holder){ .session = NULL };
        return false;
    }
    *out = e->holder;
    return true;
}

size_t names_count(const struct names *n)
{
    return n->count;
}
