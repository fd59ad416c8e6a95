/*
 * Received frames of stream 0: those of one link (PING, PONG, ACK), and those
 * that become events for the session's owner.
 */
#ifndef PROTO_RECEIVE_SESSION_H
#define PROTO_RECEIVE_SESSION_H

#include "proto/session_state.h"

/* PING, PONG or ACK came on |slot|. On error session_fail() was called. */
MUST_CHECK enum err receive_session_link(struct session *s, struct slot *slot,
                                         const struct assembly_frame *f);

/* Any other frame of stream 0: say in |event| what it is; errors likewise. */
MUST_CHECK enum err receive_session_event(struct session *s,
                                          const struct assembly_frame *f,
                                          struct session_event *event);

/* The place of |tunnel| among those asked for; of 0: a free place. NULL: there
 * is none. */
uint16_t *receive_session_tunnel(struct session *s, uint16_t tunnel);

/* |tunnel| is no more; its place is free. */
void receive_session_forget(struct session *s, uint16_t tunnel);

#endif
