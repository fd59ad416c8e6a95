/*
 * What a client does with a link of which nobody knows whether it still leads
 * anywhere: it dials beside it, and logs in there only when the link has been
 * silent for too long (PROTOCOL.md, "Liveness" and "Resumption"). For any slot;
 * who owns link and redial closes the one before the other's LOGIN.
 */
#ifndef CLIENT_DOUBT_H
#define CLIENT_DOUBT_H

#include "client/redial.h"
#include "client/watch.h"
#include "common/link.h"

/* The link in |slot| is in doubt: dial now, or see whether a dial that is
 * through already may log in. */
void doubt_begin(struct redial *r, const struct redial_pace *pace);

/* The link in |slot| is in doubt: ask the other ones, which go the same way and
 * would not find out for 25 s when nothing lives on them. */
void doubt_ask_others(struct carrier *c, unsigned slot, uint64_t now_us);

/* Whether |slot| has a link, and it has answered since it was doubted. */
bool doubt_is_over(const struct carrier *c, unsigned slot, uint64_t now_us);

/* As redial's |may_login|: a link that may still answer has the right of way,
 * and one that has answered ends |r|. */
bool doubt_may_login(const struct carrier *c, unsigned slot, struct redial *r,
                     uint64_t now_us);

/*
 * The network of this machine may be another one: dials that lead nowhere are
 * given up, and the link in |slot|, if there is one, is asked. Whether it is in
 * doubt: a new one would leave from another address, or the machine slept.
 */
bool doubt_network(const struct carrier *c, unsigned slot, struct redial *r,
                   enum watch_event event, uint64_t now_us);

#endif
