/*
 * One visitor's connection that speaks HTTP/1.1: handshake, requests one after
 * the other, answers of our own, and every deadline. What a request means is
 * the exchange's affair.
 */
#ifndef RELAY_EDGE_H1_H
#define RELAY_EDGE_H1_H

#include "relay/handoff.h"

/* Serve the visitor |h|, whose hello lies unread in h->conn. Takes |h|. */
void edge_h1_start(struct worker *w, struct handoff *h);

/* The relay drains: visitors between two requests go now, the others say
 * Connection: close. Who has not asked for anything yet still may. */
void edge_h1_drain(struct worker *w);

/* Whether a request is still to come from somebody who was let in. */
bool edge_h1_has_newcomers(const struct worker *w);

/* Who has not begun a request has waited long enough. */
void edge_h1_drop_newcomers(struct worker *w);

/* Cut them all. */
void edge_h1_close_all(struct worker *w);

#endif
