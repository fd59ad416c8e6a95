/*
 * What all connections of one thread share: the libuv loop, the time of this
 * tick, the borrowed buffers, and the list of those that have something to
 * flush when the tick ends. One a thread; everything hangs off it.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <uv.h>

#include "proto/chunk.h"
#include "proto/error.h"
#include "proto/limits.h"

/* The struct that |member| at |pointer| is embedded in: how libuv's handles
 * and requests find their owners. */
#define container_of(pointer, type, member)                                    \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* Something to do once at the end of the tick; embedded in its owner. */
struct flush {
    struct flush *next;
    struct flush *prev;
    void (*run)(struct flush *f);
    bool is_queued;
};

/*
 * Bytes on their way to a socket: as many as one write of WRITE_BATCH plain
 * bytes makes, with what TLS adds.
 */
#define BATCH_CAPACITY (WRITE_BATCH + 12u * KIB)

struct batch {
    struct batch *next; /* in a conn's queue or in the loop's free list */
    uint32_t len;       /* bytes in it */
    uint32_t sent;      /* of these, bytes the kernel has taken */
    uv_write_t request; /* what the kernel did not take at once */
    uint8_t bytes[BATCH_CAPACITY];
};

#define LOOP_BATCHES_KEPT 8u
#define LOOP_CHUNKS_KEPT 8u

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uint64_t now_us;       /* set anew before every callback round */
    uint64_t tick;         /* counts the rounds */
    struct flush dirty;    /* list head */
    struct flush leaving;  /* likewise, of what is run when that is empty */
    uint8_t *cipher_in;    /* READ_BATCH, input, borrowed for a call */
    uint8_t *record;       /* TLS_RECORD_MAX, frames gathered for a record */
    struct chunk *spare;   /* where the next read goes, see loop_spare() */
    struct batch *batches; /* free ones */
    unsigned batch_count;
    struct chunk_queue chunks; /* likewise, empty, of TLS_RECORD_MAX */
};

/* ERR_NOMEM or ERR_IO; nothing is left behind then. The process ignores SIGPIPE
 * from here on. */
MUST_CHECK enum err loop_open(struct loop *l);

/* Run till nothing is left to wait for or loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* All handles must be closed; runs the last close callbacks. */
void loop_close(struct loop *l);

/* Run |f| at the end of this tick, once. Safe from within a flush. */
void loop_flush_later(struct loop *l, struct flush *f);
void loop_flush_cancel(struct loop *l, struct flush *f);

/* Likewise, but only when nothing else is left to flush in this tick: for what
 * the others may still add to. */
void loop_flush_last(struct loop *l, struct flush *f);

/* Read the clock into now_us (libuv's callbacks do so by their rooms). */
uint64_t loop_now(struct loop *l);

/*
 * The chunk where the next read goes, empty, room for TLS_RECORD_MAX bytes;
 * NULL without memory. Whoever fills it may keep it by setting l->spare to
 * NULL; it is anyone's again when the callback that filled it returns.
 */
struct chunk *loop_spare(struct loop *l);

/* An empty chunk like the spare, and back; NULL without memory. */
struct chunk *loop_chunk_take(struct loop *l);
void loop_chunk_give(struct loop *l, struct chunk *chunk);

/* An empty batch, and back; NULL without memory. */
struct batch *loop_batch_take(struct loop *l);
void loop_batch_give(struct loop *l, struct batch *batch);

#endif
