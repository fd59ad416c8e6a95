/*
 * Who this machine is: its key, and the relays it was invited to with their
 * pinned keys. Files of the user's own, 0600.
 */
#ifndef CLIENT_IDENTITY_H
#define CLIENT_IDENTITY_H

#include "common/invitation.h"
#include "common/keys.h"

#define RELAY_KEYS_MAX 4u
#define RELAYS_MAX 16u
#define IDENTITY_PATH_MAX 512u

/* A relay and the keys it may prove itself with. */
struct relay_pin {
    char host[INVITATION_HOST_MAX];
    uint16_t port;
    size_t key_count;
    uint8_t keys[RELAY_KEYS_MAX][KEY_LEN];
};

struct identity {
    char folder[IDENTITY_PATH_MAX]; /* where the files are */
    struct key_pair key;            /* wiped by identity_wipe() */
    bool has_key;
    size_t relay_count;
    struct relay_pin relays[RELAYS_MAX]; /* the last login's first */
};

struct identity_error {
    char text[IDENTITY_PATH_MAX + 200];
};

/*
 * Read what is there from |folder| (empty: $XDG_STATE_HOME/sallyport, or
 * ~/.local/state/sallyport). No files is no error: has_key is false. ERR_FILE
 * when a file cannot be used.
 */
MUST_CHECK enum err identity_load(struct identity *id, const char *folder,
                                  struct identity_error *e);

/* Make the machine's key and store it, when there is none yet. */
MUST_CHECK enum err identity_make_key(struct identity *id,
                                      struct identity_error *e);

/* Remember |relay| as the first, and store the list. */
MUST_CHECK enum err identity_pin(struct identity *id,
                                 const struct relay_pin *relay,
                                 struct identity_error *e);

/*
 * The relay called |name| ("HOST" or "HOST:PORT"), or the first when |name|
 * is empty; NULL when there is none.
 */
const struct relay_pin *identity_relay(const struct identity *id,
                                       const char *name);

/* The tag that stands for |target| before the relay, which cannot tell the
 * target from it: a keyed hash under a secret of this machine's. */
void identity_tag(const struct identity *id, const char *target,
                  uint8_t tag[TARGET_TAG_LEN]);

/* Overwrite the secret key: |id| has none afterwards. */
void identity_wipe(struct identity *id);

#endif
