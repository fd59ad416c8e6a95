/*
 * Signals as named events of the loop: SIGINT and SIGTERM drain, a second one
 * quits, SIGHUP reloads; SIGPIPE is ignored.
 */
#ifndef COMMON_SIGNALS_H
#define COMMON_SIGNALS_H

#include "common/loop.h"

enum signals_event {
    SIGNALS_DRAIN, /* the first SIGINT or SIGTERM: finish, then end */
    SIGNALS_QUIT,  /* the second: end now */
    SIGNALS_RELOAD /* SIGHUP */
};

struct signals;
typedef void signals_fn(enum signals_event event, void *owner);

/* Call |fn| on the loop for each. NULL without memory or when the system
 * refuses. */
struct signals *signals_open(struct loop *l, signals_fn *fn, void *owner);

/* No call follows; signals act as by default again (SIGPIPE stays ignored).
 * NULL is fine. */
void signals_close(struct signals *s);

#endif
