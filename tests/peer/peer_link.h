/*
 * One TLS connection of the hostile peer: a socket that is polled, frames as
 * they come, bytes as they are wanted, and the exporter that logins are signed
 * over. It knows where a frame ends and nothing else of the protocol.
 */
#ifndef TESTS_PEER_PEER_LINK_H
#define TESTS_PEER_PEER_LINK_H

#include "common/tls.h"
#include "proto/frame.h"

struct peer_link;

struct peer_handler {
    void (*on_up)(struct peer_link *l);
    void (*on_frame)(struct peer_link *l, const struct frame_header *h,
                     struct span payload);
    /* |l| is gone after it. */
    void (*on_end)(struct peer_link *l, const char *why);
};

/* Take the connected socket |fd|; NULL without memory. */
struct peer_link *peer_link_client(int fd, const struct peer_handler *h);
struct peer_link *peer_link_server(int fd, const struct peer_handler *h);

/* A close_notify and FIN, or a reset; nothing is called. NULL is fine. */
enum peer_end { PEER_CLOSE, PEER_ABORT };
void peer_link_free(struct peer_link *l, enum peer_end how);

bool peer_link_is_up(const struct peer_link *l);
int peer_link_fd(const struct peer_link *l);

/* Which of POLLIN and POLLOUT to wait for, and what came of it. */
short peer_link_wants(const struct peer_link *l);
void peer_link_ready(struct peer_link *l, short events);

/* Stop reading from the socket, or go on. */
void peer_link_mute(struct peer_link *l, bool is_muted);

/* Send |bytes| (taken, to be freed by free()) |count| times. One at a time. */
void peer_link_send(struct peer_link *l, uint8_t *bytes, size_t len,
                    uint64_t count);
bool peer_link_is_sending(const struct peer_link *l);

/* RFC 9266, once it is up. */
const uint8_t *peer_link_exporter(const struct peer_link *l);

#endif
