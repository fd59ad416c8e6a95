/*
 * Freed memory goes back to the system when much of it lies unused: after a
 * crowd has left, not after every burst. What is in use the pools say.
 */
#ifndef COMMON_MEMORY_H
#define COMMON_MEMORY_H

#include "proto/limits.h"
#include "proto/pool.h"

/* How often to call memory_return(). */
#define MEMORY_LOOK_US (5 * US_PER_S)

/* Give back what is free if the use of |receive| and |sent| together has fallen
 * by much since it was given back last. */
void memory_return(struct pool *receive, struct pool *sent);

#endif
