/* A listening socket. What becomes of a connection is its owner's matter. */
#include "common/listener.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/log.h"
#include "common/platform.h"

#define BACKLOG 1024

struct listener {
    uv_tcp_t tcp;
    struct loop *loop;
    listener_fn *fn;
    void *owner;
    uint64_t told_us; /* when a failure was last logged */
};

#define TELL_EACH_US (10 * US_PER_S)

static void on_listener_waiting(uv_stream_t *stream, int status)
{
    struct listener *l = container_of(stream, struct listener, tcp);
    uint64_t now_us = loop_now(l->loop);

    if (status == 0) {
        l->fn(stream, l->owner);
        return;
    }
    /* Out of descriptors, mostly. libuv has closed the connection; the log
     * must not grow as fast as strangers knock. */
    if (l->told_us == 0 || now_us - l->told_us > TELL_EACH_US) {
        l->told_us = now_us;
        LOG(LOG_WARN, "accept-failed", log_text("why", uv_strerror(status)));
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    free(container_of(handle, struct listener, tcp));
}

/* Accepted sockets inherit it: see conn_socket_choose(). */
static void listener_choose(struct listener *l)
{
    struct sockaddr_storage own;
    uv_os_fd_t fd;

    listener_name(l, &own);
    if (address_is_loopback(&own) &&
        uv_fileno((uv_handle_t *)&l->tcp, &fd) == 0) {
        platform_congestion(fd, "cubic");
    }
}

enum err listener_open(struct loop *l, const struct sockaddr *at,
                       listener_fn *fn, void *owner, struct listener **out,
                       const char **why)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    int status;

    if (listener == NULL) {
        *why = error_text(ERR_NOMEM);
        return ERR_NOMEM;
    }
    listener->loop = l;
    listener->fn = fn;
    listener->owner = owner;
    status = uv_tcp_init(&l->uv, &listener->tcp);
    if (status != 0) {
        *why = uv_strerror(status);
        free(listener);
        return ERR_IO;
    }
    /* [::] without 0.0.0.0: who wants both names both. */
    status = uv_tcp_bind(&listener->tcp, at,
                         at->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);
    if (status == 0) {
        listener_choose(listener);
        /* libuv has set SO_REUSEADDR; a taken port is told here. */
        status = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG,
                           on_listener_waiting);
    }
    if (status != 0) {
        *why = uv_strerror(status);
        listener_close(listener);
        return status == UV_EAFNOSUPPORT || status == UV_EADDRNOTAVAIL
                   ? ERR_ABSENT
                   : ERR_IO;
    }
    *out = listener;
    return ERR_OK;
}

void listener_name(const struct listener *l, struct sockaddr_storage *out)
{
    int size = sizeof(*out);

    memset(out, 0, sizeof(*out));
    if (uv_tcp_getsockname(&l->tcp, (struct sockaddr *)out, &size) != 0) {
        out->ss_family = AF_UNSPEC;
    }
}

void listener_close(struct listener *l)
{
    if (l == NULL) {
        return;
    }
    uv_close((uv_handle_t *)&l->tcp, on_listener_closed);
}
