/*
 * What a login does to both ends of one slot, without its bytes: epochs and
 * positions are claimed, judged and resumed from, or the slot begins anew.
 */
#ifndef TESTS_SIM_LOGINS_H
#define TESTS_SIM_LOGINS_H

#include "tests/sim/network.h"

/* The client's next attempt to log in, if it needs one. */
void logins_next(struct network *n);

/* A LOGIN whose client waits no more is heard at last, if there is one. */
void logins_hear_late(struct network *n);

/* The newest that was taken comes once more. */
void logins_copy(struct network *n);

/* The client's key in the wrong hands: a newer login, and a false claim. */
void logins_lie(struct network *n, struct dice *d);

/* The grace of a bulk link that is away ends, here, there or at both ends. */
void logins_expire(struct network *n, struct dice *d);

#endif
