/*
 * A session's second link: it joins a session that lives, carries what is not
 * urgent, is lost and comes back by itself, and when its own grace is over it
 * takes along no more than the streams it carried.
 */
#ifndef RELAY_BULK_LINK_H
#define RELAY_BULK_LINK_H

#include "common/conn.h"
#include "common/timer.h"

struct client_session;

/* Embedded in a client_session. */
struct bulk_link {
    struct timer *timer; /* the end of the grace */
};

/* ERR_NOMEM. */
MUST_CHECK enum err bulk_link_init(struct client_session *s);
void bulk_link_deinit(struct client_session *s);

/*
 * A verified LOGIN for it, of an |epoch| that session_judge() has found newer:
 * close the link there is. |is_resumed|: what was on it goes on; else it is
 * over, and the link begins anew.
 */
void bulk_link_fence(struct client_session *s, uint32_t epoch, bool is_resumed);

/* After bulk_link_fence() and the WELCOME: |c| is the link, the session's from
 * here on (on error it stays the caller's). */
MUST_CHECK enum err bulk_link_take(struct client_session *s, struct conn *c,
                                   bool is_resumed, uint64_t received);

/* It is gone: its streams wait for it as long as the grace is, or not at all
 * while the relay lets nobody in. */
void bulk_link_lost(struct client_session *s);

/* The relay lets nobody in any more: the link there is may stay, what waits
 * for one is over. As with bulk_link_lost(), |s| may be over after. */
void bulk_link_leave(struct client_session *s);

#endif
