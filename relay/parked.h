/*
 * A session whose express link is lost: kept with its streams for the grace, so
 * that its client can come back to it, while new requests wait for a while.
 * What a session is stands in client_session, how its streams go on in proto.
 */
#ifndef RELAY_PARKED_H
#define RELAY_PARKED_H

#include <stdbool.h>

#include "common/timer.h"

struct client_session;
struct exchange;

/* Embedded in a client_session. */
struct parked {
    struct timer *timer;
    uint64_t until_us; /* when the grace ends */
    uint64_t next_us;  /* when the next request has waited long enough */
    bool is_on;
};

/* ERR_NOMEM. */
MUST_CHECK enum err parked_init(struct client_session *s);
void parked_deinit(struct client_session *s);

/* |s| has lost its express link just now, for at most |grace_us|. */
void parked_begin(struct client_session *s, uint64_t grace_us);

/* |s| has an express link again: who waited goes on. */
void parked_end(struct client_session *s);

/* Whether a request with a head of |len| bytes may be opened on |s|'s express
 * link: not when it is parked, and as many or as much as may wait for |tunnel|
 * does. */
bool parked_may_wait(const struct client_session *s, uint16_t tunnel,
                     size_t len);

/* |x| was opened on |s|'s express link and is in its list. If |s| is parked it
 * waits, and ends by exchange_waited() when no link has come in time (the
 * setting). */
void parked_wait(struct client_session *s, struct exchange *x);

#endif
