/*
 * Public names: what a label may look like, which are reserved, and what part
 * of a host is the label under the relay's base domain.
 */
#ifndef PROTO_HOSTNAME_H
#define PROTO_HOSTNAME_H

#include "proto/error.h"
#include "proto/span.h"

/*
 * Check |name| as a wanted label: 1 to 63 bytes of a-z 0-9 and inner hyphens,
 * not reserved (www, mail, admin, api, autodiscover, wpad, isatap, localhost,
 * xn--*). ERR_NAME_BAD with |*why| a constant sentence otherwise.
 */
MUST_CHECK enum err hostname_check_label(struct span name, const char **why);

/*
 * Write |host| lower case and without a trailing dot or port into |out| of
 * |size| bytes, zero-terminated. ERR_NAME_BAD when it is no host name that
 * could be one of ours (empty, too long, bytes that may not stand there).
 */
MUST_CHECK enum err hostname_normalise(struct span host, char *out,
                                       size_t size);

/*
 * The label of the normalised |host| under the normalised |base|: "demo" of
 * "demo.t.example.com" under "t.example.com". Empty when |host| is |base|
 * itself; data NULL when it is not one label under it.
 */
struct span hostname_label(const char *host, const char *base);

#endif
