/*
 * All exchanges of a session at the client: so that they can be ended with it,
 * and looked at for a stall, whatever has become of their streams.
 */
#ifndef CLIENT_LOCAL_SET_H
#define CLIENT_LOCAL_SET_H

#include "common/link.h"
#include "common/timer.h"

struct local;

/* Embedded in each exchange. */
struct local_set_member {
    struct local_set_member *next, *prev;
    struct local *local;
};

struct local_set {
    struct carrier *carrier;     /* these three are the owner's, borrowed: */
    struct pool *receive, *sent; /* the pools of all its sessions */
    struct loop *loop;
    struct local_set_member *first;
    struct timer *sweep;
    bool is_looking; /* |sweep| runs */
};

/* An empty set, whose carrier and pools are given. ERR_NOMEM. */
MUST_CHECK enum err local_set_init(struct local_set *set, struct loop *loop);

/* The set is empty; one that local_set_init() refused is fine. */
void local_set_deinit(struct local_set *set);

/* |local| is of the set till local_set_remove(). */
void local_set_add(struct local_set *set, struct local_set_member *m,
                   struct local *local);
void local_set_remove(struct local_set *set, struct local_set_member *m);

/* End all: the session goes (local_abandon()). */
void local_set_abandon(struct local_set *set);

/* End those whose streams are on the link in |slot|: they are over. */
void local_set_abandon_slot(struct local_set *set, unsigned slot);

/* The receive pool is short of room: end whoever has to go. */
void local_set_shed(struct local_set *set);

#endif
