/*
 * One TLS connection as bytes in, bytes out, without a socket: BoringSSL
 * behind our own BIO over buffers that the caller lends (speed.md: one write
 * and one read per batch of records).
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include "common/tls_context.h"
#include "proto/limits.h"
#include "proto/wire.h"

struct tls;

enum tls_status {
    TLS_OK,
    TLS_WANT_INPUT, /* nothing more without more cipher bytes */
    TLS_CLOSED,     /* close_notify came: a clean end */
    TLS_FAILED      /* tls_why() says how */
};

/* NULL without memory. |host| (client roles) is the SNI and, for targets, the
 * name to verify; NULL for servers. */
struct tls *tls_new_server(struct tls_context *c, struct span session_context);
struct tls *tls_new_client(struct tls_context *c, const char *host);
void tls_free(struct tls *t);

/*
 * Lend cipher input: |*in| shrinks as it is used by the calls below; must be
 * set again (or to NULL) before |*in| goes away. Lend the place for cipher
 * output likewise: records are appended to |out|. Before tls_write() it has
 * room for TLS_OUT_ROOM(plain) bytes, before tls_close() for TLS_OUT_SLACK, in
 * the handshake for what the certificate chain needs (TLS_FAILED if it has
 * not).
 */
void tls_lend_input(struct tls *t, struct span *in);
void tls_lend_output(struct tls *t, struct wire_writer *out);
#define TLS_OUT_SLACK (8u * KIB) /* tickets, key updates, alerts */
#define TLS_RECORD_OVERHEAD 64u  /* at most, of any version and cipher */
#define TLS_OUT_ROOM(plain) ((plain) + TLS_RECORD_OVERHEAD + TLS_OUT_SLACK)

/* Go on with the handshake. TLS_OK: it is done. */
enum tls_status tls_handshake(struct tls *t);

/* Decrypt into |out|: at most |size| bytes, |*len| of them (TLS_OK: > 0). */
enum tls_status tls_read(struct tls *t, uint8_t *out, size_t size, size_t *len);

/* Encrypt |plain| (1 to TLS_RECORD_MAX bytes: one record). Never partial. */
enum tls_status tls_write(struct tls *t, struct span plain);

/* Append our close_notify. */
void tls_close(struct tls *t);

/* RFC 9266 tls-exporter: EXPORTER_LEN bytes. */
MUST_CHECK enum err tls_exporter(struct tls *t, uint8_t out[EXPORTER_LEN]);

/* The agreed ALPN, empty when none. */
struct span tls_alpn(const struct tls *t);

/* Issuer of the peer's certificate for error texts, "" when unknown. */
void tls_peer_issuer(const struct tls *t, char *out, size_t size);

/* Constant or tls-owned sentence about the last TLS_FAILED. */
const char *tls_why(const struct tls *t);

#endif
