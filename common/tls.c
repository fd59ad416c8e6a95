/*
 * One TLS connection without a socket. Our BIO never says "try again" when
 * writing: callers see to the room before, so that a record is written whole
 * or not at all, and the retry rules of SSL_write() never apply.
 */
#include "common/tls.h"

#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/sha2.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/tls_context_private.h"

#define WHY_MAX 256u
#define ISSUER_MAX 96u
#define SERVER_NAME_MAX 253u

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct span *in;
    struct wire_writer *out;
    const char *why;
    char *why_text; /* made when something failed */
};

static int bio_write(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct tls *t = BIO_get_data(bio);
    struct wire_writer *out = t->out;

    BIO_clear_retry_flags(bio);
    if (out == NULL || out->data == NULL || out->capacity - out->len < len) {
        return 0;
    }
    span_copy(out->data + out->len, span_of(data, len));
    out->len += len;
    *written = len;
    return 1;
}

static int bio_read(BIO *bio, char *data, int size)
{
    struct tls *t = BIO_get_data(bio);
    size_t len = (size_t)size;

    BIO_clear_retry_flags(bio);
    if (t->in == NULL || t->in->len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (len > t->in->len) {
        len = t->in->len;
    }
    span_copy((uint8_t *)data, span_of(t->in->data, len));
    *t->in = span_after(*t->in, len);
    return (int)len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(0, NULL);

    if (method != NULL && (!BIO_meth_set_write_ex(method, bio_write) ||
                           !BIO_meth_set_read(method, bio_read) ||
                           !BIO_meth_set_ctrl(method, bio_ctrl))) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

static struct tls *tls_new(struct tls_context *c)
{
    struct tls *t = calloc(1, sizeof(*t));
    BIO *bio;

    if (t == NULL) {
        return NULL;
    }
    t->why = "";
    t->context = tls_context_keep(c);
    t->ssl = SSL_new(c->ssl);
    bio = BIO_new(c->bio);
    if (t->ssl == NULL || bio == NULL) {
        BIO_free(bio);
        tls_free(t);
        return NULL;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    /* A third of an idle connection's memory is what the handshake needed. */
    SSL_set_shed_handshake_config(t->ssl, 1);
    return t;
}

struct tls *tls_new_server(struct tls_context *c, struct span session_context)
{
    struct tls *t = tls_new(c);
    uint8_t id[SHA256_DIGEST_LENGTH];

    if (t == NULL) {
        return NULL;
    }
    /* A ticket of one role or name is worth nothing for another. */
    SHA256(session_context.data, session_context.len, id);
    if (!SSL_set_session_id_context(t->ssl, id, sizeof(id))) {
        tls_free(t);
        return NULL;
    }
    SSL_set_accept_state(t->ssl);
    return t;
}

/* The name or address that the peer's certificate must be for. */
static bool expect_host(SSL *ssl, const char *host, bool is_address)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (is_address) {
        return X509_VERIFY_PARAM_set1_ip_asc(param, host);
    }
    /* The length is given: 0 would not mean strlen() here. */
    return X509_VERIFY_PARAM_set1_host(param, host, strlen(host));
}

struct tls *tls_new_client(struct tls_context *c, const char *host)
{
    struct tls *t = tls_new(c);
    struct sockaddr_storage numeric;
    bool is_address;

    if (t == NULL) {
        return NULL;
    }
    SSL_set_connect_state(t->ssl);
    if (host == NULL) {
        return t;
    }
    is_address = address_from_host(host, 0, &numeric);
    /* RFC 6066: an address is no server name. */
    if ((!is_address && strlen(host) <= SERVER_NAME_MAX &&
         !SSL_set_tlsext_host_name(t->ssl, host)) ||
        (c->verify == TLS_VERIFY && !expect_host(t->ssl, host, is_address))) {
        tls_free(t);
        return NULL;
    }
    return t;
}

void tls_free(struct tls *t)
{
    if (t == NULL) {
        return;
    }
    SSL_free(t->ssl);
    tls_context_free(t->context);
    free(t->why_text);
    free(t);
}

void tls_lend_input(struct tls *t, struct span *in)
{
    t->in = in;
}

void tls_lend_output(struct tls *t, struct wire_writer *out)
{
    t->out = out;
}

/* Remember "|what|: |detail|". */
static void tls_failed(struct tls *t, const char *what, const char *detail)
{
    if (t->why_text == NULL) {
        t->why_text = malloc(WHY_MAX);
    }
    if (t->why_text == NULL) {
        t->why = what;
        return;
    }
    snprintf(t->why_text, WHY_MAX, "%s: %s", what, detail);
    t->why = t->why_text;
}

static void explain(struct tls *t, int code)
{
    uint32_t error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);
    long verify = SSL_get_verify_result(t->ssl);

    if (t->context->verify == TLS_VERIFY && verify != X509_V_OK) {
        tls_failed(t, "the certificate is not trusted",
                   X509_verify_cert_error_string(verify));
    } else if (ERR_GET_LIB(error) == ERR_LIB_SSL &&
               ERR_GET_REASON(error) == SSL_R_WRONG_VERSION_NUMBER) {
        t->why = "what answers there speaks no TLS";
    } else if (code == SSL_ERROR_SSL && reason != NULL) {
        tls_failed(t, "TLS failed", reason);
    } else {
        t->why = "TLS failed";
    }
    ERR_clear_error();
}

/* What the non-positive |result| of an SSL_ call means. BoringSSL's calls empty
 * the error queue first, explain() empties it after. */
static enum tls_status status_of(struct tls *t, int result)
{
    int code = SSL_get_error(t->ssl, result);

    if (code == SSL_ERROR_WANT_READ) {
        return TLS_WANT_INPUT;
    }
    if (code == SSL_ERROR_ZERO_RETURN) {
        return TLS_CLOSED;
    }
    explain(t, code);
    return TLS_FAILED;
}

/* A link is one by ALPN alone; anything else is no peer of ours. */
static enum tls_status check_alpn(struct tls *t)
{
    char issuer[ISSUER_MAX];

    if (t->context->role != TLS_LINK_CLIENT &&
        t->context->role != TLS_LINK_SERVER) {
        return TLS_OK;
    }
    if (span_equal(tls_alpn(t), span_text(LINK_ALPN))) {
        return TLS_OK;
    }
    if (t->context->role == TLS_LINK_SERVER) {
        t->why = "the peer does not offer " LINK_ALPN;
        return TLS_FAILED;
    }
    tls_peer_issuer(t, issuer, sizeof(issuer));
    tls_failed(t,
               "no Sallyport relay, or something between ends the TLS (an "
               "intercepting proxy); its certificate comes from",
               issuer);
    return TLS_FAILED;
}

enum tls_status tls_handshake(struct tls *t)
{
    int result;

    result = SSL_do_handshake(t->ssl);
    return result == 1 ? check_alpn(t) : status_of(t, result);
}

enum tls_status tls_read(struct tls *t, uint8_t *out, size_t size, size_t *len)
{
    int result;

    assert(size > 0 && size <= INT32_MAX);
    *len = 0;
    result = SSL_read(t->ssl, out, (int)size);
    if (result <= 0) {
        return status_of(t, result);
    }
    *len = (size_t)result;
    return TLS_OK;
}

enum tls_status tls_write(struct tls *t, struct span plain)
{
    int result;

    assert(plain.len > 0 && plain.len <= TLS_RECORD_MAX);
    assert(t->out != NULL &&
           t->out->capacity - t->out->len >= TLS_OUT_ROOM(plain.len));
    result = SSL_write(t->ssl, plain.data, (int)plain.len);
    if (result <= 0) {
        /* There was room, so this is no wait but the end. */
        explain(t, SSL_get_error(t->ssl, result));
        return TLS_FAILED;
    }
    assert((size_t)result == plain.len);
    return TLS_OK;
}

void tls_close(struct tls *t)
{
    /* In the handshake there is nothing to close yet; BoringSSL refuses. */
    if (!SSL_in_init(t->ssl)) {
        SSL_shutdown(t->ssl);
    }
    ERR_clear_error();
}

enum err tls_exporter(struct tls *t, uint8_t out[EXPORTER_LEN])
{
    /* RFC 9266: this label, and a context of no bytes. */
    static const char label[] = "EXPORTER-Channel-Binding";

    if (!SSL_export_keying_material(t->ssl, out, EXPORTER_LEN, label,
                                    sizeof(label) - 1, NULL, 0, 0)) {
        ERR_clear_error();
        return ERR_TLS;
    }
    return ERR_OK;
}

struct span tls_alpn(const struct tls *t)
{
    const uint8_t *name;
    unsigned len;

    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return span_of(name, len);
}

void tls_peer_issuer(const struct tls *t, char *out, size_t size)
{
    X509 *cert = SSL_get_peer_certificate(t->ssl);
    X509_NAME *issuer = cert != NULL ? X509_get_issuer_name(cert) : NULL;

    assert(size > 0);
    out[0] = '\0';
    /* An organisation says more than a common name. */
    if (issuer != NULL &&
        X509_NAME_get_text_by_NID(issuer, NID_organizationName, out,
                                  (int)size) <= 0) {
        X509_NAME_get_text_by_NID(issuer, NID_commonName, out, (int)size);
    }
    X509_free(cert);
    /* A stranger's text: nothing in it may steer a terminal. */
    for (char *c = out; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            *c = '?';
        }
    }
}

const char *tls_why(const struct tls *t)
{
    return t->why;
}
