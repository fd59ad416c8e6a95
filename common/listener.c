/*
 * A listening socket. What becomes of a connection is its owner's matter. The
 * socket is polled and accepted from here, not by libuv: when accept() goes on
 * failing, libuv tries without end, and closes or leaves lying what it cannot
 * hand over.
 */
#include "common/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "common/address.h"
#include "common/log.h"
#include "common/platform.h"
#include "common/timer.h"

#define BACKLOG 1024
#define ACCEPTS_A_TURN 64u
/* Nothing tells us that a descriptor is free again: it is tried. */
#define PAUSE_US (100 * US_PER_MS)
/* Time without trouble after which it is over. */
#define CALM_US (1 * US_PER_S)
/* The log must not grow as fast as strangers knock. */
#define TELL_EACH_US (10 * US_PER_S)

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    struct timer *pause;
    listener_fn *fn;
    void *owner;
    int fd;
    int fd_max;      /* connections get descriptors below it */
    int waiting;     /* one that was accepted at it or above; -1 none */
    bool is_resting; /* till the pause is over */
    bool is_held;    /* by listener_hold() */
    bool is_closed;
    bool is_told;       /* of a trouble that is not over yet */
    uint64_t told_us;   /* when a trouble was last told; 0 never */
    uint64_t paused_us; /* when the last pause began */
};

static bool is_out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE;
}

/* Let those who knock wait. */
static void listener_pause(struct listener *l, int error)
{
    uint64_t now_us = loop_now(l->loop);

    uv_poll_stop(&l->poll);
    l->is_resting = true;
    timer_set(l->pause, now_us + PAUSE_US);
    l->paused_us = now_us;
    if (l->is_told || (l->told_us != 0 && now_us - l->told_us < TELL_EACH_US)) {
        return;
    }
    l->is_told = true;
    l->told_us = now_us;
    LOG(LOG_ERROR,
        is_out_of_descriptors(error) ? "out-of-descriptors" : "accept-failed",
        log_text("why", uv_strerror(-error)),
        log_text("what", is_out_of_descriptors(error)
                             ? "new connections wait till others end; raise "
                               "LimitNOFILE of the unit, or `ulimit -n`"
                             : "new connections wait"));
}

static void listener_look_if_over(struct listener *l)
{
    uint64_t calm_us = loop_now(l->loop) - l->paused_us;

    if (l->is_told && calm_us > CALM_US) {
        l->is_told = false;
        LOG(LOG_INFO, "accepting-again",
            log_u64("after_ms", (l->loop->now_us - l->told_us) / US_PER_MS));
    }
}

/* What accept() reports of the one connection it was about: the next one may
 * be good (accept(2), "Error handling"). */
static bool is_of_one(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
        return true;
    default:
        return false;
    }
}

/* |fd| goes to the owner if it leaves enough for others than visitors. */
static bool listener_pass(struct listener *l, int fd)
{
    if (fd >= l->fd_max) {
        l->waiting = fd;
        listener_pause(l, EMFILE);
        return false;
    }
    listener_look_if_over(l);
    l->fn(fd, l->owner);
    return !l->is_closed && !l->is_held;
}

static void on_listener_waiting(uv_poll_t *poll, int status, int events)
{
    struct listener *l = container_of(poll, struct listener, poll);

    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = platform_accept(l->fd);

        if (fd >= 0) {
            if (!listener_pass(l, fd)) {
                return;
            }
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (!is_of_one(errno)) {
            listener_pause(l, errno);
            return;
        }
    }
}

static void on_listener_rested(void *owner)
{
    struct listener *l = owner;
    int high = l->waiting;

    l->is_resting = false;
    if (l->is_held) {
        return;
    }
    if (high >= 0) {
        int low = fcntl(high, F_DUPFD_CLOEXEC, 0);

        if (low < 0) {
            listener_pause(l, errno);
            return;
        }
        l->waiting = -1;
        (void)close(high);
        if (!listener_pass(l, low)) {
            return;
        }
    }
    uv_poll_start(&l->poll, UV_READABLE, on_listener_waiting);
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct listener, poll));
}

/* Accepted sockets inherit it: see conn_socket_choose(). */
static void listener_choose(struct listener *l)
{
    struct sockaddr_storage own;

    listener_name(l, &own);
    if (address_is_loopback(&own)) {
        platform_congestion(l->fd, "cubic");
    }
}

/* Of connections to |at|: strangers' come to an end before all the others. */
static int fd_max(const struct sockaddr *at)
{
    uint64_t count = platform_descriptors();

    if (at->sa_family == AF_UNIX || count == 0 || count > INT_MAX) {
        return INT_MAX;
    }
    return (int)(count > 2 * DESCRIPTORS_KEPT ? count - DESCRIPTORS_KEPT
                                              : count);
}

static socklen_t length_of(const struct sockaddr *at)
{
    return at->sa_family == AF_UNIX    ? sizeof(struct sockaddr_un)
           : at->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                       : sizeof(struct sockaddr_in);
}

/* A socket that listens on |at|; -1 with |*error|. */
static int listener_socket(const struct sockaddr *at, int *error)
{
    bool is_v6 = at->sa_family == AF_INET6;
    int fd = platform_socket(at->sa_family);
    int on = 1;

    /* [::] without 0.0.0.0: who wants both names both. */
    if (fd >= 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
        (!is_v6 ||
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
        bind(fd, at, length_of(at)) == 0 && listen(fd, BACKLOG) == 0) {
        return fd;
    }
    *error = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

/* Begin with |fd|, which listens already; on error it is closed, |*error|. */
static struct listener *listener_new(struct loop *l, int fd, listener_fn *fn,
                                     void *owner, int *error)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    struct sockaddr_storage at;

    *error = ENOMEM;
    if (listener == NULL) {
        goto fail;
    }
    listener->loop = l;
    listener->fn = fn;
    listener->owner = owner;
    listener->waiting = -1;
    listener->fd = fd;
    listener->pause = timer_new(l, on_listener_rested, listener);
    if (listener->pause == NULL) {
        goto fail;
    }
    *error = -uv_poll_init(&l->uv, &listener->poll, fd);
    if (*error != 0) {
        goto fail;
    }
    listener_name(listener, &at);
    listener->fd_max = fd_max((const struct sockaddr *)&at);
    listener_choose(listener);
    on_listener_rested(listener);
    return listener;

fail:
    /* The handle is the last thing made: there is none to close. */
    (void)close(fd);
    if (listener != NULL) {
        timer_close(listener->pause);
    }
    free(listener);
    return NULL;
}

enum err listener_open(struct loop *l, const struct sockaddr *at,
                       listener_fn *fn, void *owner, struct listener **out,
                       const char **why)
{
    int error = 0;
    int fd = listener_socket(at, &error);

    *out = fd < 0 ? NULL : listener_new(l, fd, fn, owner, &error);
    if (*out != NULL) {
        return ERR_OK;
    }
    *why = uv_strerror(-error);
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL ? ERR_ABSENT
           : error == ENOMEM                               ? ERR_NOMEM
                                                           : ERR_IO;
}

enum err listener_adopt(struct loop *l, int fd, listener_fn *fn, void *owner,
                        struct listener **out, const char **why)
{
    int error;

    *out = listener_new(l, fd, fn, owner, &error);
    if (*out != NULL) {
        return ERR_OK;
    }
    *why = uv_strerror(-error);
    return error == ENOMEM ? ERR_NOMEM : ERR_IO;
}

void listener_name(const struct listener *l, struct sockaddr_storage *out)
{
    socklen_t size = sizeof(*out);

    memset(out, 0, sizeof(*out));
    if (getsockname(l->fd, (struct sockaddr *)out, &size) != 0) {
        out->ss_family = AF_UNSPEC;
    }
}

void listener_hold(struct listener *l)
{
    l->is_held = true;
    uv_poll_stop(&l->poll);
}

void listener_go_on(struct listener *l)
{
    if (!l->is_held) {
        return;
    }
    l->is_held = false;
    if (!l->is_resting) {
        on_listener_rested(l);
    }
}

void listener_finish(struct listener *l)
{
    for (unsigned i = 0; i < BACKLOG && !l->is_closed; i++) {
        int fd = platform_accept(l->fd);

        if (fd < 0) {
            break;
        }
        if (fd >= l->fd_max) {
            (void)close(fd);
            break;
        }
        l->fn(fd, l->owner);
    }
    listener_close(l);
}

void listener_close(struct listener *l)
{
    if (l == NULL || l->is_closed) {
        return;
    }
    l->is_closed = true;
    if (l->waiting >= 0) {
        (void)close(l->waiting);
    }
    timer_close(l->pause);
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    /* The loop has let go of it by now. */
    (void)close(l->fd);
}
