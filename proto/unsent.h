/*
 * What streams have queued and not sent: it has no position yet and is freed
 * at once when the stream is reset. Queues are bounded by asking writers to
 * stop: each stream's by itself, all of a session's together.
 */
#ifndef PROTO_UNSENT_H
#define PROTO_UNSENT_H

#include "proto/session_state.h"

/* |c| is the session's from here on: charge it. */
void unsent_adopt(struct session *s, const struct chunk *c);

/* Free |c|, which was adopted, or all of |queue|. */
void unsent_drop(struct session *s, struct chunk *c);
void unsent_drop_queue(struct session *s, struct chunk_queue *queue);

/* Queue OPEN with the head block, in as many frames as it needs. ERR_NOMEM. */
MUST_CHECK enum err unsent_put_open(struct session *s, struct stream *st,
                                    const struct frame_open *o,
                                    struct span head, bool fin);

/* Queue a head block. ERR_NOMEM. */
MUST_CHECK enum err unsent_put_head(struct session *s, struct stream *st,
                                    enum head_kind kind, struct span block,
                                    bool fin);

/* Queue |data|, the session's from here on. */
void unsent_put_data(struct session *s, struct stream *st, struct chunk *data);

/* Queue FIN, on the last frame if that waits still. ERR_NOMEM. */
MUST_CHECK enum err unsent_put_fin(struct session *s, struct stream *st);

/* Let |st| into its queue of the scheduler if it has something it may send. */
void unsent_schedule(struct session *s, struct stream *st);

/*
 * The next frame of |st|, header in front, as much of it as the window allows
 * and, of data, at most |quantum| bytes; the caller's, still charged. NULL
 * without memory to split a chunk.
 */
struct chunk *unsent_take(struct session *s, struct stream *st, size_t quantum);

/* Drop all that |st| has queued. */
void unsent_clear(struct session *s, struct stream *st);

/* What session_room() and session_pop_writable() say. */
size_t unsent_room(struct session *s, struct stream *st);
struct stream *unsent_pop_writable(struct session *s);

#endif
