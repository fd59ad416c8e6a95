/*
 * One logged-in TLS connection for a session: feeds received bytes to the
 * session's steps, sends its output, keeps its clock. It borrows the session
 * and owns the conn.
 */
#ifndef COMMON_LINK_H
#define COMMON_LINK_H

#include "common/conn.h"
#include "proto/session.h"

struct link;

/*
 * A session with the links it has now (NULL: none in that slot). Whoever owns
 * the session keeps one; splices borrow it, so that they need not know which
 * link carries a stream.
 */
struct carrier {
    struct session *session;
    struct link *links[SLOTS_MAX];
};

enum link_end {
    LINK_LOST,  /* the connection broke or timed out: the session lives on */
    LINK_FAILED /* the session is dead: session_why(); the peer was told */
};

struct link_handler {
    /* Every session event; may close the link (link_close()), and after that
     * free the session. */
    void (*on_event)(void *owner, const struct session_event *event);
    /* A stream's queue has room again. */
    void (*on_writable)(void *owner, void *stream_owner, uint32_t stream);
    /* The link has ended: session_link_lost() was called, nothing follows;
     * it is closed by the callee or later, once. */
    void (*on_end)(void *owner, enum link_end how, enum err error,
                   const char *why);
    /* A receive pool is short of room: session_shed_due(). The callee ends
     * streams; it may do all that |on_event| may. */
    void (*on_pressure)(void *owner);
    /* session_is_suspect() has begun to be true. NULL: nobody minds. */
    void (*on_suspect)(void *owner);
    void *owner;
};

/*
 * Take |c| (after the login; unread input is fed first, later in this tick) as
 * |slot|'s link of |s|, after session_link_up() or session_link_resume(). NULL
 * without memory (|c| stays the caller's). No handler is called from within.
 */
struct link *link_open_adopt(struct conn *c, struct session *s, unsigned slot,
                             const struct link_handler *h);

/*
 * The session has something to send, or other work: look at it at the end of
 * this tick. Call after any session_ call made outside of on_event.
 */
void link_wake(struct link *l);

/* link_wake() for every link there is. */
void link_wake_carrier(struct carrier *c);

/* End it: session_link_lost() is called unless it was, what is queued is sent
 * within |linger_us|. No callback follows. Call before the session is freed.
 * NULL is fine. */
void link_close(struct link *l, uint64_t linger_us);

/* Its connection, borrowed; for addresses and the exporter. */
struct conn *link_conn(struct link *l);

#endif
