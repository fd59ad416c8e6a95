/*
 * What uplink.c, uplink_session.c and bulk_link.c share: one object, seen from
 * its links and from its session. Nobody else includes this.
 */
#ifndef CLIENT_UPLINK_PRIVATE_H
#define CLIENT_UPLINK_PRIVATE_H

#include "client/bulk_link.h"
#include "client/redial.h"
#include "client/uplink.h"
#include "client/watch.h"
#include "common/timer.h"

/* Sessions beside the newest one: a relay restarts no more often. */
#define UPLINK_LEFT_MAX 4u

/* A session, or the place for one, and what its streams hang off. */
struct uplink_session {
    struct uplink_session *next; /* of those that were left */
    struct uplink *uplink;
    struct carrier carrier;
    struct bulk_link bulk;
    struct local_world world;
    struct link_quality_watch *quality;
    uint32_t resumes; /* by either link */
};

struct uplink {
    struct loop *loop;
    struct uplink_options o;
    struct pool receive_pool;
    struct pool sent_pool;
    struct uplink_session *now;  /* never NULL */
    struct uplink_session *left; /* the relay said goodbye: their streams end
                                  * beside the new session; the newest first */
    uint8_t *scratch;            /* of all worlds: 2 * HEAD_MAX */
    struct redial *redial;
    struct timer *look; /* in a drain, or while the session is renewed */
    struct timer *drain;
    struct watch *watch;
    uint32_t epoch;    /* of the newest LOGIN */
    uint64_t grace_us; /* how long the relay keeps a lost session */
    uint64_t renew_us; /* when a used up session ends at the latest, or 0 */
    uint64_t keep_us;  /* when one without a link does */
    bool was_up;
    bool is_left; /* the relay said GOAWAY on this link */
    bool is_draining;
    bool is_over; /* nothing more is dialled */
};

/* Leave the newest session, whose relay said goodbye, and dial the next. */
void uplink_leave(struct uplink *u);

/* The express link of |s| is over, or the session failed on the other. |s| may
 * be gone after. */
void uplink_link_over(struct uplink_session *s, enum link_end how,
                      enum err error, const char *why);

/* To the owner. */
void uplink_session_tell(struct uplink *u, enum uplink_event event,
                         struct tunnel *tunnel, enum err error,
                         const char *why);

/* Say so when a drain has nothing left to wait for. */
void uplink_session_check_drained(struct uplink *u);

/* What a LOGIN says of us. */
struct session_limits uplink_session_limits(void);

/* The session that |m| is about: the one we had, or a new one. It has a link
 * now. ERR_PROTOCOL: what |m| says of the one we had is false. */
MUST_CHECK enum err uplink_session_take(struct uplink *u,
                                        const struct welcome *m);

/* Ask for all tunnels in a new session. ERR_NOMEM. */
MUST_CHECK enum err uplink_session_bind(struct uplink *u);

/* It is of no more use: its exchanges end with it. */
void uplink_session_drop(struct uplink *u);

/* A place for a session of |u|; NULL without memory. */
struct uplink_session *uplink_session_new(struct uplink *u);

/* Its exchanges end. NULL is fine. */
void uplink_session_free(struct uplink_session *s);

/* Make room for another session; this one's streams live on, as long as its
 * link does. ERR_NOMEM: nothing changes. */
MUST_CHECK enum err uplink_session_leave(struct uplink *u);

/* The link of |s| is gone; false if |s| was left, and is freed. */
bool uplink_session_is_newest(struct uplink_session *s);

/*
 * |conn| is |slot|'s link of |s| from now on, after session_link_up() or
 * session_link_resume(); |ends| has on_end and on_suspect, all else is the
 * session's. ERR_NOMEM: |conn| stays the caller's.
 */
MUST_CHECK enum err uplink_session_link(struct uplink_session *s, unsigned slot,
                                        struct conn *conn,
                                        const struct link_handler *ends);

#endif
