/*
 * Sockets and their options, memory and limits, and what is known of a thread,
 * by the names Linux gives them.
 */
#include "common/platform.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <linux/rtnetlink.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/limits.h"

#define FREED_KEPT (4u * MIB)
#define SCHEDSTAT_MAX 80u
#define CONGESTION_MAX 32u
#define NS_PER_US 1000u
#define NETWORK_MESSAGE_MAX 4096u

static void option_set(int fd, int level, int name, unsigned value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void platform_user_timeout(int fd, uint64_t timeout_us)
{
#ifdef TCP_USER_TIMEOUT
    option_set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
               (unsigned)(timeout_us / US_PER_MS));
#else
    (void)fd;
    (void)timeout_us;
#endif
}

void platform_unsent_low_mark(int fd, uint32_t bytes)
{
#ifdef TCP_NOTSENT_LOWAT
    option_set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
#else
    (void)fd;
    (void)bytes;
#endif
}

void platform_congestion(int fd, const char *name)
{
#ifdef TCP_CONGESTION
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name,
                     (socklen_t)strlen(name));
#else
    (void)fd;
    (void)name;
#endif
}

bool platform_has_congestion(int fd, const char *name)
{
#ifdef TCP_CONGESTION
    char has[CONGESTION_MAX] = "";
    socklen_t len = sizeof(has) - 1;

    return getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, has, &len) == 0 &&
           strcmp(has, name) == 0;
#else
    (void)fd;
    (void)name;
    return false;
#endif
}

void platform_keep_freed_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_TRIM_THRESHOLD, (int)FREED_KEPT);
#endif
}

void platform_return_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}

void platform_keep_alive(int fd, unsigned first_s, unsigned each_s,
                         unsigned count)
{
    option_set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#ifdef TCP_KEEPIDLE
    option_set(fd, IPPROTO_TCP, TCP_KEEPIDLE, first_s);
#endif
#ifdef TCP_KEEPINTVL
    option_set(fd, IPPROTO_TCP, TCP_KEEPINTVL, each_s);
    option_set(fd, IPPROTO_TCP, TCP_KEEPCNT, count);
#endif
    (void)first_s;
    (void)each_s;
    (void)count;
}

#ifndef SOCK_NONBLOCK
/* |fd| as SOCK_NONBLOCK and SOCK_CLOEXEC would have made it. */
static int set_up(int fd)
{
    int error;

    if (fd < 0 || (fcntl(fd, F_SETFL, O_NONBLOCK) == 0 &&
                   fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)) {
        return fd;
    }
    error = errno;
    (void)close(fd);
    errno = error;
    return -1;
}
#endif

int platform_socket(int family)
{
#ifdef SOCK_NONBLOCK
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    return set_up(socket(family, SOCK_STREAM, 0));
#endif
}

int platform_accept(int listening)
{
#ifdef SOCK_NONBLOCK
    return accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
    return set_up(accept(listening, NULL, NULL));
#endif
}

void platform_raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint64_t platform_descriptors(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

int platform_open_waited(void)
{
#ifdef __linux__
    return open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
#else
    return -1;
#endif
}

uint64_t platform_waited_us(int fd)
{
    char text[SCHEDSTAT_MAX];
    ssize_t len = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
    char *second;

    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    /* Nanoseconds on a core, nanoseconds of waiting for one, turns. */
    second = strchr(text, ' ');
    return second != NULL ? strtoull(second, NULL, 10) / NS_PER_US : 0;
}

int platform_watch_network(void)
{
#ifdef RTMGRP_LINK
    struct sockaddr_nl at = { .nl_family = AF_NETLINK,
                              .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
                                           RTMGRP_IPV4_ROUTE |
                                           RTMGRP_IPV6_IFADDR |
                                           RTMGRP_IPV6_ROUTE };
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
#else
    return -1;
#endif
}

void platform_drain_network(int fd)
{
    uint8_t message[NETWORK_MESSAGE_MAX];

    /* What it says is not read: that it says something is enough. ENOBUFS:
     * some was lost, more is there. */
    while (recv(fd, message, sizeof(message), 0) >= 0 || errno == ENOBUFS ||
           errno == EINTR) {
    }
}

void platform_source(const struct sockaddr_storage *to,
                     struct sockaddr_storage *from)
{
    socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    socklen_t from_len = sizeof(*from);
    int fd = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memset(from, 0, sizeof(*from));
    /* Connecting a datagram socket sends nothing. */
    if (fd < 0 || connect(fd, (const struct sockaddr *)to, len) != 0 ||
        getsockname(fd, (struct sockaddr *)from, &from_len) != 0) {
        memset(from, 0, sizeof(*from));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

uint64_t platform_boot_us(void)
{
    struct timespec at = { 0 };

#ifdef CLOCK_BOOTTIME
    (void)clock_gettime(CLOCK_BOOTTIME, &at);
#else
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
#endif
    return (uint64_t)at.tv_sec * US_PER_S + (uint64_t)at.tv_nsec / NS_PER_US;
}
