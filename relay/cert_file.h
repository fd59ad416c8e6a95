/*
 * One certificate with its key, read from PEM files: the names it is for, when
 * it ends, and the TLS context made of it.
 */
#ifndef RELAY_CERT_FILE_H
#define RELAY_CERT_FILE_H

#include "common/tls_context.h"
#include "proto/limits.h"

#define CERT_FILE_MAX (64u * KIB) /* bytes of one file */
#define CERT_NAMES_MAX 1000u      /* of one certificate */
#define CERT_NAME_MAX 256u        /* with its zero */
#define CERT_WHY_MAX 400u

struct cert_file {
    struct tls_context *context;
    char (*names)[CERT_NAME_MAX]; /* lower case; "*.x" for wildcards */
    size_t name_count;
    int64_t begins_s; /* wall clock */
    int64_t ends_s;
};

/*
 * Read |chain_path| (leaf first) and |key_path| (the same file will do).
 * ERR_FILE with a sentence in |why| of CERT_WHY_MAX bytes when they cannot be
 * used, ERR_NOMEM likewise when memory or descriptors were missing; nothing is
 * held then.
 */
MUST_CHECK enum err cert_file_read(const char *chain_path, const char *key_path,
                                   struct cert_file *out, char *why);

/* Let go of what is held; zeroed and NULL are fine. */
void cert_file_wipe(struct cert_file *c);

#endif
