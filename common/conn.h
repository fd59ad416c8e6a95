/*
 * One TCP socket, plain or TLS, as named events. Writes are gathered and go
 * out once per tick; reads come as chunks the owner may take; nothing is
 * buffered while idle.
 */
#ifndef COMMON_CONN_H
#define COMMON_CONN_H

#include "common/loop.h"
#include "common/tls.h"

struct conn;

enum conn_event {
    CONN_UP,   /* connected, and the TLS handshake done when there is TLS */
    CONN_DATA, /* conn_input() has unread bytes */
    CONN_SENT, /* queued bytes have left for the kernel: conn_unsent() fell */
    CONN_EOF,  /* the peer ended its direction: conn_eof_is_clean() */
    CONN_DOWN  /* failed: conn_why(); close it. Nothing follows but close */
};

/*
 * Called from the loop only, never from within a conn_ call of the owner, but
 * conn_resume() may be followed by CONN_DATA in the same tick.
 */
typedef void conn_fn(struct conn *c, enum conn_event event, void *owner);

struct conn_options {
    conn_fn *on_event;
    void *owner;
    struct tls_context *tls; /* connecting: TLS at once; NULL plain */
    const char *host;        /* connecting with TLS: SNI */
    uint64_t deadline_us;    /* connect and handshake, from now; 0 none */
};

/* Accept one connection from |server| as plain (see conn_start_tls()). */
MUST_CHECK enum err conn_accept(struct loop *l, uv_stream_t *server,
                                const struct conn_options *o,
                                struct conn **out);

/* Take over a connected descriptor (tests, later the hand-off). */
MUST_CHECK enum err conn_adopt(struct loop *l, int fd,
                               const struct conn_options *o, struct conn **out);

/* Connect; CONN_UP or CONN_DOWN follows. */
MUST_CHECK enum err conn_connect(struct loop *l, const struct sockaddr *to,
                                 const struct conn_options *o,
                                 struct conn **out);

/*
 * Server side: what comes from now on, and what lies unread in conn_input(),
 * is TLS under |context|. CONN_UP follows when the handshake is done.
 * |session_context| separates tickets by role and name.
 */
MUST_CHECK enum err conn_start_tls(struct conn *c, struct tls_context *context,
                                   struct span session_context);

/* Another owner from here on (accepted connections find theirs late). */
void conn_set_owner(struct conn *c, conn_fn *on_event, void *owner);

/*
 * The received, unread (decrypted) bytes. In CONN_DATA the owner either
 * consumes from the front, or takes the whole chunk (then it is the owner's
 * and conn_input() is empty). What it leaves is kept, and no more is read
 * until conn_resume().
 */
struct span conn_input(const struct conn *c);
void conn_consume(struct conn *c, size_t len);
struct chunk *conn_take_input(struct conn *c);

/* Stop and go on reading. Resuming delivers what was left as CONN_DATA. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/*
 * Queue |bytes| (copied or encrypted at once). Leaves at the end of the tick.
 * Fails only without memory or when the connection is down; CONN_DOWN follows.
 */
MUST_CHECK enum err conn_write(struct conn *c, struct span bytes);

/* Bytes queued that the kernel has not taken yet (cipher bytes with TLS). */
size_t conn_unsent(const struct conn *c);

/* Send what is queued, then end our direction (TLS: close_notify, FIN). */
void conn_shutdown(struct conn *c);

/* Send what is queued now instead of at the end of the tick. */
void conn_flush(struct conn *c);

/* No event follows; what is queued is still sent (bounded by |linger_us|: 0
 * drops it and, on conn_abort, resets the TCP connection). May be called
 * twice with NULL; the memory goes when the handle has closed. */
void conn_close(struct conn *c, uint64_t linger_us);
void conn_abort(struct conn *c);

bool conn_eof_is_clean(const struct conn *c); /* close_notify, or plain FIN */
const char *conn_why(const struct conn *c);   /* sentence, conn's own */
enum err conn_error(const struct conn *c);

struct tls *conn_tls(struct conn *c); /* NULL when plain */
struct loop *conn_loop(struct conn *c);

/* The peer's and our own address; family 0 when unknown. */
void conn_peer(const struct conn *c, struct sockaddr_storage *out);
void conn_name(const struct conn *c, struct sockaddr_storage *out);

/* Socket options: keepalive 60 s then 3 x 20 s; TCP_USER_TIMEOUT. Best effort.
 */
void conn_keep_alive(struct conn *c);
void conn_user_timeout(struct conn *c, uint64_t timeout_us);

#endif
