/*
 * Just after a restart: names that are known, and whose clients have not come
 * back yet. Who asks for one waits a moment, before its handshake, instead of
 * hearing that nobody is there. Only with sockets that were passed to us, as by
 * systemd: then another relay served these names until now.
 */
#ifndef RELAY_RETURNING_H
#define RELAY_RETURNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/error.h"

struct names;
struct worker;

/* Embedded in a worker; zero: nobody is expected. */
struct returning {
    uint64_t until_us;
    struct names *back; /* names that somebody has served since the start */
};

/* Clients are expected from now on, for RETURNING_US. ERR_NOMEM. */
MUST_CHECK enum err returning_begin(struct worker *w);
void returning_deinit(struct worker *w);

/* Whether the client of the public name |host| is expected back. */
bool returning_expects(const struct worker *w, const char *host);

/* |label| is served: who waited for it is let in. */
void returning_came(struct worker *w, const char *label);

#endif
