/*
 * How a window grows: with a consumer that keeps up a download over a long
 * link takes few round trips; with one that does not the window stays.
 */
#ifndef TESTS_SIM_GROWTH_H
#define TESTS_SIM_GROWTH_H

/* Play both; watcher_fail() when a window behaves otherwise. */
void growth_check(void);

#endif
