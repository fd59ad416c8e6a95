/* What the three files of a connection share: its life (conn.c), what comes in
 * (conn_read.c), what goes out (conn_write.c). */
#ifndef COMMON_CONN_PRIVATE_H
#define COMMON_CONN_PRIVATE_H

#include "common/conn.h"
#include "common/timer.h"

enum conn_phase {
    PHASE_CONNECT,
    PHASE_HANDSHAKE,
    PHASE_UP,
    PHASE_DOWN,   /* failed; CONN_DOWN was told or will be this tick */
    PHASE_LINGER, /* let go by its owner, still sending */
    PHASE_CLOSED  /* gone when libuv says so */
};

struct conn {
    uv_tcp_t tcp;
    union {
        uv_connect_t connect;
        uv_shutdown_t shutdown;
    } request; /* at most one of them at a time */
    struct loop *loop;
    conn_fn *on_event;
    void *owner;
    struct tls *tls;     /* NULL: plain */
    struct timer *timer; /* deadline, then linger; NULL: none runs */
    struct flush flush;  /* conn_tick() at the end of this tick */
    struct flush leave;  /* conn_leave() after all others have written */
    enum conn_phase phase;

    /* In. */
    bool is_reading; /* libuv reads */
    bool is_paused;  /* the owner wants no more for now */
    bool wants_more; /* conn_more() was called for what |in| holds */
    size_t more_max; /* with what bound */
    bool keeps_records;
    bool has_enough; /* for |read_tick|: the next tick goes on reading */
    bool has_eof;
    bool eof_is_clean;
    bool resume_due;  /* look at what was left, at the end of this tick */
    struct chunk *in; /* unread bytes; the loop's spare during CONN_DATA */
    struct chunk_queue ahead; /* plain bytes behind |in| */
    int ahead_status;         /* of reading on after them, libuv's */
    uint8_t *cipher;          /* what a pause left undecrypted */
    size_t cipher_len;
    size_t cipher_used;
    uint64_t read_tick; /* in which |read_bytes| were read */
    size_t read_bytes;

    /* Out. */
    bool has_sent;          /* CONN_SENT is due */
    bool is_shut;           /* conn_shutdown() was called */
    bool has_fin;           /* and libuv was told */
    bool is_broken;         /* writing failed; reading may go on */
    bool down_due;          /* CONN_DOWN is due */
    struct batch *batch;    /* being filled, through |out|; or NULL */
    struct wire_writer out; /* into |batch|; what tls writes to */
    struct batch *queue;    /* full ones that wait, first to last */
    struct batch *queue_last;
    struct batch *sending; /* libuv has it */
    size_t queue_bytes;
    uint32_t burst; /* bytes that one write is to have, see conn_burst() */

    enum err error;
    const char *why;
};

/* Tell the owner, unless it has let go. */
void conn_emit(struct conn *c, enum conn_event event);

/* It is over: CONN_DOWN follows at the end of this tick. The first reason
 * stays. */
void conn_fail(struct conn *c, enum err error, const char *why);

/* Look at |c| at the end of this tick. */
void conn_wake(struct conn *c);

/* The handshake is done, or there is none. */
void conn_now_up(struct conn *c);

/*
 * Before |tcp| connects to |peer|. The system's BBR costs a third more CPU for
 * each byte between programs of one machine, and there is nothing to probe
 * there; its timers stay when it is left after the connection is made.
 */
void conn_socket_choose(const uv_tcp_t *tcp, const struct sockaddr *peer);

/* The options that every socket of ours gets. */
void conn_socket_tune(struct conn *c);

/* Start or stop libuv's reading as the state of |c| wants it. */
void conn_read_update(struct conn *c);

/* Whether the owner would take more now. */
bool conn_read_is_wanted(const struct conn *c);

/* Where received bytes go, behind what conn_more() left or into the spare
 * (NULL without memory), and how many of them may. */
struct chunk *conn_read_target(struct conn *c);
size_t conn_read_room(const struct conn *c, const struct chunk *target);

/* CONN_DATA with |chunk|, and what the owner left of it kept. */
void conn_read_give(struct conn *c, struct chunk *chunk);

/* A read has filled a chunk of plain bytes: read on into more of them, to
 * |ahead|. How many bytes. */
size_t conn_ahead_read(struct conn *c);

/* Give |ahead| out, as long as the owner takes it. */
void conn_ahead_give(struct conn *c);

/* Move all of |ahead| to |out|; how many bytes. */
size_t conn_ahead_move(struct conn *c, uint8_t *out);

/* Give out what was left unread, then go on. */
void conn_read_resume(struct conn *c);

/* conn_more(), conn_take_input() and, for conn_start_tls(), what is unread
 * becomes cipher input. */
MUST_CHECK enum err conn_read_more(struct conn *c, size_t most);
struct chunk *conn_read_take(struct conn *c);
MUST_CHECK enum err conn_read_into_tls(struct conn *c);

/* Let go of everything unread (closing). */
void conn_read_drop(struct conn *c);

/* Make sure that |need| bytes fit behind |c->out|. */
MUST_CHECK enum err conn_write_room(struct conn *c, size_t need);

/* conn_write_room() for what TLS writes by itself: its handshake, alerts. */
MUST_CHECK enum err conn_write_flight_room(struct conn *c);

/* Give what is queued to the kernel, as far as it takes it. */
void conn_write_flush(struct conn *c);

/* Let go of everything unsent that libuv does not hold. */
void conn_write_drop(struct conn *c);

#endif
