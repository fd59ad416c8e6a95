/*
 * How far a mistyped word is from one that exists, see near.h: the optimal
 * string alignment distance, over three rows of its table.
 */
#include "common/near.h"

#define NEAR_WORD_MAX 40u

static uint8_t near_letter(uint8_t c)
{
    return c == '_' ? '-' : c;
}

static unsigned near_least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned near_distance(struct span word, const char *known)
{
    unsigned rows[3][NEAR_WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    size_t known_len = strlen(known);

    if (word.len > NEAR_WORD_MAX || known_len > NEAR_WORD_MAX) {
        return NEAR_ENOUGH + 1;
    }
    for (unsigned k = 0; k <= known_len; k++) {
        above[k] = k;
        before[k] = k;
    }
    for (unsigned w = 1; w <= word.len; w++) {
        unsigned *spare = before;

        row[0] = w;
        for (unsigned k = 1; k <= known_len; k++) {
            uint8_t a = near_letter(word.data[w - 1]);
            uint8_t b = near_letter((uint8_t)known[k - 1]);
            unsigned best = above[k - 1] + (a != b);

            best = near_least(best, near_least(above[k], row[k - 1]) + 1);
            if (w > 1 && k > 1 && a == near_letter((uint8_t)known[k - 2]) &&
                b == near_letter(word.data[w - 2])) {
                best = near_least(best, before[k - 2] + 1);
            }
            row[k] = best;
        }
        before = above;
        above = row;
        row = spare;
    }
    return near_least(above[known_len], NEAR_ENOUGH + 1);
}
