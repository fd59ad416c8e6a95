/*
 * Addresses in a hash table. An entry without connections waits in a list by
 * age and goes when its memory has no more effect, or when the list is full.
 * Rates are kept as one number each: the time at which the account would be
 * empty again (the generic cell rate algorithm).
 */
#include "relay/quota.h"

#include <stdlib.h>

#include "common/keys.h"

#define QUOTA_BUCKETS 4096u
#define MINUTE_US (60 * US_PER_S)
#define REFUSAL_QUIET_US (10 * US_PER_S)

struct quota_entry {
    struct quota_entry *chain;
    struct quota_entry *older, *newer; /* while idle */
    uint8_t prefix[9];                 /* family and the counted bytes */
    uint32_t connections;
    uint32_t handshakes;
    uint64_t arrivals_us; /* when the rate account is empty again */
    uint64_t failures_us; /* likewise for failed logins */
    uint64_t penalty_us;  /* last wait given, 0 none */
    uint64_t blocked_us;  /* no login before */
    uint64_t refused_us;  /* last refusal */
};

struct quota {
    struct quota_limits limits;
    uint8_t hash_key[KEY_LEN];
    struct quota_entry *oldest, *newest; /* idle ones */
    size_t idle;
    size_t count;
    struct quota_entry *buckets[QUOTA_BUCKETS];
};

struct quota *quota_new(const struct quota_limits *limits)
{
    struct quota *q = calloc(1, sizeof(*q));

    if (q == NULL) {
        return NULL;
    }
    q->limits = *limits;
    keys_random(q->hash_key, sizeof(q->hash_key));
    return q;
}

void quota_free(struct quota *q)
{
    if (q == NULL) {
        return;
    }
    for (size_t i = 0; i < QUOTA_BUCKETS; i++) {
        struct quota_entry *e = q->buckets[i];

        while (e != NULL) {
            struct quota_entry *next = e->chain;

            assert(e->connections == 0);
            free(e);
            e = next;
        }
    }
    free(q);
}

/* An IPv4 address counts whole, an IPv6 one by the /64 that one person has. */
static void prefix_of(const struct visitor_address *a, uint8_t out[9])
{
    memset(out, 0, 9);
    out[0] = a->family;
    memcpy(out + 1, a->bytes, a->family == 4 ? 4 : 8);
}

static struct quota_entry **bucket_of(struct quota *q, const uint8_t prefix[9])
{
    uint8_t hash[HASH_LEN];

    keys_hash(span_of(prefix, 9), q->hash_key, hash);
    return &q->buckets[((size_t)hash[0] << 8 | hash[1]) % QUOTA_BUCKETS];
}

static void idle_remove(struct quota *q, struct quota_entry *e)
{
    if (e->older != NULL) {
        e->older->newer = e->newer;
    } else {
        q->oldest = e->newer;
    }
    if (e->newer != NULL) {
        e->newer->older = e->older;
    } else {
        q->newest = e->older;
    }
    e->older = NULL;
    e->newer = NULL;
    q->idle--;
}

static void idle_add(struct quota *q, struct quota_entry *e)
{
    e->older = q->newest;
    e->newer = NULL;
    if (q->newest != NULL) {
        q->newest->newer = e;
    } else {
        q->oldest = e;
    }
    q->newest = e;
    q->idle++;
}

static bool has_effect(const struct quota_entry *e, uint64_t now_us)
{
    return e->arrivals_us > now_us || e->failures_us > now_us ||
           (e->penalty_us > 0 &&
            now_us < e->blocked_us + e->penalty_us + MINUTE_US);
}

static void forget_oldest(struct quota *q)
{
    struct quota_entry *e = q->oldest;
    struct quota_entry **at = bucket_of(q, e->prefix);

    assert(e->older == NULL);
    while (*at != e) {
        at = &(*at)->chain;
    }
    *at = e->chain;
    idle_remove(q, e);
    q->count--;
    free(e);
}

/* The entry of |a|, made when there is none; NULL without memory. */
static struct quota_entry *entry_of(struct quota *q,
                                    const struct visitor_address *a)
{
    uint8_t prefix[9];
    struct quota_entry **at;
    struct quota_entry *e;

    prefix_of(a, prefix);
    at = bucket_of(q, prefix);
    for (e = *at; e != NULL; e = e->chain) {
        if (memcmp(e->prefix, prefix, sizeof(prefix)) == 0) {
            return e;
        }
    }
    e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return NULL;
    }
    memcpy(e->prefix, prefix, sizeof(prefix));
    e->chain = *at;
    *at = e;
    q->count++;
    idle_add(q, e);
    return e;
}

static const char *refuse(const struct quota *q, const struct quota_entry *e,
                          uint64_t now_us)
{
    uint64_t each_us = US_PER_S / q->limits.rate;

    if (e->connections >= q->limits.connections) {
        return "too many connections from one address";
    }
    if (e->handshakes >= q->limits.handshakes) {
        return "too many handshakes from one address";
    }
    if (e->arrivals_us > now_us + each_us * (q->limits.burst - 1)) {
        return "connections come too fast from one address";
    }
    return NULL;
}

enum err quota_enter(struct quota *q, const struct visitor_address *a,
                     uint64_t now_us, struct quota_hold *out,
                     struct quota_refusal *refusal)
{
    struct quota_entry *e;

    *out = (struct quota_hold){ 0 };
    while (q->idle > QUOTA_IDLE_MAX ||
           (q->oldest != NULL && !has_effect(q->oldest, now_us))) {
        forget_oldest(q);
    }
    e = entry_of(q, a);
    if (e == NULL) {
        return ERR_NOMEM;
    }
    refusal->why = refuse(q, e, now_us);
    if (refusal->why != NULL) {
        refusal->is_first =
            e->refused_us == 0 || now_us - e->refused_us > REFUSAL_QUIET_US;
        if (refusal->is_first) {
            e->refused_us = now_us;
        }
        return ERR_LIMIT;
    }
    if (e->connections == 0) {
        idle_remove(q, e);
    }
    if (e->arrivals_us < now_us) {
        e->arrivals_us = now_us;
    }
    e->arrivals_us += US_PER_S / q->limits.rate;
    e->connections++;
    e->handshakes++;
    *out = (struct quota_hold){ .entry = e, .is_shaking = true };
    return ERR_OK;
}

void quota_settled(struct quota_hold *h)
{
    if (h->entry != NULL && h->is_shaking) {
        assert(h->entry->handshakes > 0);
        h->entry->handshakes--;
        h->is_shaking = false;
    }
}

void quota_leave(struct quota *q, struct quota_hold *h, uint64_t now_us)
{
    struct quota_entry *e = h->entry;

    if (e == NULL) {
        return;
    }
    quota_settled(h);
    h->entry = NULL;
    assert(e->connections > 0);
    e->connections--;
    if (e->connections == 0) {
        idle_add(q, e);
    }
    while (q->oldest != NULL && !has_effect(q->oldest, now_us)) {
        forget_oldest(q);
    }
}

uint64_t quota_login_wait_us(const struct quota_hold *h, uint64_t now_us)
{
    const struct quota_entry *e = h->entry;

    return e != NULL && e->blocked_us > now_us ? e->blocked_us - now_us : 0;
}

void quota_login_failed(struct quota_hold *h, uint64_t now_us)
{
    const uint64_t each_us = MINUTE_US / LOGIN_FAILURES_PER_MINUTE;
    struct quota_entry *e = h->entry;

    if (e == NULL) {
        return;
    }
    if (e->penalty_us > 0 &&
        now_us > e->blocked_us + e->penalty_us + MINUTE_US) {
        e->penalty_us = 0;
    }
    if (e->failures_us < now_us) {
        e->failures_us = now_us;
    }
    e->failures_us += each_us;
    if (e->penalty_us == 0 && e->failures_us < now_us + MINUTE_US) {
        return;
    }
    /* Once the account for a minute is used up, each failure doubles the wait,
     * until a minute and the last wait have passed without one. */
    e->failures_us = now_us + MINUTE_US;
    e->penalty_us *= 2;
    if (e->penalty_us < LOGIN_PENALTY_FIRST_US) {
        e->penalty_us = LOGIN_PENALTY_FIRST_US;
    }
    if (e->penalty_us > LOGIN_PENALTY_MAX_US) {
        e->penalty_us = LOGIN_PENALTY_MAX_US;
    }
    e->blocked_us = now_us + e->penalty_us;
}

size_t quota_count(const struct quota *q)
{
    return q->count;
}
