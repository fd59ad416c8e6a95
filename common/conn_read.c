/*
 * What comes into a connection. Plain bytes are read straight into the loop's
 * spare chunk, so that the owner can take them without a copy (and into more
 * of them in bulk: conn_ahead.c); TLS is read into the loop's cipher buffer
 * and decrypted from there into the spare chunk. A connection holds a buffer
 * of its own only for what its owner left unread.
 */
#include "common/conn_private.h"

#include <stdlib.h>

/* Below this a copy is cheaper than giving the 16 KiB chunk away. */
#define COPY_BELOW (4u * KIB)
#define MORE_FIRST (4u * KIB)

bool conn_read_is_wanted(const struct conn *c)
{
    switch (c->phase) {
    case PHASE_HANDSHAKE:
    case PHASE_UP:
        /* What was left is given out before anything is added to it. */
        return !c->has_eof && !c->is_paused && (c->in == NULL || c->wants_more);
    case PHASE_LINGER:
        return !c->has_eof;
    case PHASE_CONNECT:
    case PHASE_DOWN:
    case PHASE_CLOSED:
        break;
    }
    return false;
}

/* Where received bytes go: behind what conn_more() left, or the spare. */
struct chunk *conn_read_target(struct conn *c)
{
    struct chunk *left = c->in;

    if (left == NULL) {
        return loop_spare(c->loop);
    }
    if (chunk_room(left) == 0 || left->len == 0) {
        /* Consumed from the front meanwhile. conn_more() saw to the rest. */
        memmove(left->bytes + CHUNK_HEADROOM, left->bytes + left->start,
                left->len);
        left->start = CHUNK_HEADROOM;
    }
    return left;
}

/* How many of them a chunk may get. */
size_t conn_read_room(const struct conn *c, const struct chunk *target)
{
    size_t room = chunk_room(target);
    size_t most = c->wants_more ? c->more_max : BULK_PAYLOAD;

    if (!c->keeps_records && target->len + room > most) {
        room = most - target->len;
    }
    return room;
}

/* After CONN_DATA: what the owner left becomes the connection's own. */
static void read_keep_left(struct conn *c)
{
    struct chunk *left = c->in;

    if (left == NULL) {
        return;
    }
    if (left->len == 0) {
        c->in = NULL;
        if (left != c->loop->spare) {
            chunk_free(left);
        }
        return;
    }
    if (!c->wants_more && !c->resume_due) {
        c->is_paused = true;
    }
    if (left != c->loop->spare) {
        return;
    }
    if (left->len >= COPY_BELOW) {
        c->loop->spare = NULL;
        return;
    }
    c->in = chunk_copy(chunk_span(left));
    if (c->in == NULL) {
        conn_fail(c, ERR_NOMEM, error_text(ERR_NOMEM));
    }
}

void conn_read_give(struct conn *c, struct chunk *chunk)
{
    c->in = chunk;
    c->wants_more = false;
    conn_emit(c, CONN_DATA);
    if (c->phase == PHASE_UP) {
        read_keep_left(c);
    }
}

static void read_ended(struct conn *c, bool is_clean)
{
    c->has_eof = true;
    conn_read_update(c);
    if (c->phase == PHASE_LINGER) {
        conn_wake(c);
    } else if (c->phase == PHASE_HANDSHAKE) {
        conn_fail(c, ERR_CLOSED, "the peer closed during the TLS handshake");
    } else if (c->is_broken) {
        conn_fail(c, c->error, c->why);
    } else {
        c->eof_is_clean = is_clean;
        conn_emit(c, CONN_EOF);
    }
}

static enum tls_status read_handshake(struct conn *c)
{
    enum tls_status status = tls_handshake(c->tls);

    if (status == TLS_OK) {
        conn_now_up(c);
    }
    return status;
}

/* Decrypt a chunk full, or one record of it, and give it out. */
static enum tls_status read_decrypt(struct conn *c)
{
    struct chunk *target = conn_read_target(c);
    enum tls_status status = TLS_OK;
    size_t before;

    if (target == NULL) {
        conn_fail(c, ERR_NOMEM, error_text(ERR_NOMEM));
        return TLS_WANT_INPUT;
    }
    before = target->len;
    while (status == TLS_OK && conn_read_room(c, target) > 0) {
        size_t len;

        status = tls_read(c->tls, chunk_tail(target), conn_read_room(c, target),
                          &len);
        chunk_grow(target, len);
        if (c->keeps_records) {
            break;
        }
    }
    if (target->len > before) {
        conn_read_give(c, target);
    }
    return status;
}

/* Let TLS work on |in| as long as the owner takes what comes of it. */
static void read_cipher(struct conn *c, struct span *in)
{
    enum tls_status status = TLS_OK;

    tls_lend_input(c->tls, in);
    while (status == TLS_OK && conn_read_is_wanted(c) &&
           c->phase != PHASE_LINGER) {
        /* TLS may have to answer, in the handshake or with an alert. */
        if (conn_write_flight_room(c) != ERR_OK) {
            conn_fail(c, ERR_NOMEM, error_text(ERR_NOMEM));
            break;
        }
        status =
            c->phase == PHASE_HANDSHAKE ? read_handshake(c) : read_decrypt(c);
    }
    tls_lend_input(c->tls, NULL);
    /* Whatever TLS wrote goes out; an unused batch goes back. */
    conn_wake(c);
    if (c->phase != PHASE_HANDSHAKE && c->phase != PHASE_UP) {
        return;
    }
    if (status == TLS_CLOSED) {
        read_ended(c, true);
    } else if (status == TLS_FAILED) {
        /* The alert that says why to the peer. */
        conn_write_flush(c);
        conn_fail(c, ERR_TLS, tls_why(c->tls));
    }
}

/* Keep what a pause left of the loop's cipher buffer, behind what a begin of
 * TLS within it may have put there. */
static void read_keep_batch(struct conn *c, struct span rest)
{
    uint8_t *kept;

    if (rest.len == 0 || c->has_eof ||
        (c->phase != PHASE_HANDSHAKE && c->phase != PHASE_UP)) {
        return;
    }
    if (c->cipher == NULL) {
        c->cipher_len = 0;
        c->cipher_used = 0;
    }
    kept = realloc(c->cipher, c->cipher_len + rest.len);
    if (kept == NULL) {
        conn_fail(c, ERR_NOMEM, error_text(ERR_NOMEM));
        return;
    }
    span_copy(kept + c->cipher_len, rest);
    c->cipher = kept;
    c->cipher_len += rest.len;
}

/* Go on with what an earlier pause left. */
static void read_kept_batch(struct conn *c)
{
    struct span in = { .data = NULL };
    size_t before;

    if (c->cipher != NULL) {
        in =
            span_of(c->cipher + c->cipher_used, c->cipher_len - c->cipher_used);
    }
    before = in.len;
    read_cipher(c, &in);
    if (c->cipher != NULL) {
        c->cipher_used += before - in.len;
        if (c->cipher_used == c->cipher_len || c->has_eof) {
            free(c->cipher);
            c->cipher = NULL;
        }
    }
}

/* Whether what there is stays in the kernel for now. libuv then comes back in
 * the next tick; stopping and starting it costs two calls of the kernel. */
static bool read_is_declined(const struct conn *c)
{
    return !conn_read_is_wanted(c) || c->ahead.count > 0 ||
           (c->has_enough && c->read_tick == c->loop->tick);
}

static void read_stop(struct conn *c)
{
    c->is_reading = false;
    uv_read_stop((uv_stream_t *)&c->tcp);
}

static void on_conn_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *c = container_of(handle, struct conn, tcp);
    struct chunk *target;

    (void)suggested;
    if (read_is_declined(c)) {
        *buf = uv_buf_init(NULL, 0);
        return;
    }
    if (c->tls != NULL || c->phase == PHASE_LINGER) {
        *buf = uv_buf_init((char *)c->loop->cipher_in, READ_BATCH);
        return;
    }
    target = conn_read_target(c);
    if (target == NULL) {
        *buf = uv_buf_init(NULL, 0);
        return;
    }
    *buf = uv_buf_init((char *)chunk_tail(target),
                       (unsigned)conn_read_room(c, target));
}

/* One firehose must not starve the others: the rest waits for the next tick. */
static void read_count(struct conn *c, size_t len)
{
    c->read_bytes += len;
    c->has_enough = c->has_enough || c->read_bytes >= READ_PER_TICK;
}

/* Plain bytes in the chunk that on_conn_alloc() chose. */
static size_t read_plain(struct conn *c, size_t len)
{
    struct chunk *target = c->in != NULL ? c->in : c->loop->spare;
    bool is_full = len == BULK_PAYLOAD;

    chunk_grow(target, len);
    if (is_full) {
        len += conn_ahead_read(c);
    }
    conn_read_give(c, target);
    conn_ahead_give(c);
    return len;
}

static void on_conn_read(uv_stream_t *stream, ssize_t count,
                         const uv_buf_t *buf)
{
    struct conn *c = container_of(stream, struct conn, tcp);
    struct span in;
    size_t len;

    loop_now(c->loop);
    if (count == UV_ENOBUFS && read_is_declined(c)) {
        /* Most pauses are over in the next tick; this one is not. */
        if (c->read_tick != c->loop->tick) {
            read_stop(c);
        }
        return;
    }
    if (count == UV_EOF) {
        read_ended(c, c->tls == NULL);
        return;
    }
    if (count < 0) {
        conn_fail(c, count == UV_ENOBUFS ? ERR_NOMEM : ERR_IO,
                  uv_strerror((int)count));
        return;
    }
    if (count == 0 || c->phase == PHASE_LINGER) {
        return;
    }
    if (c->read_tick != c->loop->tick) {
        c->read_tick = c->loop->tick;
        c->read_bytes = 0;
        c->has_enough = false;
    }
    in = span_of(buf->base, (size_t)count);
    len = in.len;
    if (in.data == c->loop->cipher_in) {
        read_cipher(c, &in);
        read_keep_batch(c, in);
    } else {
        len = read_plain(c, len);
    }
    conn_read_update(c);
    read_count(c, len);
}

void conn_read_update(struct conn *c)
{
    bool is_wanted = conn_read_is_wanted(c) && c->ahead.count == 0;
    int status;

    if (is_wanted == c->is_reading) {
        return;
    }
    if (!is_wanted) {
        /* A pause is left to what is declined: see there. */
        if (c->phase != PHASE_UP || c->has_eof) {
            read_stop(c);
        }
        return;
    }
    c->is_reading = true;
    status = uv_read_start((uv_stream_t *)&c->tcp, on_conn_alloc, on_conn_read);
    if (status != 0) {
        c->is_reading = false;
        conn_fail(c, ERR_IO, uv_strerror(status));
    }
}

void conn_read_resume(struct conn *c)
{
    if (c->in != NULL && c->in->len == 0) {
        chunk_free(c->in);
        c->in = NULL;
    }
    if (c->phase == PHASE_UP && !c->is_paused && c->in != NULL &&
        !c->wants_more) {
        conn_read_give(c, c->in);
    }
    conn_ahead_give(c);
    if (c->tls != NULL && conn_read_is_wanted(c) && c->phase != PHASE_LINGER) {
        read_kept_batch(c);
    }
    conn_read_update(c);
}

enum err conn_read_more(struct conn *c, size_t most)
{
    struct chunk *left = c->in;
    size_t capacity;
    struct chunk *larger;

    assert(left != NULL && left->len > 0);
    if (left->len >= most) {
        return ERR_LIMIT;
    }
    if (left == c->loop->spare || chunk_room(left) == 0) {
        capacity = left->len < MORE_FIRST / 2 ? MORE_FIRST : most;
        larger = chunk_new(capacity);
        if (larger == NULL) {
            return ERR_NOMEM;
        }
        memcpy(chunk_tail(larger), left->bytes + left->start, left->len);
        chunk_grow(larger, left->len);
        if (left != c->loop->spare) {
            chunk_free(left);
        }
        c->in = larger;
    }
    c->wants_more = true;
    c->more_max = most;
    return ERR_OK;
}

struct chunk *conn_read_take(struct conn *c)
{
    struct chunk *chunk = c->in;

    if (chunk == NULL || chunk->len == 0) {
        return NULL;
    }
    if (chunk != c->loop->spare) {
        c->in = NULL;
        return chunk;
    }
    if (chunk->len >= COPY_BELOW) {
        c->in = NULL;
        c->loop->spare = NULL;
        return chunk;
    }
    chunk = chunk_copy(chunk_span(chunk));
    if (chunk != NULL) {
        c->in = NULL;
    }
    return chunk;
}

enum err conn_read_into_tls(struct conn *c)
{
    struct span left = conn_input(c);
    size_t len = left.len + c->ahead.bytes;

    assert(c->cipher == NULL);
    if (len > 0) {
        c->cipher = malloc(len);
        if (c->cipher == NULL) {
            return ERR_NOMEM;
        }
        if (left.len > 0) {
            memcpy(c->cipher, left.data, left.len);
        }
        c->cipher_len = left.len + conn_ahead_move(c, c->cipher + left.len);
        c->cipher_used = 0;
    }
    if (c->in != c->loop->spare) {
        chunk_free(c->in);
    }
    c->in = NULL;
    return ERR_OK;
}

void conn_read_drop(struct conn *c)
{
    if (c->in != c->loop->spare) {
        chunk_free(c->in);
    }
    c->in = NULL;
    chunk_queue_clear(&c->ahead);
    free(c->cipher);
    c->cipher = NULL;
}
