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

/* Something to do once at the end of the tick; embedded in its owner. */
struct flush {
    struct flush *next;
    struct flush *prev;
    void (*run)(struct flush *f);
    bool is_queued;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t prepare;
    uv_check_t check;
    uint64_t now_us;     /* set anew before every callback round */
    struct flush dirty;  /* list head */
    uint8_t *cipher_in;  /* READ_BATCH, TLS input, borrowed for a call */
    uint8_t *record;     /* TLS_RECORD_MAX, frames gathered for a record */
    struct chunk *spare; /* where the next plain read goes */
    uint8_t *batches[8]; /* free WRITE_BATCH buffers */
    unsigned batch_count;
};

/* ERR_NOMEM or ERR_IO; nothing is left behind then. */
MUST_CHECK enum err loop_open(struct loop *l);

/* Run till nothing is left to wait for or loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* All handles must be closed; runs the last close callbacks. */
void loop_close(struct loop *l);

/* Run |f| at the end of this tick, once. Safe from within a flush. */
void loop_flush_later(struct loop *l, struct flush *f);
void loop_flush_cancel(struct loop *l, struct flush *f);

/* Read the clock into now_us (libuv's callbacks do so by their rooms). */
uint64_t loop_now(struct loop *l);

/* A WRITE_BATCH buffer, and back; NULL without memory. */
uint8_t *loop_batch_take(struct loop *l);
void loop_batch_give(struct loop *l, uint8_t *batch);

#endif
