/*
 * The live table: which session serves a name now. What belongs to whom for
 * ever is the store's; this forgets everything when the relay ends. Hashed
 * under a random key, so that nobody can choose names that collide.
 */
#ifndef RELAY_NAMES_H
#define RELAY_NAMES_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/span.h"

struct names;

/* Who serves a name: |session| is the worker's, opaque here. */
struct names_holder {
    void *session; /* NULL: nobody */
    uint16_t tunnel;
};

/* NULL without memory. */
struct names *names_new(void);
void names_free(struct names *n);

/*
 * From now on |holder| serves |label|; |*before| is who did (session NULL
 * when nobody), so that the caller tells the loser. ERR_NOMEM changes nothing.
 */
MUST_CHECK enum err names_claim(struct names *n, const char *label,
                                struct names_holder holder,
                                struct names_holder *before);

/* |label| is served by nobody, if |session| serves it now; else no change. */
void names_drop(struct names *n, const char *label, const void *session);

/* Who serves |label| (lower case); false when nobody does. */
bool names_find(const struct names *n, struct span label,
                struct names_holder *out);

/* How many names are served now. */
size_t names_count(const struct names *n);

#endif
