/*
 * Memory that runs out on purpose. The linker sends malloc, calloc and realloc
 * of our code here (--wrap); they work as always till told to fail.
 */
#ifndef TESTS_SUPPORT_FAIL_ALLOC_H
#define TESTS_SUPPORT_FAIL_ALLOC_H

#include <stdbool.h>

/* The |count|th allocation from now fails (1: the next), only that one. */
void fail_alloc_after(unsigned long count);

/* None fails any more; whether one has failed since the last call above. */
bool fail_alloc_stop(void);

#endif
