/* What tls_context and tls know of each other, and nobody else. */
#ifndef COMMON_TLS_CONTEXT_PRIVATE_H
#define COMMON_TLS_CONTEXT_PRIVATE_H

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "common/tls_context.h"

enum tls_role { TLS_VISITORS, TLS_LINK_SERVER, TLS_LINK_CLIENT, TLS_TARGET };

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *bio; /* tls's own, in every connection of this context */
    enum tls_role role;
    enum tls_verify verify;
    unsigned users; /* the owner's one and a connection's each */
};

/* A connection keeps |c|, and lets it go with tls_context_free(). */
struct tls_context *tls_context_keep(struct tls_context *c);

/* tls's BIO: reads from lent input, appends to lent output. NULL without
 * memory. */
BIO_METHOD *tls_bio_method_new(void);

#endif
