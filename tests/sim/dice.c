/* splitmix64, as its authors describe it. */
#include "tests/sim/dice.h"

void dice_init(struct dice *d, uint64_t seed)
{
    d->state = seed * 0x9e3779b97f4a7c15u + 1;
}

static uint64_t next(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

size_t dice_roll(struct dice *d, size_t sides)
{
    return (size_t)(next(d) % sides);
}

bool dice_chance(struct dice *d, unsigned percent)
{
    return dice_roll(d, 100) < percent;
}

size_t dice_size(struct dice *d, size_t max)
{
    size_t limit = max;

    for (size_t i = dice_roll(d, 10); i > 0 && limit > 1; i--) {
        limit /= 3;
    }
    return dice_roll(d, limit + 1);
}
