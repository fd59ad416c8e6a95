/*
 * Reads a ClientHello without answering it: the server name and the ALPN
 * offer, to choose certificate, worker and protocol before TLS starts. Pure:
 * bytes in, facts out (RFC 8446 section 4.1.2, RFC 6066, RFC 7301).
 */
#ifndef COMMON_TLS_HELLO_H
#define COMMON_TLS_HELLO_H

#include "proto/error.h"
#include "proto/span.h"

enum tls_hello_state {
    TLS_HELLO_MORE,  /* not whole yet: read on */
    TLS_HELLO_WHOLE, /* |hello| is filled in */
    TLS_HELLO_BAD    /* no ClientHello, or over HELLO_MAX */
};

struct tls_hello {
    char server_name[256]; /* lower case, empty when there was none */
    bool offers_link;      /* ALPN holds LINK_ALPN */
    bool offers_other;     /* ALPN holds something else */
};

/* |in| is everything received so far; the hello may span TLS records. */
enum tls_hello_state tls_hello_read(struct span in, struct tls_hello *hello);

#endif
