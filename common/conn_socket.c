/*
 * The socket under a connection: its options and its two addresses.
 */
#include <uv.h>

#include "common/address.h"
#include "common/conn_private.h"
#include "common/platform.h"

/* What waits in the kernel for a peer that does not read is in nobody's pool,
 * and all connections of a machine share the memory it waits in: one batch is
 * enough for it to go on sending with. */
#define UNSENT_LOW_MARK WRITE_BATCH
#define LINK_UNSENT_LOW_MARK (128u * KIB)

void conn_socket_choose(const uv_tcp_t *tcp, const struct sockaddr *peer)
{
    struct sockaddr_storage to = { .ss_family = AF_UNSPEC };
    uv_os_fd_t fd;

    memcpy(&to, peer,
           peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                       : sizeof(struct sockaddr_in));
    if (address_is_loopback(&to) &&
        uv_fileno((const uv_handle_t *)tcp, &fd) == 0) {
        platform_congestion(fd, "cubic");
    }
}

void conn_socket_tune(struct conn *c)
{
    struct sockaddr_storage peer;
    uv_os_fd_t fd;

    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        platform_unsent_low_mark(fd, UNSENT_LOW_MARK);
    }
    /* Accepted ones too, for what they were given late. */
    conn_peer(c, &peer);
    conn_socket_choose(&c->tcp, (const struct sockaddr *)&peer);
}

void conn_peer(const struct conn *c, struct sockaddr_storage *out)
{
    int size = sizeof(*out);

    *out = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)out, &size) != 0) {
        out->ss_family = AF_UNSPEC;
    }
}

void conn_name(const struct conn *c, struct sockaddr_storage *out)
{
    int size = sizeof(*out);

    *out = (struct sockaddr_storage){ .ss_family = AF_UNSPEC };
    if (uv_tcp_getsockname(&c->tcp, (struct sockaddr *)out, &size) != 0) {
        out->ss_family = AF_UNSPEC;
    }
}

void conn_keep_alive(struct conn *c)
{
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        platform_keep_alive(fd, TCP_KEEPALIVE_FIRST_S, TCP_KEEPALIVE_EACH_S,
                            TCP_KEEPALIVE_COUNT);
    }
}

void conn_tune_link(struct conn *c)
{
    struct sockaddr_storage peer;
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0) {
        return;
    }
    platform_user_timeout(fd, TCP_USER_TIMEOUT_US);
    platform_unsent_low_mark(fd, LINK_UNSENT_LOW_MARK);
    conn_peer(c, &peer);
    if (!address_is_loopback(&peer)) {
        platform_congestion(fd, "bbr");
    }
}

void conn_renew_link(struct conn *c)
{
    uv_os_fd_t fd;

    if (uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0 &&
        platform_has_congestion(fd, "bbr")) {
        platform_congestion(fd, "cubic");
        platform_congestion(fd, "bbr");
    }
}
