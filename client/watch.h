/*
 * That the network of this machine may be another one: links, addresses or
 * routes changed, or it slept. What to do about it is uplink's.
 */
#ifndef CLIENT_WATCH_H
#define CLIENT_WATCH_H

#include "common/loop.h"

struct watch;

enum watch_event {
    WATCH_NETWORK, /* something changed; often nothing that matters */
    WATCH_WAKE     /* the process did not run for a while */
};

typedef void watch_fn(void *owner, enum watch_event event);

/* NULL without memory. Where the system tells nothing only WATCH_WAKE comes. */
struct watch *watch_new(struct loop *l, watch_fn *fn, void *owner);

/* No call follows. NULL is fine. */
void watch_free(struct watch *w);

#endif
