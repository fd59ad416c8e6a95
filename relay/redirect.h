/*
 * Port 80: everything under the relay's domain is sent to https with 308, one
 * request a connection; anything else is refused.
 */
#ifndef RELAY_REDIRECT_H
#define RELAY_REDIRECT_H

#include "common/listener.h"

struct worker;

/* A connection waits on a plain listener of |worker| (a struct worker). */
void redirect_accept(int fd, void *worker);

/* Drop all of its connections. */
void redirect_close_all(struct worker *w);

#endif
