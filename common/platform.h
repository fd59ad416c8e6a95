/*
 * What only some systems have. Everything here is best effort: where the
 * system lacks it, nothing happens, and the program works without.
 */
#ifndef COMMON_PLATFORM_H
#define COMMON_PLATFORM_H

#include <stdint.h>

/* Give up a connection whose sent bytes were not acknowledged for so long. */
void platform_user_timeout(int fd, uint64_t timeout_us);

/* Call the socket writable only while less than |bytes| wait unsent in the
 * kernel, so that what is urgent need not queue behind megabytes. */
void platform_unsent_low_mark(int fd, uint32_t bytes);

/* Congestion control by name: "bbr", "cubic". */
void platform_congestion(int fd, const char *name);

/* Let the process keep some MiB of freed memory: a burst of chunks would be
 * given back to the system, and be faulted in again, many times a second. */
void platform_keep_freed_memory(void);

/* Probe an idle peer after |first_s|, then each |each_s|, |count| times. */
void platform_keep_alive(int fd, unsigned first_s, unsigned each_s,
                         unsigned count);

#endif
