/*
 * Admits client links: one LOGIN read, both ends proven over the connection's
 * TLS exporter, WELCOME or DENIED written. What follows is the session's.
 */
#ifndef RELAY_LOGIN_H
#define RELAY_LOGIN_H

#include "relay/handoff.h"

/* Let the client behind |h| log in, its hello unread in h->conn. Takes |h|. */
void login_start(struct worker *w, struct handoff *h);

/* Drop the links that are not logged in yet. */
void login_close_all(struct worker *w);

#endif
