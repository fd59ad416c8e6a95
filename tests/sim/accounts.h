/*
 * The books of both ends, kept a second time: what the pools are charged, where
 * the sent logs stand, and whose credit is where.
 */
#ifndef TESTS_SIM_ACCOUNTS_H
#define TESTS_SIM_ACCOUNTS_H

#include "tests/support/pair.h"

/* The sent logs of |slot| at both ends, and what the other end has of them. */
void accounts_check_logs(const struct pair *p, unsigned slot);

/* Every chunk and every byte held, counted again. */
void accounts_check(const struct pair *p);

/* Everything is delivered: no credit may be lost or doubled, and no stream may
 * be forgotten. */
void accounts_check_credit(const struct pair *p);

/* Nothing lives any more: nothing is left over. */
void accounts_check_end(const struct pair *p);

#endif
