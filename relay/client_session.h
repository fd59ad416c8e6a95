/*
 * The relay's end of one session: the logged-in client, its links, its tunnels
 * and the exchanges on them. It owns proto's session and outlives a link.
 */
#ifndef RELAY_CLIENT_SESSION_H
#define RELAY_CLIENT_SESSION_H

#include <sys/socket.h>

#include "common/link.h"
#include "common/link_quality.h"
#include "proto/hostname.h"
#include "relay/bulk_link.h"
#include "relay/parked.h"

struct exchange;
struct worker;

/* An answer about a tunnel that is lost would leave a client that believes the
 * wrong thing for ever: it logs in anew when its session ends. */
#define CLIENT_SESSION_UNHEARD "the client does not read its answers"

struct tunnel {
    uint16_t id; /* as the client numbers it */
    char label[NAME_MAX_LEN + 1];
};

struct client_session {
    struct client_session *next, *prev; /* worker's list */
    struct worker *worker;
    struct carrier carrier;
    struct flush free_later;
    struct parked parked;  /* while the express link is away */
    struct bulk_link bulk; /* the second link */
    struct link_quality_watch *quality;
    uint64_t number;                          /* for the log */
    uint8_t key[KEY_LEN];                     /* the client's */
    struct sockaddr_storage peers[SLOTS_MAX]; /* of the latest links */
    int64_t since_s;                          /* wall clock */
    struct tunnel tunnels[TUNNELS_MAX];
    size_t tunnel_count;
    struct exchange *exchanges; /* all that use this session */
    uint64_t binds_us;          /* when its account of BINDs is empty again */
    uint32_t resumes;           /* by either link */
    bool is_full;               /* as the log was told: see link_quality */
    bool is_leaving;            /* the client said GOAWAY */
    bool is_over;               /* only waits for free_later */
};

/* What a verified login says about the session to be. */
struct client_session_start {
    const uint8_t *key; /* KEY_LEN */
    const uint8_t *id;  /* SESSION_ID_LEN */
    struct session_limits own, peer;
    struct sockaddr_storage address;
    uint32_t epoch;
};

/*
 * Start a session over |c|, which is the session's from here on (on error it
 * stays the caller's). ERR_NOMEM.
 */
MUST_CHECK enum err client_session_start(struct worker *w, struct conn *c,
                                         const struct client_session_start *s);

/*
 * The session |id| of the client |key|, which it may come back to, or join by a
 * second link; NULL: there is none.
 */
struct client_session *
client_session_resumable(struct worker *w, const uint8_t id[SESSION_ID_LEN],
                         const uint8_t key[KEY_LEN]);

/*
 * Close the link that |s| still has: no byte of it is taken any more. A newer
 * login of |epoch|, from |peer|, takes its place.
 */
void client_session_fence(struct client_session *s, uint32_t epoch,
                          const struct sockaddr_storage *peer);

/*
 * Go on over |c|, on which the client has everything before |received|: what
 * session_judge() agreed to. After client_session_fence(). On error
 * |c| stays the caller's, and the session parked.
 */
MUST_CHECK enum err client_session_resume(struct client_session *s,
                                          struct conn *c, uint64_t received);

/* For bulk_link: |c| is |s|'s link of |slot| from here on, which the log tells
 * as |event|. ERR_NOMEM, and it stays the caller's. */
MUST_CHECK enum err client_session_link(struct client_session *s, unsigned slot,
                                        struct conn *c, const char *event);

/* End |s| at once: GOAWAY with |code| and |sentence|, streams cut, names
 * freed. |s| is gone at the end of the tick. */
void client_session_end(struct client_session *s, enum err code,
                        const char *sentence);

/* Take the tunnel |label| away from |s|: UNBOUND with |code|, its streams
 * reset. Nothing happens when it has none of that name. */
void client_session_unbind(struct client_session *s, const char *label,
                           enum err code, const char *sentence);

/* The live session with the worker's number |number|; NULL: gone. */
struct client_session *client_session_find(struct worker *w, uint64_t number);

/* The tunnel id of |label| on |s|; 0 when it is not bound there. */
uint16_t client_session_tunnel(const struct client_session *s,
                               const char *label);

#endif
