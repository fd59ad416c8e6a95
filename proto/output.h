/*
 * Which frame leaves next on a slot: acknowledgements and pings, what must be
 * sent again, control frames, windows, then the streams by class. A frame gets
 * its position here and moves into the sent log.
 */
#ifndef PROTO_OUTPUT_H
#define PROTO_OUTPUT_H

#include "proto/session_state.h"

/* The next frame, empty when there is none; good till the next call. */
struct span output_next(struct session *s, struct slot *slot);

/* Whether output_next() would give something. */
bool output_has_next(const struct session *s, const struct slot *slot);

/* What the fill of the sent log lets pass. */
enum sched_scope output_scope(const struct session *s);

/* Whether an interactive stream was active of late: bulk is held back. And
 * whether one of |slot| was. */
bool output_is_urgent(const struct session *s);
bool output_is_urgent_on(const struct session *s, const struct slot *slot);

/* Whether all sessions' queues and logs together are at their bound. */
bool output_is_relay_full(const struct session *s);

#endif
