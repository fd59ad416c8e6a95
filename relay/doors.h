/*
 * Where a worker listens: sockets made from the settings, or passed on by
 * whoever started the relay, and how they are held, given up and closed. Who
 * comes in by them is edge's and redirect's matter.
 */
#ifndef RELAY_DOORS_H
#define RELAY_DOORS_H

#include <stdbool.h>

#include "common/activation.h"
#include "common/listener.h"

struct worker;

#define DOORS_LISTEN_MAX 8u /* of each kind */
#define DOORS_MAX (2 * DOORS_LISTEN_MAX)

struct doors {
    struct listener *listeners[DOORS_MAX];
    size_t count;
    bool are_passed; /* others hold the sockets too: closing refuses nobody */
};

/*
 * Listen: on the sockets |passed|, of which there may be none, else where
 * |w|'s settings say. The sockets are the doors' from here on. Passed ones win
 * over the settings; a line in the log says where they differ. A socket named
 * "redirect", or on a port of `redirect-listen`, answers plain http. ERR_IO:
 * what went wrong was said on standard error.
 */
MUST_CHECK enum err doors_open(struct worker *w, struct activation *passed);

/* Let in nobody until doors_go_on(): who knocks waits in the kernel. */
void doors_hold(struct doors *d);
void doors_go_on(struct doors *d);

/* Let in who has knocked, then close; again is fine. */
void doors_finish(struct doors *d);

/* Close: of passed sockets, who knocks waits for the next process. */
void doors_close(struct doors *d);

#endif
