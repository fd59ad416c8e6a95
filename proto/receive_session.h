/*
 * Received frames of stream 0: those of one link (PING, PONG, ACK), and those
 * that become events for the session's owner.
 */
#ifndef PROTO_RECEIVE_SESSION_H
#define PROTO_RECEIVE_SESSION_H

#include "proto/session_state.h"

/* Take a frame of stream 0 whose length and sender were checked already: one
 * of the link itself, or one that becomes |event|. Errors end the session. */
MUST_CHECK enum err receive_session_link(struct session *s, struct slot *slot,
                                         const struct assembly_frame *f);
MUST_CHECK enum err receive_session_event(struct session *s,
                                          const struct assembly_frame *f,
                                          struct session_event *event);

/* Client: the place of |tunnel| among those asked for; of 0: a free place. */
uint16_t *receive_session_tunnel(struct session *s, uint16_t tunnel);

#endif
