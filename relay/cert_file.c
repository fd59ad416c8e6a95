/*
 * One certificate with its key, see cert_file.h. Whether key and chain belong
 * together is tls_context's to say.
 */
#include "relay/cert_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/keys.h"
#include "common/whole.h"

static enum err failed(char *why, const char *path, const char *text)
{
    (void)snprintf(why, CERT_WHY_MAX, "%.250s: %.120s", path, text);
    return ERR_FILE;
}

/* The same for a system call's |error|: is it the file, or are we short? */
static enum err failed_call(char *why, const char *path, int error)
{
    bool is_ours = error == EMFILE || error == ENFILE || error == ENOMEM;

    (void)failed(why, path, strerror(error));
    return is_ours ? ERR_NOMEM : ERR_FILE;
}

/* The whole file into |out| of CERT_FILE_MAX bytes. */
static enum err read_whole(const char *path, uint8_t *out, struct span *text,
                           char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    ptrdiff_t got;
    enum err e;

    if (fd < 0) {
        return failed_call(why, path, errno);
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return failed(why, path, "no regular file");
    }
    got = whole_read(fd, out, CERT_FILE_MAX);
    if (got < 0) {
        e = failed_call(why, path, errno);
        (void)close(fd);
        return e;
    }
    (void)close(fd);
    if (got == (ptrdiff_t)CERT_FILE_MAX) {
        return failed(why, path, "too large for a certificate");
    }
    *text = span_of(out, (size_t)got);
    return ERR_OK;
}

/* "*.Example.com" as "*.example.com"; empty when it is no host name. */
static void put_name(char out[CERT_NAME_MAX], struct span name)
{
    out[0] = '\0';
    if (name.len == 0 || name.len >= CERT_NAME_MAX) {
        return;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        bool is_star =
            c == '*' && i == 0 && name.len > 2 && name.data[1] == '.';

        if (!is_letter && !(c >= '0' && c <= '9') && c != '-' && c != '.' &&
            c != '_' && !is_star) {
            out[0] = '\0';
            return;
        }
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[name.len] = '\0';
}

/* The DNS names of the certificate's subjectAltName. */
static enum err read_names(X509 *leaf, struct cert_file *out)
{
    GENERAL_NAMES *all =
        X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    size_t count = all == NULL ? 0 : sk_GENERAL_NAME_num(all);

    count = count < CERT_NAMES_MAX ? count : CERT_NAMES_MAX;
    out->names = calloc(count == 0 ? 1 : count, CERT_NAME_MAX);
    for (size_t i = 0; out->names != NULL && i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

        if (name->type != GEN_DNS) {
            continue;
        }
        put_name(out->names[out->name_count],
                 span_of(ASN1_STRING_get0_data(name->d.dNSName),
                         (size_t)ASN1_STRING_length(name->d.dNSName)));
        out->name_count += out->names[out->name_count][0] != '\0';
    }
    GENERAL_NAMES_free(all);
    return out->name_count == 0 ? ERR_FILE : ERR_OK;
}

static enum err read_leaf(struct span chain, struct cert_file *out)
{
    BIO *in = BIO_new_mem_buf(chain.data, (ossl_ssize_t)chain.len);
    X509 *leaf = in == NULL ? NULL : PEM_read_bio_X509(in, NULL, NULL, NULL);
    enum err error = ERR_FILE;

    if (leaf != NULL &&
        ASN1_TIME_to_posix(X509_get0_notBefore(leaf), &out->begins_s) == 1 &&
        ASN1_TIME_to_posix(X509_get0_notAfter(leaf), &out->ends_s) == 1) {
        error = read_names(leaf, out);
    }
    X509_free(leaf);
    (void)BIO_free(in);
    ERR_clear_error();
    return error;
}

static enum err read_pair(const char *chain_path, const char *key_path,
                          uint8_t *buffers, struct cert_file *out, char *why)
{
    struct span chain, key;
    const char *wrong = "";
    enum err e;

    TRY(read_whole(chain_path, buffers, &chain, why));
    TRY(read_whole(key_path, buffers + CERT_FILE_MAX, &key, why));
    if (read_leaf(chain, out) != ERR_OK) {
        return failed(why, chain_path,
                      "no certificate with DNS names stands in it");
    }
    e = tls_context_visitors(chain, key, &out->context, &wrong);
    if (e != ERR_OK) {
        (void)failed(why, chain_path, wrong);
    }
    return e;
}

enum err cert_file_read(const char *chain_path, const char *key_path,
                        struct cert_file *out, char *why)
{
    uint8_t *buffers = calloc(2, CERT_FILE_MAX);
    enum err error;

    memset(out, 0, sizeof(*out));
    if (buffers == NULL) {
        return failed_call(why, chain_path, ENOMEM);
    }
    error = read_pair(chain_path, key_path, buffers, out, why);
    keys_wipe(buffers, 2 * CERT_FILE_MAX);
    free(buffers);
    if (error != ERR_OK) {
        cert_file_wipe(out);
    }
    return error;
}

void cert_file_wipe(struct cert_file *c)
{
    tls_context_free(c->context);
    free(c->names);
    memset(c, 0, sizeof(*c));
}
