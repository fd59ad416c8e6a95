/*
 * The four ways we speak TLS. Everything that decides whom to trust and what
 * to accept stands in this file; tls.c only moves bytes.
 */
#include "common/tls_context.h"

#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "common/tls_context_private.h"
#include "proto/limits.h"

#define HTTP_ALPN "http/1.1"
#define CHAIN_CERTS_MAX 16u
#define THROW_AWAY_DAYS 3650

/* Post-quantum first: what current browsers take; P-256 for the oldest. */
static const uint16_t groups[] = { SSL_GROUP_X25519_MLKEM768, SSL_GROUP_X25519,
                                   SSL_GROUP_SECP256R1 };

/* TLS 1.2: forward secret and authenticated encryption, nothing else. */
static const char ciphers_12[] =
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-ECDSA-CHACHA20-POLY1305]:"
    "[ECDHE-RSA-AES128-GCM-SHA256|ECDHE-RSA-CHACHA20-POLY1305]:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

static struct tls_context *context_new(enum tls_role role, uint16_t version_min)
{
    struct tls_context *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->role = role;
    c->verify = TLS_VERIFY_NOT;
    c->users = 1;
    c->ssl = SSL_CTX_new(TLS_method());
    c->bio = tls_bio_method_new();
    if (c->ssl == NULL || c->bio == NULL ||
        !SSL_CTX_set_min_proto_version(c->ssl, version_min) ||
        !SSL_CTX_set_max_proto_version(c->ssl, TLS1_3_VERSION) ||
        !SSL_CTX_set_strict_cipher_list(c->ssl, ciphers_12) ||
        !SSL_CTX_set1_group_ids(c->ssl, groups,
                                sizeof(groups) / sizeof(groups[0]))) {
        tls_context_free(c);
        return NULL;
    }
    /* Resuming is by tickets alone, so that nothing is kept for a visitor. */
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_early_data_enabled(c->ssl, 0);
    return c;
}

struct tls_context *tls_context_keep(struct tls_context *c)
{
    c->users++;
    return c;
}

void tls_context_free(struct tls_context *c)
{
    if (c == NULL) {
        return;
    }
    assert(c->users > 0);
    c->users--;
    if (c->users > 0) {
        return;
    }
    SSL_CTX_free(c->ssl);
    if (c->bio != NULL) {
        BIO_meth_free(c->bio);
    }
    free(c);
}

/* Visitors: http/1.1 when it is offered, else no ALPN at all. */
static int choose_http(SSL *ssl, const uint8_t **out, uint8_t *out_len,
                       const uint8_t *in, unsigned in_len, void *arg)
{
    CBS list, name;

    (void)ssl;
    (void)arg;
    CBS_init(&list, in, in_len);
    while (CBS_get_u8_length_prefixed(&list, &name)) {
        if (CBS_mem_equal(&name, (const uint8_t *)HTTP_ALPN,
                          sizeof(HTTP_ALPN) - 1)) {
            *out = CBS_data(&name);
            *out_len = (uint8_t)CBS_len(&name);
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Links: the offer is exactly LINK_ALPN, nothing before or after it. */
static int choose_link(SSL *ssl, const uint8_t **out, uint8_t *out_len,
                       const uint8_t *in, unsigned in_len, void *arg)
{
    CBS list, name;

    (void)ssl;
    (void)arg;
    CBS_init(&list, in, in_len);
    if (!CBS_get_u8_length_prefixed(&list, &name) || CBS_len(&list) != 0 ||
        !CBS_mem_equal(&name, (const uint8_t *)LINK_ALPN,
                       sizeof(LINK_ALPN) - 1)) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = CBS_data(&name);
    *out_len = (uint8_t)CBS_len(&name);
    return SSL_TLSEXT_ERR_OK;
}

/* An encrypted key would make BoringSSL ask at the terminal: never. */
static int no_password(char *out, int size, int is_writing, void *arg)
{
    (void)out;
    (void)size;
    (void)is_writing;
    (void)arg;
    return 0;
}

static const char *use_chain(SSL_CTX *ssl, BIO *pem)
{
    unsigned count = 0;
    X509 *cert;

    while ((cert = PEM_read_bio_X509(pem, NULL, no_password, NULL)) != NULL) {
        int is_taken = count == 0 ? SSL_CTX_use_certificate(ssl, cert)
                                  : SSL_CTX_add1_chain_cert(ssl, cert);

        X509_free(cert);
        if (!is_taken || ++count > CHAIN_CERTS_MAX) {
            return "its certificate cannot be used";
        }
    }
    /* The end of the file is an error of its own kind; others are real. */
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
        return "a certificate in it is damaged";
    }
    return count == 0 ? "there is no PEM certificate in it" : NULL;
}

static const char *use_key(SSL_CTX *ssl, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
    const char *why = NULL;

    if (key == NULL) {
        return "there is no usable PEM private key in it (or it has a "
               "password)";
    }
    if (!SSL_CTX_use_PrivateKey(ssl, key) || !SSL_CTX_check_private_key(ssl)) {
        why = "the private key does not belong to the certificate";
    }
    EVP_PKEY_free(key);
    return why;
}

static const char *use_pair(SSL_CTX *ssl, struct span chain_pem,
                            struct span key_pem)
{
    BIO *chain = BIO_new_mem_buf(chain_pem.data, (ossl_ssize_t)chain_pem.len);
    BIO *key = BIO_new_mem_buf(key_pem.data, (ossl_ssize_t)key_pem.len);
    const char *why = error_text(ERR_NOMEM);

    ERR_clear_error();
    if (chain != NULL && key != NULL) {
        why = use_chain(ssl, chain);
    }
    if (why == NULL) {
        why = use_key(ssl, key);
    }
    BIO_free(chain);
    BIO_free(key);
    ERR_clear_error();
    return why;
}

enum err tls_context_visitors(struct span chain_pem, struct span key_pem,
                              struct tls_context **out, const char **why)
{
    struct tls_context *c = context_new(TLS_VISITORS, TLS1_2_VERSION);

    if (c == NULL) {
        *why = error_text(ERR_NOMEM);
        return ERR_NOMEM;
    }
    *why = use_pair(c->ssl, chain_pem, key_pem);
    if (*why != NULL) {
        tls_context_free(c);
        return ERR_FILE;
    }
    SSL_CTX_set_alpn_select_cb(c->ssl, choose_http, NULL);
    *out = c;
    return ERR_OK;
}

static EVP_PKEY *key_make(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    if (ec == NULL || key == NULL || !EC_KEY_generate_key(ec) ||
        !EVP_PKEY_set1_EC_KEY(key, ec)) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EC_KEY_free(ec);
    return key;
}

/* Self-signed, by a key nobody keeps: TLS wants one, the login does not. */
static X509 *certificate_make(EVP_PKEY *key)
{
    static const char name[] = "sallyport link";
    X509 *cert = X509_new();
    uint64_t serial;

    RAND_bytes((uint8_t *)&serial, sizeof(serial));
    if (cert == NULL || !X509_set_version(cert, X509_VERSION_3) ||
        !ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1) ||
        X509_gmtime_adj(X509_getm_notBefore(cert), -86400L) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(cert), 86400L * THROW_AWAY_DAYS) ==
            NULL ||
        !X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName,
                                    MBSTRING_ASC, (const uint8_t *)name,
                                    sizeof(name) - 1, -1, 0) ||
        !X509_set_issuer_name(cert, X509_get_subject_name(cert)) ||
        !X509_set_pubkey(cert, key) || !X509_sign(cert, key, EVP_sha256())) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

enum err tls_context_link_server(struct tls_context **out)
{
    struct tls_context *c = context_new(TLS_LINK_SERVER, TLS1_3_VERSION);
    EVP_PKEY *key = key_make();
    X509 *cert = key != NULL ? certificate_make(key) : NULL;
    bool is_made = c != NULL && cert != NULL &&
                   SSL_CTX_use_certificate(c->ssl, cert) &&
                   SSL_CTX_use_PrivateKey(c->ssl, key);

    X509_free(cert);
    EVP_PKEY_free(key);
    if (!is_made) {
        tls_context_free(c);
        return ERR_NOMEM;
    }
    SSL_CTX_set_alpn_select_cb(c->ssl, choose_link, NULL);
    /* A login is a full handshake, always: no tickets. */
    SSL_CTX_set_num_tickets(c->ssl, 0);
    *out = c;
    return ERR_OK;
}

/* SSL_CTX_set_alpn_protos() answers 0 for success. */
static bool offer_alpn(SSL_CTX *ssl, const char *name)
{
    uint8_t offer[1 + UINT8_MAX];
    size_t len = strlen(name);

    assert(len > 0 && len <= UINT8_MAX);
    offer[0] = (uint8_t)len;
    memcpy(offer + 1, name, len);
    return SSL_CTX_set_alpn_protos(ssl, offer, len + 1) == 0;
}

enum err tls_context_link_client(struct tls_context **out)
{
    struct tls_context *c = context_new(TLS_LINK_CLIENT, TLS1_3_VERSION);

    if (c == NULL || !offer_alpn(c->ssl, LINK_ALPN)) {
        tls_context_free(c);
        return ERR_NOMEM;
    }
    /*
     * The one place where a certificate is not looked at, on purpose. The
     * relay is known by its pinned Ed25519 key, which signs this connection's
     * exporter in WELCOME: whoever stands between has another exporter, and
     * the login fails. A name and a chain would add nothing to that, and a
     * self-made relay has neither.
     */
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_NONE, NULL);
    *out = c;
    return ERR_OK;
}

static bool trust_system(SSL_CTX *ssl)
{
    static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";

    return SSL_CTX_load_verify_locations(ssl, bundle, NULL) ||
           SSL_CTX_set_default_verify_paths(ssl);
}

enum err tls_context_target(const char *ca_file, enum tls_verify verify,
                            struct tls_context **out, const char **why)
{
    struct tls_context *c = context_new(TLS_TARGET, TLS1_2_VERSION);

    if (c == NULL || !offer_alpn(c->ssl, HTTP_ALPN)) {
        tls_context_free(c);
        *why = error_text(ERR_NOMEM);
        return ERR_NOMEM;
    }
    c->verify = verify;
    if (verify == TLS_VERIFY) {
        SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
        if (ca_file == NULL
                ? !trust_system(c->ssl)
                : !SSL_CTX_load_verify_locations(c->ssl, ca_file, NULL)) {
            ERR_clear_error();
            tls_context_free(c);
            *why = ca_file == NULL ? "the system has no CA certificates"
                                   : "the CA file has no PEM certificates";
            return ERR_FILE;
        }
        ERR_clear_error();
    }
    *out = c;
    return ERR_OK;
}
