/*
 * Looks at the local service once it listens: is anything there, and does it
 * let in everybody who has the address? Open WebUI says so in /api/config.
 */
#ifndef CLIENT_PROBE_H
#define CLIENT_PROBE_H

#include "client/target.h"
#include "common/conn.h"

struct probe;

enum probe_finding {
    PROBE_NOTHING_LISTENS, /* told once, with |why|; it goes on trying */
    PROBE_LISTENS,         /* told once, only after PROBE_NOTHING_LISTENS */
    PROBE_NO_LOGIN         /* the service asks nobody for a login */
};

struct probe_options {
    const struct target *target;
    struct tls_context *tls; /* for https targets */
    void (*on_finding)(void *owner, enum probe_finding finding,
                       const char *why);
    void *owner;
};

/* NULL without memory. Begins at once, ends by itself once it has looked. */
struct probe *probe_new(struct loop *l, const struct probe_options *o);

/* No call follows. NULL is fine. */
void probe_free(struct probe *p);

#endif
