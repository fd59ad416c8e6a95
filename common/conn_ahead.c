/*
 * What a plain connection receives in bulk. When one read has filled a chunk,
 * what waits behind it in the kernel is read by one call into several more,
 * so that nothing is copied and the kernel is not asked for each chunk. They
 * are given out one by one as the owner takes them.
 */
#include <errno.h>
#include <sys/uio.h>

#include "common/conn_private.h"

#define AHEAD_CHUNKS (LOOP_CHUNKS_KEPT - 1u)

/* |len| bytes were read into the first of |chunks|: those join |ahead|, the
 * others go back to the loop. */
static void ahead_fill(struct conn *c, struct chunk **chunks, unsigned count,
                       size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        size_t part = len < BULK_PAYLOAD ? len : BULK_PAYLOAD;

        if (part == 0) {
            loop_chunk_give(c->loop, chunks[i]);
            continue;
        }
        chunk_grow(chunks[i], part);
        chunk_queue_put(&c->ahead, chunks[i]);
        len -= part;
    }
}

size_t conn_ahead_read(struct conn *c)
{
    struct chunk *chunks[AHEAD_CHUNKS];
    struct iovec parts[AHEAD_CHUNKS];
    unsigned count = 0;
    ssize_t len = 0;
    uv_os_fd_t fd;

    while (count < AHEAD_CHUNKS &&
           (chunks[count] = loop_chunk_take(c->loop)) != NULL) {
        parts[count].iov_base = chunk_tail(chunks[count]);
        parts[count].iov_len = BULK_PAYLOAD;
        count++;
    }
    if (count > 0 && uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0) {
        len = readv(fd, parts, (int)count);
    }
    /* An end is seen again by libuv's next read; an error is told once. */
    if (len < 0 && errno != EAGAIN && errno != EINTR) {
        c->ahead_status = uv_translate_sys_error(errno);
    }
    len = len < 0 ? 0 : len;
    c->has_enough = (size_t)len < count * (size_t)BULK_PAYLOAD;
    ahead_fill(c, chunks, count, (size_t)len);
    return (size_t)len;
}

/* Add to what conn_more() left, from the first chunk ahead. */
static void ahead_add(struct conn *c)
{
    struct chunk *first = c->ahead.head;
    struct chunk *target = conn_read_target(c);
    size_t len = conn_read_room(c, target);

    len = first->len < len ? first->len : len;
    assert(len > 0);
    memcpy(chunk_tail(target), chunk_data(first), len);
    chunk_grow(target, len);
    chunk_drop(first, len);
    c->ahead.bytes -= len;
    if (first->len == 0) {
        chunk_free(chunk_queue_take(&c->ahead));
    }
    conn_read_give(c, target);
}

void conn_ahead_give(struct conn *c)
{
    while (c->ahead.count > 0 && c->tls == NULL && c->phase == PHASE_UP &&
           conn_read_is_wanted(c)) {
        if (c->in != NULL) {
            ahead_add(c);
        } else {
            conn_read_give(c, chunk_queue_take(&c->ahead));
        }
    }
    if (c->ahead.count == 0 && c->ahead_status != 0 && c->phase == PHASE_UP) {
        conn_fail(c, ERR_IO, uv_strerror(c->ahead_status));
    }
}

size_t conn_ahead_move(struct conn *c, uint8_t *out)
{
    struct chunk *chunk;
    size_t len = 0;

    while ((chunk = chunk_queue_take(&c->ahead)) != NULL) {
        span_copy(out + len, chunk_span(chunk));
        len += chunk->len;
        chunk_free(chunk);
    }
    return len;
}
