/*
 * What one address may take: connections, handshakes, new connections a
 * second, failed logins. Counts by /32 and /64 and nothing else; pure but for
 * the keyed hash that keeps strangers from choosing colliding addresses.
 */
#ifndef RELAY_QUOTA_H
#define RELAY_QUOTA_H

#include "proto/error.h"
#include "proto/frame.h"
#include "proto/limits.h"

/* How many addresses without a connection are remembered. */
#define QUOTA_IDLE_MAX 16384u

struct quota;

struct quota_limits {
    uint64_t connections; /* at once */
    uint64_t handshakes;  /* of them not through with the handshake */
    uint64_t rate;        /* new ones a second */
    uint64_t burst;       /* new ones at once */
};

/* One connection's place in its address's account. */
struct quota_hold {
    struct quota_entry *entry; /* NULL: holds nothing */
    bool is_shaking;
};

/* NULL without memory. */
struct quota *quota_new(const struct quota_limits *limits);

/* All holds were left. NULL is fine. */
void quota_free(struct quota *q);

/*
 * A connection came from |a|. ERR_LIMIT when its address has too many or comes
 * too fast: |*why| is a constant sentence, and |*is_first| says whether it is
 * the first refusal for a while, so that a flood is logged once. ERR_NOMEM.
 */
struct quota_refusal {
    const char *why;
    bool is_first;
};
MUST_CHECK enum err quota_enter(struct quota *q,
                                const struct visitor_address *a,
                                uint64_t now_us, struct quota_hold *out,
                                struct quota_refusal *refusal);

/* The handshake is done. */
void quota_settled(struct quota_hold *h);

/* The connection is over; again is fine. */
void quota_leave(struct quota *q, struct quota_hold *h, uint64_t now_us);

/* How long until this address may try to log in once more; 0: now. */
uint64_t quota_login_wait_us(const struct quota_hold *h, uint64_t now_us);

/* A login from this address was refused. */
void quota_login_failed(struct quota_hold *h, uint64_t now_us);

/* How many addresses are known now. */
size_t quota_count(const struct quota *q);

#endif
