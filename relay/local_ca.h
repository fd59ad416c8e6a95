/*
 * For local use: our own certificate authority, constrained to one base
 * domain, and a wildcard certificate from it. Nothing here touches a trust
 * store: the log says where the CA file is and how to trust it.
 */
#ifndef RELAY_LOCAL_CA_H
#define RELAY_LOCAL_CA_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/error.h"

#define LOCAL_CA_PATH_MAX 600u

struct local_ca {
    char ca_file[LOCAL_CA_PATH_MAX]; /* STATE/local-ca.pem, to be trusted */
    char folder[LOCAL_CA_PATH_MAX];  /* STATE/local, a folder for certs */
    bool is_new_ca;                  /* made just now */
    bool is_new_leaf;
    char why[500]; /* after a failure */
};

/*
 * Make what is missing in the folder |state|: the CA for |base| (once), and
 * the certificate for |base| and its wildcard (also when under a third of its
 * time is left at |now_s|). Call at the start and then daily. ERR_FILE with
 * out->why, such as a CA there that is for another base.
 */
MUST_CHECK enum err local_ca_ensure(const char *state, const char *base,
                                    int64_t now_s, struct local_ca *out);

#endif
