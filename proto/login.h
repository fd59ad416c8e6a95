/*
 * The first exchange on a link: LOGIN from the client, WELCOME or DENIED from
 * the relay. Codec and the exact bytes that are signed; the signing itself
 * and the hash are the caller's, who has them from libsodium.
 */
#ifndef PROTO_LOGIN_H
#define PROTO_LOGIN_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/wire.h"

#define LOGIN_MINOR 0u /* the minor version this code speaks */

/* What one end announces of its own limits; never negotiated upwards. */
struct session_limits {
    uint32_t window_first; /* credit for each new stream, towards the sender */
    uint32_t streams_max;
    uint32_t tunnels_max;
    uint32_t grace_s; /* relay: how long a lost session is kept */
};

struct login {
    uint8_t client_key[KEY_LEN];
    uint8_t minor_min, minor_max;
    uint64_t features;
    struct session_limits limits;
    bool is_resuming;
    uint8_t slot;
    uint8_t session[SESSION_ID_LEN]; /* zeros unless resuming or slot > 0 */
    uint32_t epoch;
    uint64_t received; /* position of what came on this slot */
    bool is_enrolling;
    uint8_t enrol_key[KEY_LEN]; /* public half of the invitation's seed */
    struct span software;       /* "sallyport/0.1.0", for the log */
    uint8_t signature[SIGNATURE_LEN];
    uint8_t enrol_signature[SIGNATURE_LEN]; /* when enrolling */
};

struct welcome {
    uint8_t session[SESSION_ID_LEN];
    uint32_t epoch;
    bool is_resumed;
    uint8_t slot;
    uint64_t received;
    uint8_t minor;
    uint64_t features;
    struct session_limits limits;
    struct span software;
    uint8_t signature[SIGNATURE_LEN];
};

/* Signed as well, so that a client knows the relay itself refused. */
struct denied {
    enum err code;
    struct span sentence;
    uint8_t signature[SIGNATURE_LEN];
};

#define LOGIN_BODY_MAX 512u
#define LOGIN_MESSAGE_MAX 256u

/* Whole payloads, signatures included. */
#define LOGIN_SHORTEST (89u + SIGNATURE_LEN)
#define LOGIN_LONGEST                                                          \
    (89u + KEY_LEN + SOFTWARE_MAX_LEN + SIGNATURE_LEN + SIGNATURE_LEN)
#define WELCOME_SHORTEST (56u + SIGNATURE_LEN)
#define WELCOME_LONGEST (56u + SOFTWARE_MAX_LEN + SIGNATURE_LEN)
#define DENIED_SHORTEST (3u + SIGNATURE_LEN)
#define DENIED_LONGEST (3u + SENTENCE_MAX_LEN + SIGNATURE_LEN)

/*
 * The body is the payload without its signatures; hash(LOGIN) is the hash of
 * the body, hash(WELCOME) likewise. Encode the body into |w|, sign, then
 * append the signatures with *_put_signatures().
 */
void login_put_body(struct wire_writer *w, const struct login *l);
void login_put_signatures(struct wire_writer *w, const struct login *l);
/* |*body| is the part of |in| that was hashed. */
MUST_CHECK enum err login_get(struct span in, struct login *l,
                              struct span *body);

/* The relay's answer, likewise. */
void welcome_put_body(struct wire_writer *w, const struct welcome *m);
void welcome_put_signature(struct wire_writer *w, const struct welcome *m);
MUST_CHECK enum err welcome_get(struct span in, struct welcome *m,
                                struct span *body);

/* The relay's refusal, likewise. */
void denied_put_body(struct wire_writer *w, const struct denied *d);
void denied_put_signature(struct wire_writer *w, const struct denied *d);
MUST_CHECK enum err denied_get(struct span in, struct denied *d,
                               struct span *body);

/* What the signatures of one login are made over. */
struct login_binding {
    uint8_t exporter[EXPORTER_LEN]; /* of the TLS connection, RFC 9266 */
    uint8_t relay_key[KEY_LEN];
    uint8_t client_key[KEY_LEN];
    uint8_t login_hash[HASH_LEN];
};

/* Each writes the bytes to sign into |w|: design.md 3.1 (13), enrolment. */
void login_client_message(struct wire_writer *w, const struct login_binding *b);
void login_enrol_message(struct wire_writer *w, const struct login_binding *b);
void login_relay_message(struct wire_writer *w, const struct login_binding *b,
                         const uint8_t welcome_hash[HASH_LEN]);
void login_denied_message(struct wire_writer *w, const struct login_binding *b,
                          const uint8_t denied_hash[HASH_LEN]);
void login_next_key_message(struct wire_writer *w,
                            const uint8_t next_key[KEY_LEN]);

#endif
