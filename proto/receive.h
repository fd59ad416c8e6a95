/*
 * What a received frame means for its stream or session: one handler a type.
 * The frame was checked by the table in frame before it comes here.
 */
#ifndef PROTO_RECEIVE_H
#define PROTO_RECEIVE_H

#include "proto/session_state.h"

/*
 * Handle |frame|, which came whole on |slot|, and say in |event|, empty
 * before, what happened. On error session_fail() was called.
 */
MUST_CHECK enum err receive_frame(struct session *s, struct slot *slot,
                                  const struct assembly_frame *frame,
                                  struct session_event *event);

#endif
