/*
 * Which stream sends next: interactive before bulk, and bulk by deficit round
 * robin over bytes. (Control frames go before all streams and never come
 * here.) Every step is O(1). What a stream sends is not decided here.
 */
#ifndef PROTO_SCHED_H
#define PROTO_SCHED_H

#include "proto/stream.h"

/* OPENs in id order; streams whose next frame is a head; small data; bulk. */
enum sched_queue { SCHED_OPENING, SCHED_HEADS, SCHED_INTERACTIVE, SCHED_BULK };
#define SCHED_QUEUES 4

struct sched {
    struct stream_list queues[SCHED_QUEUES];
    unsigned turn; /* which interactive queue is asked first */
    size_t ahead;  /* interactive bytes sent while bulk waited */
};

/*
 * What may leave: too much in flight stops bulk, but for the share that keeps
 * it from starving; a full sent log stops data first, then heads too.
 */
enum sched_scope { SCHED_ALL, SCHED_URGENT, SCHED_HEADS_ONLY, SCHED_NOTHING };

/* |st|, which waits in no queue and has a chunk to send, joins its queue. */
void sched_put(struct sched *sched, struct stream *st);

/* |st| has nothing it may send any more. */
void sched_remove(struct stream *st);

/* Whether sched_take() would give something. */
bool sched_is_ready(const struct sched *sched, enum sched_scope scope);

/*
 * The stream whose turn it is, out of its queue now; NULL when none is. It
 * sends one frame, of data at most |quantum| bytes.
 */
struct stream *sched_take(struct sched *sched, enum sched_scope scope,
                          size_t quantum);

/* Whether |st| is one that others wait for: interactive, and no burst. */
bool sched_is_urgent(const struct stream *st);

/*
 * |st|, taken last, has sent a frame of |type| with |len| payload bytes: keep
 * its accounts. The caller puts it back if it has more.
 */
void sched_sent(struct sched *sched, struct stream *st, uint8_t type,
                size_t len, uint64_t now_us);

#endif
