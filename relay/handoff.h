/*
 * A connection that was read up to its ClientHello, given to the worker that
 * is its home. With one worker that is the one that accepted it, and it goes
 * on at once; more workers will pass {descriptor, bytes, address} here.
 */
#ifndef RELAY_HANDOFF_H
#define RELAY_HANDOFF_H

#include "common/conn.h"
#include "relay/quota.h"

struct worker;

struct handoff {
    struct conn *conn; /* the hello unread in conn_input() */
    struct quota_hold hold;
    struct sockaddr_storage peer;
    uint64_t accepted_us;
    const char *server_name; /* lower case, borrowed for the call */
};

/* A visitor for |h->server_name|; takes all of |h|. */
void handoff_visitor(struct worker *w, struct handoff *h);

/* A client's link, to log in; takes all of |h|. */
void handoff_link(struct worker *w, struct handoff *h);

#endif
