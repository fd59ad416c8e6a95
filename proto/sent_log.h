/*
 * The frames of one link slot in the order they were sent, each with the
 * position of its end, till the peer acknowledges them. After a link was lost
 * they are sent again from the position the peer names. A position is a claim
 * of the peer: it is checked and never allocates.
 */
#ifndef PROTO_SENT_LOG_H
#define PROTO_SENT_LOG_H

#include "proto/chunk.h"
#include "proto/error.h"

struct sent_log {
    struct chunk_queue frames;
    struct chunk *again; /* the next to send again, NULL: none */
    uint64_t acked;      /* position the peer has everything before */
    uint64_t handed;     /* position of the last one sent on this link */
    uint64_t end;        /* position of the last one picked */
    uint64_t cost;       /* memory of the frames */
    uint64_t moved_us;   /* when it last moved, or became non-empty */
};

/*
 * Take |frame| (header and payload), which is sent now and gets its position.
 * Nothing may be left to send again.
 */
void sent_log_put(struct sent_log *log, struct chunk *frame, uint64_t now_us);

/*
 * The peer has everything before |position|: free it; its cost is added to
 * |*freed|. ERR_PROTOCOL when it was not sent on this link or is no frame's
 * end. An older position than known changes nothing.
 */
MUST_CHECK enum err sent_log_ack(struct sent_log *log, uint64_t position,
                                 uint64_t now_us, uint64_t *freed);

/* Whether |position| may be resumed from: one not yet freed at which a frame
 * that was sent ends, or before which there is none. */
bool sent_log_may_resume(const struct sent_log *log, uint64_t position);

/*
 * A new link, on which the peer says that it has everything before |position|:
 * free that (as sent_log_ack() does) and send all the rest again. ERR_PROTOCOL
 * when sent_log_may_resume() is false; nothing changes then.
 */
MUST_CHECK enum err sent_log_resume(struct sent_log *log, uint64_t position,
                                    uint64_t now_us, uint64_t *freed);

/* The next frame to send again; empty when there is none. */
struct span sent_log_again(struct sent_log *log);

/* Free all. */
void sent_log_clear(struct sent_log *log);

#endif
