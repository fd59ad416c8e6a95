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

/* The relay drains: visitors without an exchange go now, the others say
 * Connection: close. */
void edge_h1_drain(struct worker *w);

/* Cut them all. */
void edge_h1_close_all(struct worker *w);

#endif
