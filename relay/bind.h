/*
 * A client's BIND: the name it gets, or the sentence why not.
 */
#ifndef RELAY_BIND_H
#define RELAY_BIND_H

#include "proto/frame.h"

struct client_session;

/* Answer |b| with BOUND or REFUSED. A name that another session of the same
 * key has is taken from it. May end |s|. */
void bind_take(struct client_session *s, const struct frame_bind *b);

#endif
