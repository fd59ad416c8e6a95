/* Options of sockets and of memory by the names Linux gives them. */
#include "common/platform.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/limits.h"

#define FREED_KEPT (4u * MIB)

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

void platform_keep_freed_memory(void)
{
#ifdef __GLIBC__
    (void)mallopt(M_TRIM_THRESHOLD, (int)FREED_KEPT);
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
