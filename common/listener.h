/*
 * Accept connections on one address. When there are no descriptors left
 * but those kept for others (DESCRIPTORS_KEPT), who knocks waits until there
 * are; that is said once. Open it after platform_raise_descriptors().
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include "common/loop.h"

struct listener;

/* A connection has come; |fd| is the callee's to close from here on. */
typedef void listener_fn(int fd, void *owner);

/*
 * Listen on |at|, SO_REUSEADDR, backlog 1024; [::] takes IPv6 only, a local
 * socket's connections may use the kept descriptors. ERR_IO with
 * |*why| (constant or libuv's text), such as "address already in use";
 * ERR_ABSENT when this machine has no such address, or no IPv6.
 */
MUST_CHECK enum err listener_open(struct loop *l, const struct sockaddr *at,
                                  listener_fn *fn, void *owner,
                                  struct listener **out, const char **why);

/* The same with |fd|, which listens already and does not block: it is the
 * listener's from here on, and closed on error. ERR_IO or ERR_NOMEM, |*why|. */
MUST_CHECK enum err listener_adopt(struct loop *l, int fd, listener_fn *fn,
                                   void *owner, struct listener **out,
                                   const char **why);

/* The bound address (port 0 was chosen by the kernel). */
void listener_name(const struct listener *l, struct sockaddr_storage *out);

/* Accept no more until listener_go_on(): who knocks waits in the kernel. */
void listener_hold(struct listener *l);
void listener_go_on(struct listener *l);

/* Hand on who waits in the kernel already, then close: nobody who was let in
 * by the system is turned away. */
void listener_finish(struct listener *l);

/* No call follows. NULL is fine. */
void listener_close(struct listener *l);

#endif
