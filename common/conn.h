/*
 * One TCP socket, plain or TLS, as named events. Writes are gathered and go
 * out once per tick; reads come as chunks the owner may take; nothing is
 * buffered while idle.
 */
#ifndef COMMON_CONN_H
#define COMMON_CONN_H

#include <uv.h>

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
 * Called from the loop only, never from within a conn_ call. The owner may
 * close the connection, or do anything else to it, from within.
 */
typedef void conn_fn(struct conn *c, enum conn_event event, void *owner);

struct conn_options {
    conn_fn *on_event;
    void *owner;
    struct tls_context *tls; /* our side is the TLS client: at once; or NULL */
    const char *host;        /* with |tls|: SNI, and the name to verify */
    uint64_t deadline_us;    /* from now till connected and the handshake is
                                done (accepted: conn_start_tls()'s); 0 none */
};

/* Take over a connected descriptor, plain and reading; without |tls| it is up
 * already, no CONN_UP comes before conn_start_tls()'s. On error the descriptor
 * is closed. */
MUST_CHECK enum err conn_adopt(struct loop *l, int fd,
                               const struct conn_options *o, struct conn **out);

/* Connect; CONN_UP or CONN_DOWN follows, the latter with ERR_LIMIT when there
 * is no descriptor left. */
MUST_CHECK enum err conn_connect(struct loop *l, const struct sockaddr *to,
                                 const struct conn_options *o,
                                 struct conn **out);

/*
 * Server side: what comes from now on, and what lies unread in conn_input(),
 * is TLS under |context|; a pause ends. CONN_UP follows when the handshake is
 * done. |session_context| separates tickets by role and name.
 */
MUST_CHECK enum err conn_start_tls(struct conn *c, struct tls_context *context,
                                   struct span session_context);

/* Another owner from here on (accepted connections find theirs late). */
void conn_set_owner(struct conn *c, conn_fn *on_event, void *owner);

/*
 * The received, unread (decrypted) bytes. In CONN_DATA the owner either
 * consumes from the front, or takes the whole chunk (at most FRAME_PAYLOAD_MAX
 * bytes; it is the owner's then, conn_input() is empty; NULL: no memory, or
 * nothing there). What it leaves is kept as after conn_pause(): no more is
 * read until it was consumed and conn_resume() was called, or conn_more().
 */
struct span conn_input(const struct conn *c);
void conn_consume(struct conn *c, size_t len);
struct chunk *conn_take_input(struct conn *c);

/* Stop and go on reading. Resuming (from within CONN_DATA too) delivers what
 * was left as CONN_DATA, later in this tick. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/*
 * What is left in conn_input() is not enough: read on and add to it. CONN_DATA
 * comes when it has grown. ERR_LIMIT when |most| bytes are there, ERR_NOMEM;
 * nothing has changed then.
 */
#define CONN_MORE_MAX FRAME_PAYLOAD_MAX /* where it is to be a frame */
MUST_CHECK enum err conn_more(struct conn *c, size_t most);

/*
 * With TLS: give CONN_DATA for every record as it was written (up to
 * TLS_RECORD_MAX bytes), so that what the peer put whole into one record is
 * seen whole. Otherwise records are gathered into full chunks.
 */
void conn_keep_records(struct conn *c);

/*
 * Queue |bytes| (copied or encrypted at once). Leaves at the end of the tick,
 * or at once as soon as WRITE_BATCH is full. Fails without memory, or when the
 * connection is not up, was shut down or broke; CONN_DOWN follows when it
 * broke. Nothing here bounds what is queued: conn_unsent() is for that.
 */
MUST_CHECK enum err conn_write(struct conn *c, struct span bytes);

/* Bytes queued that the kernel has not taken yet (cipher bytes with TLS). */
size_t conn_unsent(const struct conn *c);

/*
 * How many bytes to queue at a time: WRITE_BATCH, and up to WRITE_BURST_MAX
 * while the kernel takes all of them at once.
 */
size_t conn_burst(const struct conn *c);

/* Send what is queued, then end our direction (TLS: close_notify, FIN). */
void conn_shutdown(struct conn *c);

/* Send what is queued now instead of at the end of the tick. */
void conn_flush(struct conn *c);

/*
 * Done with |c|: no event follows, the pointer is dead. With |linger_us| our
 * direction is ended properly (conn_shutdown()), and what is queued is still
 * sent and the peer's end awaited for so long (closing with unread input would
 * make the kernel throw away what we sent). 0 drops what is queued;
 * conn_abort() resets the TCP connection as well. NULL is fine.
 */
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

/* Best effort. Keepalive: 60 s, then 3 x 20 s. */
void conn_keep_alive(struct conn *c);

/* Best effort, for links: 15 s of unacknowledged bytes end it, at most 128 KiB
 * wait unsent in the kernel, BBR unless the peer is this machine. */
void conn_tune_link(struct conn *c);

/*
 * Where BBR is used, let it begin anew. Once in 10 s it sends next to nothing
 * for 200 ms, to see the round trip without its own queue; anew, it takes that
 * which the kernel has seen of late, and waits 10 s again.
 */
void conn_renew_link(struct conn *c);

#endif
