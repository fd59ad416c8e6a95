/*
 * Certificates, ALPN and verification policy: BoringSSL contexts for the four
 * roles a TLS connection of ours can have.
 */
#ifndef COMMON_TLS_CONTEXT_H
#define COMMON_TLS_CONTEXT_H

#include "proto/error.h"
#include "proto/span.h"

#define LINK_ALPN "sallyport/1"

struct tls_context;

/*
 * Visitors' side: TLS 1.2 and 1.3, ALPN http/1.1, X25519MLKEM768 first, with
 * the certificate chain and key in PEM. ERR_FILE with |*why| when they are not
 * a usable pair.
 */
MUST_CHECK enum err tls_context_visitors(struct span chain_pem,
                                         struct span key_pem,
                                         struct tls_context **out,
                                         const char **why);

/* Links, relay's side: TLS 1.3 only, ALPN exactly LINK_ALPN, a throw-away
 * self-signed certificate (the login proves the relay, not this). */
MUST_CHECK enum err tls_context_link_server(struct tls_context **out);

/* Links, client's side: TLS 1.3 only, ALPN exactly LINK_ALPN, and the
 * certificate deliberately not verified: the relay's pinned key is, by the
 * login over this connection's exporter. */
MUST_CHECK enum err tls_context_link_client(struct tls_context **out);

/*
 * Local https targets: TLS 1.2 up, ALPN http/1.1, verified against |ca_file|
 * (PEM; NULL: the system's), or not at all when |insecure|.
 */
enum tls_verify { TLS_VERIFY, TLS_VERIFY_NOT };
MUST_CHECK enum err tls_context_target(const char *ca_file,
                                       enum tls_verify verify,
                                       struct tls_context **out,
                                       const char **why);

/* Connections made from it live on. NULL is fine. */
/* Connections keep what they need: freed while they live, the context goes with
 * the last of them. NULL is fine. */
void tls_context_free(struct tls_context *c);

#endif
