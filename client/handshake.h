/*
 * Dial the relay and log in: from nothing to a connection that both ends have
 * proved themselves on, or a sentence that says why not.
 */
#ifndef CLIENT_HANDSHAKE_H
#define CLIENT_HANDSHAKE_H

#include "client/identity.h"
#include "common/conn.h"
#include "proto/login.h"

struct handshake;

struct handshake_result {
    enum err error;         /* ERR_OK: |conn| is logged in, the callee's */
    const char *why;        /* a sentence; good during the call */
    struct conn *conn;      /* its unread input belongs to the session */
    struct welcome welcome; /* software is not kept */
};

typedef void handshake_fn(void *owner, const struct handshake_result *result);

struct handshake_options {
    const struct relay_pin *relay;
    const struct key_pair *key;
    const struct key_pair *enrol; /* the invitation's seed, or NULL */
    struct login login;           /* resuming part; the rest is filled in */
    /* Where the relay was found before; NULL: its host name is resolved. */
    const struct sockaddr_storage *at;
    /* Connected: the callee says handshake_login(), now or later. NULL:
     * |login| is sent at once. */
    void (*on_ready)(void *owner);
    handshake_fn *on_done;
    void *owner;
};

/*
 * ERR_NOMEM; else |on_done| is called once, never from within this call.
 * Errors: RESOLVE, IO, TIMEOUT, TLS (no relay there, or something between ends
 * the TLS), BINDING (another relay's key), and what the relay refuses with.
 */
MUST_CHECK enum err handshake_start(struct loop *l,
                                    const struct handshake_options *o,
                                    struct handshake **out);

/* After |on_ready|: send |login|, of which the rest is filled in. */
void handshake_login(struct handshake *h, const struct login *login);

/* Whether |error| is one that another try will not mend; |was_up|: it did
 * succeed once. */
bool handshake_is_final(enum err error, bool was_up);

/* No call follows. NULL is fine; not after |on_done|. */
void handshake_cancel(struct handshake *h);

#endif
