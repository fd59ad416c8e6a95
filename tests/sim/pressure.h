/*
 * Who goes when a receive pool is short of room, and what is promised then:
 * downloads that nobody consumes, with the wire and the pool counted here once
 * more.
 */
#ifndef TESTS_SIM_PRESSURE_H
#define TESTS_SIM_PRESSURE_H

/* Play it; watcher_fail() when a pool is kept otherwise. */
void pressure_check(void);

#endif
