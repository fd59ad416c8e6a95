/*
 * What only some systems have, or each has in its own way. Options are best
 * effort: where the system lacks one, nothing happens, and the program works
 * without.
 */
#ifndef COMMON_PLATFORM_H
#define COMMON_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* Give up a connection whose sent bytes were not acknowledged for so long. */
void platform_user_timeout(int fd, uint64_t timeout_us);

/* Call the socket writable only while less than |bytes| wait unsent in the
 * kernel, so that what is urgent need not queue behind megabytes. */
void platform_unsent_low_mark(int fd, uint32_t bytes);

/* Congestion control by name: "bbr", "cubic". */
void platform_congestion(int fd, const char *name);

/* Whether it is that one. */
bool platform_has_congestion(int fd, const char *name);

/* Let the process keep some MiB of freed memory: a burst of chunks would be
 * given back to the system, and be faulted in again, many times a second. */
void platform_keep_freed_memory(void);

/* Give all memory that is free back to the system. */
void platform_return_memory(void);

/* Probe an idle peer after |first_s|, then each |each_s|, |count| times. */
void platform_keep_alive(int fd, unsigned first_s, unsigned each_s,
                         unsigned count);

/* A TCP socket of |family|, and one that waits on |listening|: not blocking,
 * closed by exec. -1 with errno. */
int platform_socket(int family);
int platform_accept(int listening);

/* A socket that becomes readable when a link, address or route of this machine
 * changes, and taking what it said. -1: unknown here. */
int platform_watch_network(void);
void platform_drain_network(int fd);

/* Which address of ours would be used towards |to| now; family 0: none. */
void platform_source(const struct sockaddr_storage *to,
                     struct sockaddr_storage *from);

/* Monotonic microseconds that go on while the machine sleeps. */
uint64_t platform_boot_us(void);

/* Let the process have as many descriptors as the system allows it. */
void platform_raise_descriptors(void);

/* How many it may have; 0: not known. */
uint64_t platform_descriptors(void);

/*
 * How long this thread has waited for a core while it could have run: a file
 * to read it from (-1: unknown here) and the time so far, 0 if unknown.
 */
int platform_open_waited(void);
uint64_t platform_waited_us(int fd);

#endif
