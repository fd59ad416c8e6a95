/* Makes self-signed certificates as PEM for tests that need a TLS server. */
#include "tests/support/certificate.h"

#include <assert.h>
#include <openssl/bio.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

static EVP_PKEY *make_key(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    assert(ec != NULL && key != NULL && EC_KEY_generate_key(ec));
    assert(EVP_PKEY_set1_EC_KEY(key, ec));
    EC_KEY_free(ec);
    return key;
}

static void add_name(X509 *cert, const char *name)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *dns = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    assert(names != NULL && dns != NULL && text != NULL);
    assert(ASN1_STRING_set(text, name, -1));
    GENERAL_NAME_set0_value(dns, GEN_DNS, text);
    assert(sk_GENERAL_NAME_push(names, dns));
    assert(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0));
    GENERAL_NAMES_free(names);
    assert(X509_NAME_add_entry_by_NID(
        X509_get_subject_name(cert), NID_organizationName, MBSTRING_ASC,
        (const uint8_t *)"Sallyport tests", -1, -1, 0));
    assert(X509_set_issuer_name(cert, X509_get_subject_name(cert)));
}

static void copy_out(BIO *bio, char *out)
{
    int len = BIO_read(bio, out, CERTIFICATE_PEM_MAX - 1);

    assert(len > 0);
    out[len] = '\0';
    BIO_free(bio);
}

void certificate_make(const char *name, struct certificate *out)
{
    EVP_PKEY *key = make_key();
    X509 *cert = X509_new();
    BIO *chain = BIO_new(BIO_s_mem());
    BIO *secret = BIO_new(BIO_s_mem());

    assert(cert != NULL && X509_set_version(cert, X509_VERSION_3));
    assert(ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), 1));
    assert(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
    assert(X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL);
    add_name(cert, name);
    assert(X509_set_pubkey(cert, key) && X509_sign(cert, key, EVP_sha256()));
    assert(PEM_write_bio_X509(chain, cert));
    assert(PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL));
    copy_out(chain, out->chain);
    copy_out(secret, out->key);
    X509_free(cert);
    EVP_PKEY_free(key);
}
