/*
 * Where a tunnel leads: PORT, HOST:PORT or URL as the user wrote it, made
 * into host, port and scheme. Only the client ever knows this.
 */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include <stdbool.h>

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/span.h"

#define TARGET_HOST_MAX 254u
#define TARGET_TEXT_MAX 280u

struct target {
    bool is_tls;
    uint16_t port;
    char host[TARGET_HOST_MAX]; /* name or address, no brackets */
    char text[TARGET_TEXT_MAX]; /* canonical: "http://localhost:8080" */
};

/*
 * Parse |text|. ERR_SETTINGS with a constant sentence in |*why| when it is no
 * target: a path is refused, for a tunnel shares a whole service.
 */
MUST_CHECK enum err target_parse(const char *text, struct target *t,
                                 const char **why);

/* "localhost:8080": what Host says when it is to be the target's own. */
void target_authority(const struct target *t, char *out, size_t size);

#endif
