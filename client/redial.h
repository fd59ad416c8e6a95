/*
 * From no link to a link, or from one that is in doubt to a better one: dials
 * at the pace of the outage, several side by side while a session waits to be
 * resumed, and sends one LOGIN at a time (PROTOCOL.md, "Resumption"). What is
 * logged in for, and what becomes of the connection, is its owner's matter.
 */
#ifndef CLIENT_REDIAL_H
#define CLIENT_REDIAL_H

#include "client/handshake.h"

struct redial;

struct redial_options {
    const struct relay_pin *relay;
    const struct key_pair *key;
    /* A connection is there to log in on: whether to. It is kept if not; ask
     * again by redial_go(), or close it by redial_stop(). */
    bool (*may_login)(void *owner);
    /* A LOGIN is about to be sent: fill in what it says at this moment. Its
     * epoch must be higher than in any before. */
    void (*on_login)(void *owner, struct login *l);
    /* A link: redialling has stopped. Or why there is none yet: it goes on,
     * unless redial_stop() is called from within. */
    handshake_fn *on_done;
    void *owner;
};

/* How long from the outage's begin to be quick, and the round trip last
 * measured; 0: unknown. */
struct redial_pace {
    uint64_t quick_us;
    uint64_t rtt_us;
};

/* NULL without memory. */
struct redial *redial_new(struct loop *l, const struct redial_options *o);

/* NULL is fine. No call follows. */
void redial_free(struct redial *r);

/*
 * Dial, now, and go on till there is a link: while quick each REDIAL_QUICK_US
 * and up to REDIAL_DIALS at once, after that ever more slowly. A link that did
 * not hold does not end an outage.
 */
void redial_start(struct redial *r, const struct redial_pace *pace);

/* The same, but the first dial comes at random within REDIAL_FIRST_US: many
 * clients may have lost the same relay. Changes nothing when it is on. */
void redial_start_later(struct redial *r, const struct redial_pace *pace);

/* Whether a dial would leave from another address than the last one did. Much
 * that changes is of no account; networks of containers do all the time. */
bool redial_is_elsewhere(const struct redial *r);

/* The network is another one: dials that are under way lead nowhere. */
void redial_hurry(struct redial *r);

/* Ask |may_login| again. */
void redial_go(struct redial *r);

/* Give up all dials. */
void redial_stop(struct redial *r);

/* Whether it is at work. */
bool redial_is_on(const struct redial *r);

#endif
