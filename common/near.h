/* How far a mistyped word is from one that exists, for "did you mean". */
#ifndef COMMON_NEAR_H
#define COMMON_NEAR_H

#include "proto/span.h"

#define NEAR_ENOUGH 2u /* worth suggesting */

/* Letters to add, drop, change or swap to make |word| into |known|; at most
 * NEAR_ENOUGH + 1 is told. '-' and '_' count as the same. */
unsigned near_distance(struct span word, const char *known);

#endif
