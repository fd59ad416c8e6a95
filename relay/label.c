/*
 * Random public names, see label.h. The words are for people; the letters make
 * a name that nobody guesses: 32 to the 8th times the words squared.
 */
#include "relay/label.h"

#include <stdio.h>

#include "common/keys.h"

/* clang-format off */
static const char *const words[] = {
#include "relay/words.inc"
};
/* clang-format on */

#define LABEL_WORDS (sizeof(words) / sizeof(words[0]))
#define LABEL_LETTERS 8u
#define LABEL_WORD_MAX 8u

/* Crockford's base32: no i, l, o, u, so nothing is read for another. */
static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";

_Static_assert(LABEL_WORDS >= 1024, "two words are 20 bits");
_Static_assert(sizeof(letters) - 1 == 32, "8 letters are 40 bits");
_Static_assert(2 * (LABEL_WORD_MAX + 1) + LABEL_LETTERS <= NAME_MAX_LEN,
               "every name fits a label");

void label_random(char out[NAME_MAX_LEN + 1])
{
    char tail[LABEL_LETTERS + 1] = "";
    int len;

    for (unsigned i = 0; i < LABEL_LETTERS; i++) {
        tail[i] = letters[keys_random_below(32)];
    }
    len = snprintf(out, NAME_MAX_LEN + 1, "%.*s-%.*s-%s", LABEL_WORD_MAX,
                   words[keys_random_below(LABEL_WORDS)], LABEL_WORD_MAX,
                   words[keys_random_below(LABEL_WORDS)], tail);
    assert(len > 0 && len <= (int)NAME_MAX_LEN);
}
