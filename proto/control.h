/*
 * Frames that never wait behind data: RESET, STOP and those of stream 0. Each
 * is built when it is queued, so that sending it cannot fail; their number is
 * bounded, because a peer that does not read could make them pile up.
 */
#ifndef PROTO_CONTROL_H
#define PROTO_CONTROL_H

#include "proto/session_state.h"

/*
 * Queue a frame of |type| with |payload| for |stream| on |slot|. ERR_LIMIT
 * when too many wait, ERR_NOMEM.
 */
MUST_CHECK enum err control_put(struct session *s, struct slot *slot,
                                uint32_t stream, enum frame_type type,
                                struct span payload);

/* RESET for |stream|. Without memory or room the session is dead. */
void control_reset(struct session *s, struct slot *slot, uint32_t stream,
                   enum err code);

/* GOAWAY. */
MUST_CHECK enum err control_goaway(struct session *s, enum err code,
                                   struct span sentence);

#endif
