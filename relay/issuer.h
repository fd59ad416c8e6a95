/*
 * Makes certificates: a CA that can speak for one base domain only, and the
 * wildcard certificate under it. In memory; files are local_ca's.
 */
#ifndef RELAY_ISSUER_H
#define RELAY_ISSUER_H

#include <openssl/base.h>

#include "proto/error.h"

#define ISSUER_CA_DAYS 3650
#define ISSUER_LEAF_DAYS 397 /* the most that browsers take is 398 */

/* A certificate and its private key; both NULL when empty. */
struct issuer_pair {
    X509 *cert;
    EVP_PKEY *key;
};

/*
 * A new CA for |base| (normalised): ECDSA P-256, pathLen 0, by a critical
 * constraint for names under |base| alone and for no address. ERR_TLS.
 */
MUST_CHECK enum err issuer_make_ca(const char *base, int64_t now_s,
                                   struct issuer_pair *out);

/* A new certificate for |base| and *.|base|, signed by |ca|. ERR_TLS. */
MUST_CHECK enum err issuer_make_leaf(const struct issuer_pair *ca,
                                     const char *base, int64_t now_s,
                                     struct issuer_pair *out);

/* Whether |ca| is a CA for just |base|, its key fits, and it has not ended. */
bool issuer_ca_holds(const struct issuer_pair *ca, const char *base,
                     int64_t now_s);

/* Whether its time has begun, by this machine's clock. */
bool issuer_has_begun(const struct issuer_pair *p, int64_t now_s);

/* Whether |leaf| is for |base|, from |ca|, its key fits, and over a third of
 * its time is left. */
bool issuer_leaf_holds(const struct issuer_pair *ca,
                       const struct issuer_pair *leaf, const char *base,
                       int64_t now_s);

/* Free both. Empty is fine. */
void issuer_pair_wipe(struct issuer_pair *p);

#endif
