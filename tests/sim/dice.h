/* Random numbers from a seed, the same on every machine. */
#ifndef TESTS_SIM_DICE_H
#define TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

void dice_init(struct dice *d, uint64_t seed);

/* A number from 0 to |sides| - 1. */
size_t dice_roll(struct dice *d, size_t sides);

/* True in |percent| of a hundred cases. */
bool dice_chance(struct dice *d, unsigned percent);

/* A size up to |max|, small ones as likely as large ones. */
size_t dice_size(struct dice *d, size_t max);

#endif
