/*
 * Certificates by server name: folders of PEM pairs, read again when they
 * change, with no connection cut. A broken file is refused by name in the log
 * while what it replaced stays in use.
 *
 * A pair is NAME.pem (chain and key), NAME.crt with NAME.key, or a folder
 * NAME/ with fullchain.pem and privkey.pem, as certbot keeps them.
 */
#ifndef RELAY_CERTS_H
#define RELAY_CERTS_H

#include "common/tls_context.h"
#include "proto/limits.h"

#define CERTS_FOLDERS_MAX 2u
#define CERTS_MAX 1000u /* pairs in all folders */
#define CERTS_POLL_US (5 * US_PER_S)

struct certs;

/* Over the first |count| of |folders| ("" is skipped). NULL without memory. */
struct certs *certs_new(const char *const *folders, size_t count);
void certs_free(struct certs *c);

/*
 * Look at the folders and read what is new or changed; the owner calls it at
 * the start, each CERTS_POLL_US and on SIGHUP. Cheap when nothing changed. Not
 * an error: a bad file is logged once and skipped, and so is a bad folder.
 */
void certs_refresh(struct certs *c);

/*
 * The context for |server_name| (lower case): an exact name before a wildcard
 * one label up; among equals the one that ends last. NULL when there is none.
 * Good until the next certs_refresh().
 */
struct tls_context *certs_find(const struct certs *c, const char *server_name);

/* How many pairs are in use. */
size_t certs_count(const struct certs *c);

#endif
