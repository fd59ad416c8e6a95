/*
 * One session: many streams over its links. Bytes and microseconds in, bytes
 * and events out; no I/O, no clock. It outlives its links: losing one is an
 * input. The relay opens streams, the client answers. See PROTOCOL.md.
 */
#ifndef PROTO_SESSION_H
#define PROTO_SESSION_H

#include "proto/chunk.h"
#include "proto/frame.h"
#include "proto/login.h"
#include "proto/pool.h"

struct session;

enum session_role { SESSION_RELAY, SESSION_CLIENT };

/* The first link carries the tunnels and what is urgent, the second, while
 * there is one, the rest. */
enum session_slot { SLOT_EXPRESS, SLOT_BULK };

struct session_options {
    enum session_role role;
    uint8_t id[SESSION_ID_LEN];
    struct session_limits own;
    struct session_limits peer;
    uint32_t epoch;            /* relay: of the login it begins with */
    struct pool *receive_pool; /* parent for received, unconsumed bytes */
    struct pool *sent_pool;    /* parent for the sent log and unsent queues */
    uint64_t receive_max;      /* RECEIVE_POOL_SESSION or _CLIENT */
};

enum session_event_kind {
    EVENT_NONE,
    EVENT_OPEN,    /* client: stream, open, bytes = the whole head block, fin */
    EVENT_HEAD,    /* stream, head, bytes = the whole head block, fin */
    EVENT_DATA,    /* stream, bytes, fin; owner must session_consumed() them */
    EVENT_RESET,   /* stream, code: it is gone */
    EVENT_STOP,    /* relay: the client wants no more of this request's body */
    EVENT_BIND,    /* relay: bind (name borrowed) */
    EVENT_BOUND,   /* client: tunnel, bytes = URL */
    EVENT_REFUSED, /* client: tunnel, code, bytes = sentence */
    EVENT_UNBIND,  /* relay: tunnel */
    EVENT_UNBOUND, /* client: tunnel, code, bytes = sentence */
    EVENT_GOAWAY,  /* code, bytes = sentence: the peer opens or binds no more */
    EVENT_NEXT_KEY /* client: bytes = key and signature, 96 bytes */
};

struct session_event {
    enum session_event_kind kind;
    uint32_t stream;
    void *owner; /* of the stream, as session_set_owner() was told */
    uint16_t tunnel;
    bool fin; /* the peer sends nothing more on this stream */
    enum head_kind head;
    enum err code;
    struct span bytes; /* good until the next call on the session */
    struct frame_open open;
    struct frame_bind bind;
};

/* What kind of traffic a stream carries: which queue it waits in. */
enum stream_class { CLASS_AUTO, CLASS_INTERACTIVE, CLASS_BULK };

/* NULL without memory. The caller frees it; it has no link yet. */
struct session *session_new(const struct session_options *o, uint64_t now_us);

/* Frees all streams and chunks; gives everything back to the pools. */
void session_free(struct session *s);

/* A link was logged in for |slot|; frames may be read from it and written. */
void session_link_up(struct session *s, unsigned slot, uint64_t now_us);

/*
 * A link was logged in for |slot| that goes on where the last one was lost: the
 * peer has everything before |position|, the rest is sent again. ERR_PROTOCOL
 * when session_may_resume() is false; nothing has changed then.
 */
MUST_CHECK enum err session_link_resume(struct session *s, unsigned slot,
                                        uint64_t position, uint64_t now_us);

/* Whether |position| is one the peer may claim to have received on |slot|, and
 * the session is alive. */
bool session_may_resume(const struct session *s, unsigned slot,
                        uint64_t position);

/* What a login may get that names a session. */
enum session_claim {
    CLAIM_TRUE,  /* it might be: the session goes on */
    CLAIM_STALE, /* not newer than the newest that was taken */
    CLAIM_FALSE /* the peer cannot have received that, or the session is dead */
};

/*
 * Relay: judge a login for |slot| with |epoch|, whose client says that it has
 * everything before |position|. Changes nothing.
 */
enum session_claim session_judge(const struct session *s, unsigned slot,
                                 uint32_t epoch, uint64_t position);

/*
 * Relay: a login for |slot| with |epoch|, higher than any before, is taken. The
 * older link, if there is one, is gone: the caller closes it.
 */
void session_fence(struct session *s, unsigned slot, uint32_t epoch,
                   uint64_t now_us);

/* What was received on |slot|: what a login says, and its answer. */
uint64_t session_received(const struct session *s, unsigned slot);

/* The link in |slot| is gone: an input like any other, streams live on. */
void session_link_lost(struct session *s, unsigned slot, uint64_t now_us);

/*
 * |slot|, which has no link, begins anew: whatever was on it is over, here and
 * without a word to the peer, which does the same; positions begin with 0.
 * Streams that live still end without an event: tell their owners before.
 */
void session_slot_clear(struct session *s, unsigned slot);

/* Whether |slot| has a link. */
bool session_has_link(const struct session *s, unsigned slot);

/* Whether it has, and the peer has spoken since |slot| began (anew): it knows
 * that it did, and a stream opened there cannot be lost to a later claim. */
bool session_is_proven(const struct session *s, unsigned slot);

/*
 * Take one step on link |slot|: read from |in|, say in |used| how much was
 * read, and in |event| what happened, EVENT_NONE if nothing yet. Only whole
 * frames become events; a split frame is assembled inside the session. Event
 * bytes are good until the next call on |s|. After an error the session is
 * dead: every later call returns the same error, session_why() says it in
 * words.
 */
MUST_CHECK enum err session_step(struct session *s, unsigned slot,
                                 uint64_t now_us, struct span in, size_t *used,
                                 struct session_event *event);

/*
 * The next frame to send on |slot|, header and payload contiguous, empty if
 * none; it is in the sent log now (unless it is not sequenced). Good until the
 * next call on |s|.
 */
struct span session_output(struct session *s, unsigned slot, uint64_t now_us);

/* Whether session_output() would give something, at the time last told. */
bool session_has_output(const struct session *s, unsigned slot);

/*
 * How many bytes of output may wait encrypted on |slot|, where nothing can
 * overtake them; SIZE_MAX while nobody is in a hurry.
 */
size_t session_ahead(const struct session *s, unsigned slot);

/* When to call session_tick() at the latest (UINT64_MAX: never, 0: now). */
uint64_t session_deadline(const struct session *s, unsigned slot);

/*
 * Time has passed: acknowledgements and pings fall due (fetch them with
 * session_output()). ERR_TIMEOUT: the peer did not answer on |slot|'s link, or
 * its sent log is stuck: close that link; the session lives on.
 */
MUST_CHECK enum err session_tick(struct session *s, unsigned slot,
                                 uint64_t now_us);

/* Why the session or the last failed call failed; a constant sentence. */
const char *session_why(const struct session *s);

/*
 * Relay: open a stream on |slot|, for life; its id goes to |*stream|. |head| is
 * the encoded block (copied). ERR_LIMIT: too many live streams, ids used up, or
 * the sent log is full; ERR_NOMEM.
 */
MUST_CHECK enum err session_open(struct session *s, unsigned slot,
                                 const struct frame_open *o, struct span head,
                                 bool fin, uint32_t *stream);

/*
 * Streams. A stream that is gone is normal: the calls that return an err give
 * ERR_ABSENT then, the void ones do nothing.
 */

/* Remember |owner| for |stream|'s events; NULL forgets, and reads no more. */
void session_set_owner(struct session *s, uint32_t stream, void *owner);
void session_set_class(struct session *s, uint32_t stream,
                       enum stream_class class);

/* Send a head block (copied) of |kind| on |stream|, FIN with it when |fin|. */
MUST_CHECK enum err session_write_head(struct session *s, uint32_t stream,
                                       enum head_kind kind, struct span block,
                                       bool fin);

/*
 * Give |chunk| (at most FRAME_PAYLOAD_MAX bytes, not empty) to |stream|'s
 * queue; the session owns it from here on, also on error.
 */
MUST_CHECK enum err session_write_take(struct session *s, uint32_t stream,
                                       struct chunk *chunk);

/* Nothing more comes from this end: FIN, with the last DATA when it can. */
MUST_CHECK enum err session_write_fin(struct session *s, uint32_t stream);

/*
 * How many payload bytes |stream|'s queue still takes before its reader should
 * stop. 0: stop; session_pop_writable() will name the stream (unless it is
 * gone or has sent FIN, for which it is 0 as well).
 */
size_t session_room(struct session *s, uint32_t stream);

/* How many payload bytes of |stream| wait to be sent; 0 when it is gone. */
size_t session_queued(const struct session *s, uint32_t stream);

/*
 * A stream that session_room() gave 0 and that has room again: its owner, each
 * once; NULL when there is none. Call until NULL after session_output(), and
 * after session_step() and session_tick().
 */
void *session_pop_writable(struct session *s, uint32_t *stream);

/*
 * End |stream| at once with |code| (one that may not stand in a frame goes as
 * CANCEL); nothing more of it is heard, and its owner need not consume what it
 * was given.
 */
void session_reset(struct session *s, uint32_t stream, enum err code);

/* Client: want no more of |stream|'s request body. */
void session_stop(struct session *s, uint32_t stream);

/* What time it is, where no other call says it: before session_consumed(). */
void session_now(struct session *s, uint64_t now_us);

/*
 * |len| received bytes of |stream| have left this process: grant credit. Call
 * it for a stream that has ended as well, or its bytes stay charged till
 * session_reset() or session_set_owner(NULL).
 */
void session_consumed(struct session *s, uint32_t stream, size_t len);

/* Whether |stream| lives still (either direction not ended). */
bool session_has_stream(const struct session *s, uint32_t stream);

/* The slot of |stream|; 0 when it is gone. */
unsigned session_stream_slot(const struct session *s, uint32_t stream);

/*
 * Call |each| with the owner of every live stream of |tunnel|, or (0) of all,
 * with those that have ended but hold unconsumed bytes. |each| may reset
 * streams, not open any.
 */
void session_each_stream(struct session *s, uint16_t tunnel,
                         void (*each)(void *owner, uint32_t stream, void *arg),
                         void *arg);

/*
 * Received bytes that are held fill pools: how full the session's, or one above
 * it, is in percent, and what must be done about it (PROTOCOL.md, "Flow
 * control"). Whoever owns the session asks session_shed_due() after each step
 * and tick, and while it is true, and session_shed_find() finds one, ends a
 * stream with session_reset(ERR_LIMIT).
 */
enum session_shed_rule {
    SHED_NONE,
    SHED_STALLED, /* the one stalled longest, if over 30 s */
    SHED_LARGEST  /* the largest holder */
};
unsigned session_shed_percent(const struct session *s);

/* A constant sentence for the log. */
const char *session_shed_why(enum session_shed_rule rule);
enum session_shed_rule session_shed_rule(unsigned percent);
bool session_shed_due(const struct session *s, uint64_t now_us);

struct session_shed {
    uint32_t stream;
    void *owner;         /* of the stream; NULL: nobody has to be told */
    uint64_t held;       /* bytes */
    uint64_t stalled_us; /* since some of them were consumed */
};

/* The stream of |s| that has to go by |rule|. False: none; then
 * session_shed_due() asks for no stalled one before there can be one. */
MUST_CHECK bool session_shed_find(struct session *s,
                                  enum session_shed_rule rule, uint64_t now_us,
                                  struct session_shed *out);

/* Stream 0. Bounded: ERR_LIMIT when the peer lets too many pile up. */
MUST_CHECK enum err session_bind(struct session *s, const struct frame_bind *b);
MUST_CHECK enum err session_bound(struct session *s, uint16_t tunnel,
                                  struct span url);
MUST_CHECK enum err session_refuse(struct session *s,
                                   const struct frame_verdict *v);
MUST_CHECK enum err session_unbind(struct session *s, uint16_t tunnel);
/* Relay: the tunnel is taken away; its streams are reset with v->code. */
MUST_CHECK enum err session_unbound(struct session *s,
                                    const struct frame_verdict *v);
MUST_CHECK enum err session_goaway(struct session *s, enum err code,
                                   struct span sentence);

/* Probe |slot|'s link now (after a change of network): PING, 10 s to answer. */
void session_probe(struct session *s, unsigned slot, uint64_t now_us);

/* Whether |slot| has a link from which too long nothing came though something
 * should have: worth dialling another beside it. The next byte ends it. */
bool session_is_suspect(const struct session *s, unsigned slot,
                        uint64_t now_us);

/* Whether nothing has come on |slot| since session_probe(). */
bool session_is_asked(const struct session *s, unsigned slot);

struct session_stats {
    size_t streams;  /* live */
    bool is_held;    /* what may be sent waits for a link to take it */
    uint64_t rtt_us; /* smoothed, 0 unknown */
    uint64_t jitter_us;
    uint64_t unsent_bytes;  /* queued, no position yet */
    uint64_t unacked_bytes; /* in the sent log */
    uint64_t sent_position, received_position;
    uint64_t dropped_frames;  /* for streams that were over */
    uint64_t optional_frames; /* of unknown optional types */
    uint64_t opened;
};
void session_stats(const struct session *s, struct session_stats *out);

/* The id given at session_new(). */
const uint8_t *session_id(const struct session *s);

#endif
