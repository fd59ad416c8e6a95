/*
 * The string a relay's operator hands out: relay address, relay public key and
 * the enrolment secret (an Ed25519 seed), in one line that survives pasting.
 */
#ifndef COMMON_INVITATION_H
#define COMMON_INVITATION_H

#include "common/keys.h"

#define INVITATION_TEXT_MAX 512u
#define INVITATION_HOST_MAX 254u

struct invitation {
    char host[INVITATION_HOST_MAX]; /* relay's host name or address */
    uint16_t port;
    uint8_t relay_key[KEY_LEN];
    uint8_t seed[KEY_SEED_LEN]; /* secret */
};

/* Write |i| as text, zero-terminated. */
void invitation_encode(const struct invitation *i, char *out, size_t size);

/* Read |text| (white space around it is fine). ERR_SETTINGS with |*why| when
 * it is no whole invitation: a checksum finds a piece lost in pasting. */
MUST_CHECK enum err invitation_decode(struct span text, struct invitation *i,
                                      const char **why);

#endif
