/*
 * Who goes when the memory for received bytes is short: of a session whose own
 * pool is, or of all when the relay's is. What is short, and who holds what, is
 * proto's account.
 */
#ifndef RELAY_SHED_H
#define RELAY_SHED_H

#include "proto/session.h"

struct client_session;

struct shed_choice {
    struct client_session *session;
    enum session_shed_rule rule;
    struct session_shed stream;
};

/* The stream that goes first because of |s|'s pool or the relay's; false: none
 * has to now. */
MUST_CHECK bool shed_choose(struct client_session *s, uint64_t now_us,
                            struct shed_choice *out);

/* End exchanges until |s|'s pool and the relay's have room. |s| may end by it,
 * when the relay drains. */
void shed_relieve(struct client_session *s);

#endif
