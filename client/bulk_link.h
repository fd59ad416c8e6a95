/*
 * The session's second link, for what is not urgent: dialled when the first
 * stream comes, joined to the session, redialled while its streams live. The
 * session does well without it; where it cannot be had, nothing is lost.
 */
#ifndef CLIENT_BULK_LINK_H
#define CLIENT_BULK_LINK_H

#include "client/redial.h"
#include "client/watch.h"
#include "common/timer.h"

struct uplink_session;

/* Embedded in an uplink_session. */
struct bulk_link {
    struct redial *redial;
    struct timer *grace; /* till its streams are over */
    bool was_up;         /* in this session: there is something to resume */
    bool is_refused;     /* in this session: not asked for again */
    bool is_left;        /* nobody is let in any more: what is lost is over */
};

/* ERR_NOMEM: bulk_link_deinit() all the same. */
MUST_CHECK enum err bulk_link_init(struct uplink_session *s);

/* After bulk_link_drop(). */
void bulk_link_deinit(struct uplink_session *s);

/* A stream has come: have a link. */
void bulk_link_want(struct uplink_session *s);

/* The network of this machine may be another one. */
void bulk_link_network(struct uplink_session *s, enum watch_event event);

/* The link there is may stay; none is dialled in its place. */
void bulk_link_leave(struct uplink_session *s);

/* The session is going: so does its second link. */
void bulk_link_drop(struct uplink_session *s);

#endif
