/*
 * One tunnel that the user asked for, and what the relay says of it. Whether
 * it is asked for again, and when, is uplink's.
 */
#ifndef CLIENT_TUNNEL_H
#define CLIENT_TUNNEL_H

#include "client/local.h"

struct tunnel {
    uint16_t id;
    bool is_over;                 /* refused or taken away for good */
    bool is_bound;                /* in the session of now */
    char label[NAME_MAX_LEN + 1]; /* wanted name, "" for a random one */
    uint8_t tag[TARGET_TAG_LEN];
    char url[URL_MAX_LEN + 1]; /* "" until bound */
    char host_header[TARGET_TEXT_MAX];
    struct local_tunnel local;
};

/* The one of |count| tunnels with |id|, or NULL. */
struct tunnel *tunnel_find(struct tunnel *all, size_t count, uint16_t id);

/* Ask for it in |s|, a new session. ERR_LIMIT: the relay takes no more. */
MUST_CHECK enum err tunnel_bind(struct tunnel *t, struct session *s);

/*
 * BOUND came with |url|. ERR_ABSENT when it is bound already (nothing
 * changes), ERR_PROTOCOL when |url| is not https://HOST[:PORT].
 */
MUST_CHECK enum err tunnel_take_url(struct tunnel *t, struct span url);

#endif
