/*
 * Closing the process in, once it holds what it needs: no debugger and no core
 * file, no new program, only the system calls of a network program, only the
 * folders and the ports of its plan. Somebody who takes the process over gets
 * what it could reach anyway, and nothing else of the machine.
 *
 * What the system lacks is left out, and the log says what there is. Builds
 * with a sanitizer keep debugger and system calls: their runtime needs both.
 */
#ifndef COMMON_SANDBOX_H
#define COMMON_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/folders.h"

#define SANDBOX_FOLDERS_MAX 48u
#define SANDBOX_PORTS_MAX 64u

struct sandbox_folder {
    char path[FOLDERS_PATH_MAX];
    bool is_writable;
};

/* What stays within reach. All zero: nothing. */
struct sandbox_plan {
    struct sandbox_folder folders[SANDBOX_FOLDERS_MAX];
    size_t folder_count;
    uint16_t ports[SANDBOX_PORTS_MAX];
    size_t port_count;
};

/*
 * |path| and what is below it may be read. A path that is not there when the
 * process is closed in is left out. Beyond SANDBOX_FOLDERS_MAX the plan does
 * not grow, and the log says so.
 */
void sandbox_allow_read(struct sandbox_plan *p, const char *path);

/* Also files and folders in |path| may be made, written and removed. */
void sandbox_allow_write(struct sandbox_plan *p, const char *path);

/* What the C library reads while the process runs, to resolve names and tell
 * the time. */
void sandbox_allow_system(struct sandbox_plan *p);

/*
 * TCP connections to |port|, in host byte order, of whatever address: Landlock
 * knows no addresses. Past SANDBOX_PORTS_MAX as sandbox_allow_read().
 */
void sandbox_allow_connect(struct sandbox_plan *p, uint16_t port);

/*
 * Close the process in, for good: before its second thread, after it opened
 * its listeners. Logs what holds, and a warning for each part that the system
 * has and refused.
 */
void sandbox_enter(const struct sandbox_plan *p);

#endif
