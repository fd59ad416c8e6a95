/* Certificates for tests, made on the spot. */
#ifndef TESTS_SUPPORT_CERTIFICATE_H
#define TESTS_SUPPORT_CERTIFICATE_H

#include "proto/span.h"

#define CERTIFICATE_PEM_MAX 4096u

struct certificate {
    char chain[CERTIFICATE_PEM_MAX]; /* PEM, zero-terminated */
    char key[CERTIFICATE_PEM_MAX];
};

/* A self-signed certificate for the DNS name |name| with a P-256 key. Ends
 * the test when it cannot. */
void certificate_make(const char *name, struct certificate *out);

#endif
