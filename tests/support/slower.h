/*
 * Under valgrind everything takes far longer: tests that move a lot move less
 * then, and what guards against hanging waits longer.
 */
#ifndef TESTS_SUPPORT_SLOWER_H
#define TESTS_SUPPORT_SLOWER_H

#include <stdint.h>

/* How many times slower than usual: what TESTS_SLOWER says, else 1. */
unsigned slower_times(void);

/* |count| MiB in bytes, so many times less. */
uint64_t slower_mib(unsigned count);

#endif
