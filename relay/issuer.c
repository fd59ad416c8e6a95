/*
 * Makes certificates, see issuer.h: RFC 5280 by BoringSSL's X.509. What a
 * certificate says stands in two tables of extensions.
 */
#include "relay/issuer.h"

#include <openssl/bn.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "common/keys.h"

#define DAY_S 86400
#define SKEW_S 3600 /* clocks of browsers may be behind */
#define COMMON_NAME_MAX 64u
#define VALUE_MAX 700u
#define SERIAL_LEN 16u

struct extension {
    int nid;
    const char *value; /* %s stands for the base domain */
};

/* A leaked CA key must not speak for anything but the base: other DNS names,
 * and addresses, are ruled out by the constraint itself. */
static const struct extension ca_extensions[] = {
    { NID_basic_constraints, "critical,CA:TRUE,pathlen:0" },
    { NID_key_usage, "critical,keyCertSign,cRLSign" },
    { NID_ext_key_usage, "serverAuth" },
    { NID_name_constraints,
      "critical,permitted;DNS:%s,excluded;IP:0.0.0.0/0.0.0.0,"
      "excluded;IP:::/::" },
    { NID_subject_key_identifier, "hash" },
};

static const struct extension leaf_extensions[] = {
    { NID_basic_constraints, "critical,CA:FALSE" },
    { NID_key_usage, "critical,digitalSignature" },
    { NID_ext_key_usage, "serverAuth" },
    { NID_subject_alt_name, "DNS:%s,DNS:*.%s" },
    { NID_subject_key_identifier, "hash" },
    { NID_authority_key_identifier, "keyid:always" },
};

/* |format| with |base| for each %s. */
static void fill_in(const char *format, const char *base, char *out)
{
    size_t len = 0;

    for (; *format != '\0'; format++) {
        if (format[0] == '%' && format[1] == 's') {
            len += (size_t)snprintf(out + len, VALUE_MAX - len, "%s", base);
            format++;
        } else {
            out[len++] = *format;
        }
        assert(len < VALUE_MAX - 1);
    }
    out[len] = '\0';
}

static bool add_extensions(X509 *cert, X509 *issuer,
                           const struct extension *list, size_t count,
                           const char *base)
{
    char value[VALUE_MAX];
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    for (size_t i = 0; i < count; i++) {
        X509_EXTENSION *e;
        bool is_added;

        fill_in(list[i].value, base, value);
        e = X509V3_EXT_nconf_nid(NULL, &context, list[i].nid, value);
        is_added = e != NULL && X509_add_ext(cert, e, -1) == 1;
        X509_EXTENSION_free(e);
        if (!is_added) {
            return false;
        }
    }
    return true;
}

static EVP_PKEY *make_key(void)
{
    EC_KEY *ec = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1);
    EVP_PKEY *key = EVP_PKEY_new();

    if (ec != NULL && key != NULL && EC_KEY_generate_key(ec) == 1 &&
        EVP_PKEY_set1_EC_KEY(key, ec) == 1) {
        EC_KEY_free(ec);
        return key;
    }
    EC_KEY_free(ec);
    EVP_PKEY_free(key);
    return NULL;
}

/* 127 random bits: positive, and never the same twice. */
static bool set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_LEN];
    ASN1_INTEGER *serial;
    BIGNUM *number;
    bool is_set;

    keys_random(bytes, sizeof(bytes));
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
    number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    serial = number == NULL ? NULL : BN_to_ASN1_INTEGER(number, NULL);
    is_set = serial != NULL && X509_set_serialNumber(cert, serial) == 1;
    ASN1_INTEGER_free(serial);
    BN_free(number);
    return is_set;
}

static bool set_name(X509 *cert, const char *before, const char *base)
{
    char common[COMMON_NAME_MAX + 1];
    X509_NAME *name = X509_NAME_new();
    bool is_set;

    /* Over 64 bytes a common name is not allowed; nothing reads it. */
    (void)snprintf(common, sizeof(common), "%s%s", before,
                   strlen(before) + strlen(base) <= COMMON_NAME_MAX ? base
                                                                    : "local");
    is_set =
        name != NULL &&
        X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8,
                                   (const uint8_t *)"Sallyport", -1, -1,
                                   0) == 1 &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   (const uint8_t *)common, -1, -1, 0) == 1 &&
        X509_set_subject_name(cert, name) == 1;
    X509_NAME_free(name);
    return is_set;
}

static bool set_times(X509 *cert, int64_t now_s, int64_t days)
{
    int64_t from = now_s - SKEW_S;

    return ASN1_TIME_set_posix(X509_getm_notBefore(cert), from) != NULL &&
           ASN1_TIME_set_posix(X509_getm_notAfter(cert),
                               from + days * DAY_S - 1) != NULL;
}

/* What CA and leaf have in common: version, serial, key. */
static enum err begin(struct issuer_pair *p)
{
    memset(p, 0, sizeof(*p));
    p->cert = X509_new();
    p->key = make_key();
    if (p->cert == NULL || p->key == NULL ||
        X509_set_version(p->cert, X509_VERSION_3) != 1 ||
        !set_serial(p->cert) || X509_set_pubkey(p->cert, p->key) != 1) {
        return ERR_TLS;
    }
    return ERR_OK;
}

static enum err end(struct issuer_pair *p, bool is_made, EVP_PKEY *signer)
{
    if (is_made && X509_sign(p->cert, signer, EVP_sha256()) > 0) {
        return ERR_OK;
    }
    ERR_clear_error();
    issuer_pair_wipe(p);
    return ERR_TLS;
}

enum err issuer_make_ca(const char *base, int64_t now_s,
                        struct issuer_pair *out)
{
    bool is_made =
        begin(out) == ERR_OK && set_name(out->cert, "Local CA for ", base) &&
        X509_set_issuer_name(out->cert, X509_get_subject_name(out->cert)) ==
            1 &&
        set_times(out->cert, now_s, ISSUER_CA_DAYS) &&
        add_extensions(out->cert, out->cert, ca_extensions,
                       sizeof(ca_extensions) / sizeof(ca_extensions[0]), base);

    return end(out, is_made, out->key);
}

enum err issuer_make_leaf(const struct issuer_pair *ca, const char *base,
                          int64_t now_s, struct issuer_pair *out)
{
    bool is_made =
        begin(out) == ERR_OK && set_name(out->cert, "", base) &&
        X509_set_issuer_name(out->cert, X509_get_subject_name(ca->cert)) == 1 &&
        set_times(out->cert, now_s, ISSUER_LEAF_DAYS) &&
        add_extensions(out->cert, ca->cert, leaf_extensions,
                       sizeof(leaf_extensions) / sizeof(leaf_extensions[0]),
                       base);

    return end(out, is_made, ca->key);
}

static bool key_fits(const struct issuer_pair *p)
{
    return X509_check_private_key(p->cert, p->key) == 1;
}

/* The one DNS name that |ca| permits. */
static bool permits_only(const X509 *ca, const char *base)
{
    NAME_CONSTRAINTS *all =
        X509_get_ext_d2i(ca, NID_name_constraints, NULL, NULL);
    bool is_right = false;

    if (all != NULL && all->permittedSubtrees != NULL &&
        sk_GENERAL_SUBTREE_num(all->permittedSubtrees) == 1) {
        const GENERAL_NAME *name =
            sk_GENERAL_SUBTREE_value(all->permittedSubtrees, 0)->base;

        is_right =
            name->type == GEN_DNS &&
            span_equal(span_of(ASN1_STRING_get0_data(name->d.dNSName),
                               (size_t)ASN1_STRING_length(name->d.dNSName)),
                       span_text(base));
    }
    NAME_CONSTRAINTS_free(all);
    return is_right;
}

bool issuer_ca_holds(const struct issuer_pair *ca, const char *base,
                     int64_t now_s)
{
    int64_t ends_s;

    return key_fits(ca) && X509_check_ca((X509 *)(uintptr_t)ca->cert) == 1 &&
           permits_only(ca->cert, base) &&
           ASN1_TIME_to_posix(X509_get0_notAfter(ca->cert), &ends_s) == 1 &&
           ends_s > now_s + ISSUER_LEAF_DAYS * DAY_S;
}

bool issuer_has_begun(const struct issuer_pair *p, int64_t now_s)
{
    int64_t from_s;

    return ASN1_TIME_to_posix(X509_get0_notBefore(p->cert), &from_s) == 1 &&
           from_s <= now_s;
}

bool issuer_leaf_holds(const struct issuer_pair *ca,
                       const struct issuer_pair *leaf, const char *base,
                       int64_t now_s)
{
    char wildcard[VALUE_MAX];
    int64_t from_s, ends_s;

    (void)snprintf(wildcard, sizeof(wildcard), "x.%s", base);
    return key_fits(leaf) && X509_verify(leaf->cert, ca->key) == 1 &&
           X509_check_host(leaf->cert, base, strlen(base), 0, NULL) == 1 &&
           X509_check_host(leaf->cert, wildcard, strlen(wildcard), 0, NULL) ==
               1 &&
           ASN1_TIME_to_posix(X509_get0_notBefore(leaf->cert), &from_s) == 1 &&
           ASN1_TIME_to_posix(X509_get0_notAfter(leaf->cert), &ends_s) == 1 &&
           issuer_has_begun(leaf, now_s) &&
           ends_s - now_s > (ends_s - from_s) / 3;
}

void issuer_pair_wipe(struct issuer_pair *p)
{
    X509_free(p->cert);
    EVP_PKEY_free(p->key);
    memset(p, 0, sizeof(*p));
}
