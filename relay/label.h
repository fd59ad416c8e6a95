/* Random public names: two short words and 8 base32 characters. */
#ifndef RELAY_LABEL_H
#define RELAY_LABEL_H

#include "proto/limits.h"

/* Such as "quiet-otter-k7m2x9qd": over 60 random bits. */
void label_random(char out[NAME_MAX_LEN + 1]);

#endif
