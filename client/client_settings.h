/*
 * The client's settings: one table for ~/.config/sallyport/config.yaml, the
 * flags and --help.
 */
#ifndef CLIENT_CLIENT_SETTINGS_H
#define CLIENT_CLIENT_SETTINGS_H

#include "common/log.h"
#include "common/settings.h"
#include "proto/limits.h"

/* One of `tunnels:`. */
struct tunnel_settings {
    char key[NAME_MAX_LEN + 1]; /* what the file calls it */
    char target[SETTING_TEXT_MAX];
    char name[NAME_MAX_LEN + 1];
    char host_header[SETTING_TEXT_MAX];
};

struct client_settings {
    char relay[SETTING_TEXT_MAX];
    char state[SETTING_TEXT_MAX];
    char name[NAME_MAX_LEN + 1];
    char host_header[SETTING_TEXT_MAX];
    bool insecure_target;
    char target_ca[SETTING_TEXT_MAX];
    bool json;
    bool qr;
    bool probe;
    bool single_link; /* no second link for what is not urgent */
    bool sandbox;     /* close the process in */
    char log[16];
    enum log_level log_level;
    size_t tunnel_count;
    struct tunnel_settings tunnels[TUNNELS_MAX];
};

/*
 * Defaults, then the file (--config FILE, else the user's when it is there),
 * then the flags of |line|; what is no flag is left in line->rest.
 * ERR_SETTINGS, ERR_FILE: |e| says.
 */
MUST_CHECK enum err client_settings_read(struct client_settings *s,
                                         struct settings_line *line,
                                         struct settings_error *e);

/* The rows as help text. */
void client_settings_help(FILE *out);

#endif
