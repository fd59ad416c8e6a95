/*
 * Our own certificate authority for local use, see local_ca.h: which files are
 * there, which hold, and writing those that do not. The certificates
 * themselves are issuer's.
 */
#include "relay/local_ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/folders.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/whole.h"
#include "relay/issuer.h"

#define CA_CERT "local-ca.pem"
#define CA_KEY "local-ca.key"
#define LEAF_FOLDER "local"
#define LEAF_FILE "base.pem"
#define PEM_MAX 16384u
#define PART_SUFFIX ".new"

static enum err failed(struct local_ca *ca, const char *path, const char *text)
{
    (void)snprintf(ca->why, sizeof(ca->why), "%.280s: %.200s", path, text);
    return ERR_FILE;
}

/* Write |bytes| to |path|, whole or not at all. */
static enum err write_file(struct local_ca *ca, const char *path, mode_t mode,
                           BIO *pem)
{
    char part[LOCAL_CA_PATH_MAX + sizeof(PART_SUFFIX)];
    const uint8_t *bytes;
    size_t len;
    bool is_done;
    int fd;

    if (BIO_mem_contents(pem, &bytes, &len) != 1) {
        return failed(ca, path, "out of memory");
    }
    (void)snprintf(part, sizeof(part), "%s" PART_SUFFIX, path);
    (void)unlink(part);
    fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        return failed(ca, path, strerror(errno));
    }
    is_done = fchmod(fd, mode) == 0 && whole_write(fd, span_of(bytes, len)) &&
              fsync(fd) == 0 && rename(part, path) == 0;
    if (!is_done) {
        (void)failed(ca, path, strerror(errno));
        (void)unlink(part);
    }
    (void)close(fd);
    return is_done ? ERR_OK : ERR_FILE;
}

/* Write what there is of |p| as PEM. */
static enum err write_pem(struct local_ca *ca, const char *path,
                          const struct issuer_pair *p)
{
    BIO *pem = BIO_new(BIO_s_mem());
    enum err error = ERR_FILE;
    bool is_whole =
        pem != NULL &&
        (p->cert == NULL || PEM_write_bio_X509(pem, p->cert) == 1) &&
        (p->key == NULL || PEM_write_bio_PKCS8PrivateKey(
                               pem, p->key, NULL, NULL, 0, NULL, NULL) == 1);

    if (is_whole) {
        error = write_file(ca, path, p->key == NULL ? 0644 : 0600, pem);
    } else {
        error = failed(ca, path, "out of memory");
    }
    (void)BIO_free(pem);
    return error;
}

/* What is wrong with the open file of a secret, or NULL. */
static const char *unsafe(int fd)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return strerror(errno);
    }
    if (!S_ISREG(st.st_mode)) {
        return "it is no regular file";
    }
    if ((st.st_mode & 077) != 0) {
        return "others can read this key: delete it and " CA_CERT
               ", and trust the new CA that is made then";
    }
    return NULL;
}

enum kind { CERTIFICATE, SECRET };

/* The file as text. ERR_ABSENT when there is none. */
static enum err read_file(struct local_ca *ca, const char *path, enum kind kind,
                          uint8_t *out, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const char *why = NULL;
    ptrdiff_t got = -1;

    if (fd < 0) {
        int code = errno;

        (void)failed(ca, path, strerror(code));
        return code == ENOENT ? ERR_ABSENT : ERR_FILE;
    }
    if (kind == SECRET) {
        why = unsafe(fd);
    }
    if (why == NULL) {
        got = whole_read(fd, out, PEM_MAX);
        why = got < 0 ? strerror(errno) : "it is too large";
    }
    (void)close(fd);
    if (got < 0 || got == (ptrdiff_t)PEM_MAX) {
        return failed(ca, path, why);
    }
    *len = (size_t)got;
    return ERR_OK;
}

/* Add the certificate and the key that |path| holds to |p|. */
static enum err read_pem(struct local_ca *ca, const char *path, enum kind kind,
                         struct issuer_pair *p)
{
    uint8_t text[PEM_MAX];
    size_t len = 0;
    BIO *pem;

    TRY(read_file(ca, path, kind, text, &len));
    pem = BIO_new_mem_buf(text, (ossl_ssize_t)len);
    if (pem != NULL && p->cert == NULL) {
        p->cert = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    }
    if (pem != NULL && kind == SECRET) {
        (void)BIO_reset(pem);
        p->key = PEM_read_bio_PrivateKey(pem, NULL, NULL, NULL);
    }
    (void)BIO_free(pem);
    keys_wipe(text, sizeof(text));
    ERR_clear_error();
    if (kind == CERTIFICATE ? p->cert == NULL : p->key == NULL) {
        return failed(ca, path, "it does not hold what it should");
    }
    return ERR_OK;
}

/* The CA: read, or made when no certificate of one is there. */
static enum err ensure_ca(struct local_ca *ca, const char *state,
                          const char *base, int64_t now_s,
                          struct issuer_pair *p)
{
    char key_file[LOCAL_CA_PATH_MAX];
    enum err error;

    if (folders_join(state, CA_KEY, key_file, sizeof(key_file)) != ERR_OK) {
        return failed(ca, state, "the path is too long");
    }
    error = read_pem(ca, ca->ca_file, CERTIFICATE, p);
    if (error == ERR_OK) {
        error = read_pem(ca, key_file, SECRET, p);
        if (error == ERR_OK && !issuer_ca_holds(p, base, now_s)) {
            return failed(ca, ca->ca_file,
                          "it is for another domain, or ends soon: delete it "
                          "and local-ca.key, and trust the new CA that is "
                          "made then");
        }
        if (error == ERR_OK && !issuer_has_begun(p, now_s)) {
            /* No reason not to start: whoever knows us may log in. */
            LOG(LOG_WARN, "local-ca-early", log_text("file", ca->ca_file),
                log_text("why",
                         "by this machine's clock its time has not begun: is "
                         "the clock right? If it was wrong before, delete it "
                         "and local-ca.key, and trust the new CA that is made "
                         "then"));
        }
        return error == ERR_ABSENT ? ERR_FILE : error;
    }
    if (error != ERR_ABSENT) {
        return error;
    }
    if (issuer_make_ca(base, now_s, p) != ERR_OK) {
        return failed(ca, ca->ca_file, "it could not be made");
    }
    /* The key first: a key without its certificate is simply made anew, since
     * nobody can have trusted it. */
    TRY(write_pem(ca, key_file, &(struct issuer_pair){ NULL, p->key }));
    TRY(write_pem(ca, ca->ca_file, &(struct issuer_pair){ p->cert, NULL }));
    ca->is_new_ca = true;
    return ERR_OK;
}

static enum err ensure_leaf(struct local_ca *ca, const struct issuer_pair *p,
                            const char *base, int64_t now_s)
{
    struct issuer_pair leaf = { NULL, NULL };
    char path[LOCAL_CA_PATH_MAX];
    enum err error;

    if (folders_join(ca->folder, LEAF_FILE, path, sizeof(path)) != ERR_OK) {
        return failed(ca, ca->folder, "the path is too long");
    }
    error = read_pem(ca, path, SECRET, &leaf);
    if (error == ERR_OK && leaf.cert != NULL &&
        issuer_leaf_holds(p, &leaf, base, now_s)) {
        issuer_pair_wipe(&leaf);
        return ERR_OK;
    }
    /* Whatever is wrong with a certificate of ours, a new one mends it. */
    issuer_pair_wipe(&leaf);
    if (issuer_make_leaf(p, base, now_s, &leaf) != ERR_OK) {
        return failed(ca, path, "it could not be made");
    }
    error = write_pem(ca, path, &leaf);
    issuer_pair_wipe(&leaf);
    ca->is_new_leaf = error == ERR_OK;
    return error;
}

/* Where the CA is, and what to do with it: the operator's to decide. */
static void tell(const struct local_ca *ca, const char *base)
{
    LOG(LOG_INFO, ca->is_new_ca ? "local-ca-made" : "local-ca-renewed",
        log_text("file", ca->ca_file), log_text("domain", base),
        log_text("trust", "curl --cacert FILE; Chromium: certutil -d "
                          "sql:$HOME/.pki/nssdb -A -t C,, -n sallyport -i "
                          "FILE; Debian: cp FILE "
                          "/usr/local/share/ca-certificates/sallyport.crt && "
                          "update-ca-certificates"));
}

enum err local_ca_ensure(const char *state, const char *base, int64_t now_s,
                         struct local_ca *out)
{
    struct issuer_pair ca = { NULL, NULL };
    const char *why = "";
    enum err error;

    memset(out, 0, sizeof(*out));
    if (folders_join(state, CA_CERT, out->ca_file, sizeof(out->ca_file)) !=
            ERR_OK ||
        folders_join(state, LEAF_FOLDER, out->folder, sizeof(out->folder)) !=
            ERR_OK) {
        return failed(out, state, "the path is too long");
    }
    if (folders_make(out->folder, &why) != ERR_OK) {
        return failed(out, out->folder, why);
    }
    error = ensure_ca(out, state, base, now_s, &ca);
    if (error == ERR_OK) {
        error = ensure_leaf(out, &ca, base, now_s);
    }
    issuer_pair_wipe(&ca);
    if (error == ERR_OK && (out->is_new_ca || out->is_new_leaf)) {
        tell(out, base);
    }
    return error;
}
