/*
 * The public door: accepts, counts by address, reads the ClientHello as plain
 * bytes and says whose the connection is: a client's link by its ALPN, a
 * visitor's by its server name. Speaks neither TLS nor HTTP itself.
 */
#ifndef RELAY_EDGE_H
#define RELAY_EDGE_H

#include "common/conn.h"
#include "relay/handoff.h"

struct worker;

/* A connection came by a listener of |worker| (a struct worker). */
void edge_accept(int fd, void *worker);

/* The turnstile of |worker| is open again: look at those who have said
 * something, the one that has waited longest first, and accept more. */
void edge_let_in(void *worker);

/* A name has come back: who waited for it is handed on. */
void edge_let_returned_in(struct worker *w);

/* Drop the connections that were not handed on yet. */
void edge_close_all(struct worker *w);

/*
 * Take the connection |fd| as far as |w|'s limits allow: counted, kept alive at
 * TCP's level, events to |o|. False: it was refused and is gone. For the plain
 * door (redirect) as well.
 */
bool edge_admit(struct worker *w, int fd, const struct conn_options *o,
                struct handoff *out);

#endif
