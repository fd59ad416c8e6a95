/*
 * What a session is made of, for the rooms it is made of: session, receive,
 * output, unsent, control. Nobody else includes this.
 */
#ifndef PROTO_SESSION_STATE_H
#define PROTO_SESSION_STATE_H

#include "proto/assembly.h"
#include "proto/flight.h"
#include "proto/liveness.h"
#include "proto/sched.h"
#include "proto/sent_log.h"
#include "proto/session.h"
#include "proto/streams.h"

/* Frames of stream 0, STOP and RESET that wait: more is the peer's doing. */
#define CONTROL_QUEUED_MAX(streams) (2u * (streams) + 1024u)

/* What one link carries, whether the link is there or not. */
struct slot {
    bool has_link;
    bool is_heard;     /* the peer has sent something since it began */
    uint32_t highest;  /* stream id picked (relay) or received (client) */
    uint32_t epoch;    /* relay: of the newest login taken */
    uint64_t received; /* position: bytes of whole sequenced frames */
    struct assembly assembly;
    struct liveness liveness;
    struct sent_log log;
    struct flight flight;
    uint64_t urgent_us; /* till then an interactive stream counts as active */
    struct chunk_queue control; /* whole frames */
    struct stream_list grants;  /* streams with a WINDOW due */
    struct stream_list waiting; /* writers that were told to stop */
    struct sched sched;
};

struct session {
    enum session_role role;
    uint8_t id[SESSION_ID_LEN];
    struct session_limits own;
    struct session_limits peer;
    struct pool receive;
    struct pool sent;
    enum err error;
    const char *why;
    uint64_t now_us; /* the latest that was told */

    struct slot slots[SLOTS_MAX];
    struct streams streams;
    size_t live; /* streams not DONE; the table holds those still read too */
    uint32_t last_id;
    bool is_leaving; /* GOAWAY was sent or received */
    bool is_renew_queued;

    uint64_t urgent_us; /* the latest of the slots' own */

    uint64_t stall_look_us; /* no stream has stalled for too long before */

    uint64_t unsent_bytes; /* payload in all streams' queues */

    uint16_t tunnels[TUNNELS_MAX]; /* asked for, 0 free */
    void *spent; /* a head block that was handed out; freed at the next step */

    uint64_t dropped_frames;
    uint64_t optional_frames;
    uint64_t opened;
};

/* The session is dead of |error|; returns it. The first one counts. */
enum err session_fail(struct session *s, enum err error, const char *why);

/* Put |st|, new, into the table: ERR_NOMEM, and it is the caller's still. */
MUST_CHECK enum err session_add(struct session *s, struct stream *st);

/*
 * |st| is DONE: drop its queue; it leaves the table once its owner has
 * consumed what came, |is_read| at once.
 */
void session_settle(struct session *s, struct stream *st, bool is_read);

/* Whether memory allows |st| more credit (design 3.2: over half the pool). */
bool session_may_grant(const struct session *s, const struct stream *st);

/* Queue |st|'s WINDOW if one is due. */
void session_grant(struct session *s, struct stream *st);

#endif
