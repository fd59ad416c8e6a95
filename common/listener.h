/* Accept connections on one address; says so when descriptors run out. */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include <uv.h>

#include "common/loop.h"

struct listener;

/* A connection waits: conn_accept(loop, server, ...) takes it. */
typedef void listener_fn(uv_stream_t *server, void *owner);

/*
 * Listen on |at|, SO_REUSEADDR, backlog 1024; [::] takes IPv6 only. ERR_IO with
 * |*why| (constant or libuv's text), such as "address already in use";
 * ERR_ABSENT when this machine has no such address, or no IPv6.
 */
MUST_CHECK enum err listener_open(struct loop *l, const struct sockaddr *at,
                                  listener_fn *fn, void *owner,
                                  struct listener **out, const char **why);

/* The bound address (port 0 was chosen by the kernel). */
void listener_name(const struct listener *l, struct sockaddr_storage *out);

/* No call follows. NULL is fine. */
void listener_close(struct listener *l);

#endif
