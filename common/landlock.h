/*
 * Landlock (landlock(7)): which files and TCP ports the process may still
 * reach. Knows the kernel's interface; what is allowed is the plan's matter.
 */
#ifndef COMMON_LANDLOCK_H
#define COMMON_LANDLOCK_H

#include "common/sandbox.h"

/*
 * Restrict the calling thread, and what it starts, to |p|. |*version| gets the
 * kernel's Landlock version: 0 it has none and nothing was done; from 4 on
 * ports are held, from 6 on signals to other processes too. Returns 0, or the
 * errno of what failed: then nothing is restricted.
 */
int landlock_close_in(const struct sandbox_plan *p, int *version);

#endif
