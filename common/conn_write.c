/*
 * What goes out of a connection: bytes are gathered in a batch, the batch goes
 * to the kernel at the end of the tick in one call, and what the kernel does
 * not take waits in libuv, one batch at a time, with the others behind it.
 */
#include "common/conn_private.h"

/* A handshake flight: the certificate chain is most of it. */
#define FLIGHT_ROOM (48u * KIB)

/* Batches in one call of the kernel. On loopback a packet carries a little
 * less than a batch: alone, each would make a second packet of its tail. */
#define GATHER_MAX (WRITE_BURST_MAX / WRITE_BATCH)

static void on_conn_written(uv_write_t *request, int status);
static void on_conn_shut(uv_shutdown_t *request, int status);

/* The kernel refuses our bytes. What the peer sent before may still be there
 * to be read (an early answer to an upload, say), and reading will meet the
 * same end soon: so this is told when nothing more can be read. */
static void write_broke(struct conn *c, int status)
{
    conn_write_drop(c);
    if (c->is_broken) {
        return;
    }
    c->is_broken = true;
    c->error = ERR_IO;
    c->why = uv_strerror(status);
    bool is_reset = status == UV_EPIPE || status == UV_ECONNRESET;

    if (!is_reset || c->is_paused || c->has_eof) {
        conn_fail(c, ERR_IO, c->why);
    }
}

/* Let libuv wait for |b|, which the kernel did not take whole. */
static void write_wait(struct conn *c, struct batch *b)
{
    uv_buf_t rest = { .base = (char *)b->bytes + b->sent,
                      .len = b->len - b->sent };
    int status = uv_write(&b->request, (uv_stream_t *)&c->tcp, &rest, 1,
                          on_conn_written);

    if (status != 0) {
        loop_batch_give(c->loop, b);
        write_broke(c, status);
        return;
    }
    c->sending = b;
}

/* The kernel took |sent| bytes of the queue: what became of its batches. */
static void write_sent(struct conn *c, size_t sent)
{
    struct batch *b;

    while ((b = c->queue) != NULL && sent >= b->len) {
        c->queue = b->next;
        c->queue_bytes -= b->len;
        sent -= b->len;
        loop_batch_give(c->loop, b);
    }
    if (b != NULL && sent > 0) {
        b->sent = (uint32_t)sent;
    }
}

/* Send batches from the queue's front until one has to wait. */
static void write_queue(struct conn *c)
{
    while (c->queue != NULL && c->sending == NULL) {
        uv_buf_t bytes[GATHER_MAX];
        unsigned count = 0;
        size_t len = 0;
        int sent;

        for (struct batch *b = c->queue; b != NULL && count < GATHER_MAX;
             b = b->next) {
            bytes[count++] = uv_buf_init((char *)b->bytes, b->len);
            len += b->len;
        }
        sent = uv_try_write((uv_stream_t *)&c->tcp, bytes, count);
        if (sent == UV_EAGAIN) {
            sent = 0;
        }
        if (sent < 0) {
            write_broke(c, sent);
            return;
        }
        c->has_sent = c->has_sent || sent > 0;
        write_sent(c, (size_t)sent);
        if ((size_t)sent < len) {
            struct batch *b = c->queue;

            c->queue = b->next;
            c->queue_bytes -= b->len;
            c->burst = WRITE_BATCH;
            write_wait(c, b);
        } else if (len >= c->burst && c->burst < WRITE_BURST_MAX) {
            c->burst *= 2;
        }
    }
}

/* The batch that was filled goes to the queue's end, an empty one back. */
static void write_close_batch(struct conn *c)
{
    struct batch *b = c->batch;

    if (b == NULL) {
        return;
    }
    b->len = (uint32_t)c->out.len;
    c->batch = NULL;
    c->out = (struct wire_writer){ 0 };
    if (b->len == 0) {
        loop_batch_give(c->loop, b);
        return;
    }
    if (c->queue == NULL) {
        c->queue = b;
    } else {
        c->queue_last->next = b;
    }
    c->queue_last = b;
    c->queue_bytes += b->len;
}

static void write_fin(struct conn *c)
{
    int status =
        uv_shutdown(&c->request.shutdown, (uv_stream_t *)&c->tcp, on_conn_shut);

    c->has_fin = true;
    if (status != 0) {
        write_broke(c, status);
    }
}

void conn_write_flush(struct conn *c)
{
    /* While libuv waits for one batch the next goes on filling. */
    if (c->sending != NULL || c->is_broken) {
        return;
    }
    write_close_batch(c);
    write_queue(c);
    if (c->is_shut && !c->has_fin && !c->is_broken && conn_unsent(c) == 0) {
        write_fin(c);
    }
}

static void on_conn_written(uv_write_t *request, int status)
{
    struct batch *b = container_of(request, struct batch, request);
    struct conn *c = container_of(request->handle, struct conn, tcp);

    loop_now(c->loop);
    c->sending = NULL;
    loop_batch_give(c->loop, b);
    if (c->phase == PHASE_CLOSED || c->phase == PHASE_DOWN) {
        return;
    }
    if (status < 0) {
        write_broke(c, status);
    } else {
        c->has_sent = true;
        conn_write_flush(c);
    }
    conn_wake(c);
}

static void on_conn_shut(uv_shutdown_t *request, int status)
{
    struct conn *c = container_of(request, struct conn, request.shutdown);

    (void)status;
    if (c->phase == PHASE_LINGER) {
        conn_wake(c);
    }
}

enum err conn_write_room(struct conn *c, size_t need)
{
    assert(need <= BATCH_CAPACITY);
    if (c->batch != NULL && BATCH_CAPACITY - c->out.len >= need) {
        return ERR_OK;
    }
    if (c->batch != NULL) {
        write_close_batch(c);
        if (c->queue_bytes >= c->burst) {
            write_queue(c);
        }
        if (c->is_broken) {
            return ERR_CLOSED;
        }
    }
    c->batch = loop_batch_take(c->loop);
    if (c->batch == NULL) {
        return ERR_NOMEM;
    }
    wire_writer_init(&c->out, c->batch->bytes, BATCH_CAPACITY);
    return ERR_OK;
}

static enum err write_tls(struct conn *c, struct span bytes)
{
    while (bytes.len > 0) {
        size_t len = bytes.len < TLS_RECORD_MAX ? bytes.len : TLS_RECORD_MAX;

        TRY(conn_write_room(c, TLS_OUT_ROOM(len)));
        if (tls_write(c->tls, span_of(bytes.data, len)) != TLS_OK) {
            conn_fail(c, ERR_TLS, tls_why(c->tls));
            return ERR_TLS;
        }
        bytes = span_after(bytes, len);
    }
    return ERR_OK;
}

static enum err write_plain(struct conn *c, struct span bytes)
{
    while (bytes.len > 0) {
        size_t len;

        /* A batch is full at WRITE_BATCH; what TLS may add stays unused. */
        TRY(conn_write_room(c, BATCH_CAPACITY - WRITE_BATCH + 1));
        len = WRITE_BATCH - c->out.len;
        len = bytes.len < len ? bytes.len : len;
        wire_write_bytes(&c->out, span_of(bytes.data, len));
        bytes = span_after(bytes, len);
    }
    return ERR_OK;
}

enum err conn_write(struct conn *c, struct span bytes)
{
    if (c->phase != PHASE_UP || c->is_shut || c->is_broken) {
        return ERR_CLOSED;
    }
    conn_wake(c);
    return c->tls != NULL ? write_tls(c, bytes) : write_plain(c, bytes);
}

enum err conn_write_flight_room(struct conn *c)
{
    _Static_assert(FLIGHT_ROOM <= BATCH_CAPACITY, "a flight fits a batch");
    return conn_write_room(c, c->phase == PHASE_HANDSHAKE ? FLIGHT_ROOM
                                                          : TLS_OUT_SLACK);
}

void conn_write_drop(struct conn *c)
{
    loop_batch_give(c->loop, c->batch);
    c->batch = NULL;
    c->out = (struct wire_writer){ 0 };
    while (c->queue != NULL) {
        struct batch *b = c->queue;

        c->queue = b->next;
        loop_batch_give(c->loop, b);
    }
    c->queue_bytes = 0;
}
