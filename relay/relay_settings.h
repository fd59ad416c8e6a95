/*
 * The relay's settings: one table for /etc/sallyport/relay.yaml, the flags and
 * --help, and what follows from the settings together.
 */
#ifndef RELAY_RELAY_SETTINGS_H
#define RELAY_RELAY_SETTINGS_H

#include <sys/socket.h>

#include "common/log.h"
#include "common/settings.h"
#include "proto/limits.h"

#define RELAY_SETTINGS_FILE "/etc/sallyport/relay.yaml"
#define RELAY_DOMAIN_MAX 190u /* leaves room for a label in front */
#define RELAY_PATH_MAX 512u

struct relay_settings {
    struct setting_list listen;          /* visitors and links */
    struct setting_list redirect_listen; /* plain http, 308; empty: none */
    char domain[RELAY_DOMAIN_MAX];       /* normalised */
    char state[RELAY_PATH_MAX];          /* folder, absolute */
    char certs[RELAY_PATH_MAX];          /* folder; "" none */
    uint64_t public_port;                /* in URLs; never 0 once read */
    char invite_host[RELAY_PATH_MAX];    /* HOST:PORT for clients */
    uint64_t grace_us;                   /* a lost session is kept */
    uint64_t wait_us;                    /* new requests wait for it */
    uint64_t streams_max;                /* live streams of a session */
    uint64_t names_max;                  /* names of one key */
    uint64_t address_connections;        /* of one address, at once */
    uint64_t address_handshakes;         /* of one address, at once */
    uint64_t address_rate;               /* of one address, each second */
    uint64_t address_burst;              /* of one address, at once new */
    bool local_ca;                       /* our own CA; always without certs */
    bool sandbox;                        /* close the process in */
    char log[16];                        /* error, warn, info, debug */
    enum log_level log_level;
    char config[RELAY_PATH_MAX]; /* flag only: the file that was read, or "" */
    uint64_t expires_us;         /* flag only: of an invitation */
    uint64_t uses;               /* flag only: of an invitation */
};

/*
 * Defaults, then the file (--config FILE, else RELAY_SETTINGS_FILE when it is
 * there), then the flags of |line|; what is no flag is left in line->rest.
 * Then what must fit together is checked and completed (domain normalised,
 * public_port, invite_host, state). ERR_SETTINGS, ERR_FILE: |e| says.
 */
MUST_CHECK enum err relay_settings_read(struct relay_settings *s,
                                        struct settings_line *line,
                                        struct settings_error *e);

/* The rows as help text. */
void relay_settings_help(FILE *out);

/* The effective settings as YAML, one row a line. */
void relay_settings_print(const struct relay_settings *s, FILE *out);

/*
 * The public URL of |label| ("" for the base domain itself), without a path:
 * "https://demo.t.example.com" or with ":8443" when the port is not 443.
 */
void relay_settings_url(const struct relay_settings *s, const char *label,
                        char *out, size_t size);

#endif
