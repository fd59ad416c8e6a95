/*
 * The loop of one thread and what its connections borrow from it. It knows
 * nothing of connections: they put themselves on the list of things to flush.
 */
#include "common/loop.h"

#include <signal.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/platform.h"

_Static_assert(BATCH_CAPACITY >= WRITE_BATCH + 8u * KIB + 4u * 64u,
               "four full records, and a handshake flight beside them");

/* The kernel too copies by `rep movsb` (see span_copy()), and what it copies
 * from begins with a page as a rule. */
#define PAGE 4096u
#define PAGES(len) (((len) + PAGE - 1) / PAGE * PAGE)

static bool has_dirty(const struct loop *l)
{
    return l->dirty.next != &l->dirty || l->leaving.next != &l->leaving;
}

static void flush_all(struct loop *l)
{
    /* A flush may queue itself or others again: the lists are run until empty,
     * which is bounded by what the kernel takes and the queues hold. */
    while (has_dirty(l)) {
        struct flush *f = l->dirty.next;

        if (f == &l->dirty) {
            f = l->leaving.next;
        }
        loop_flush_cancel(l, f);
        f->run(f);
    }
}

static void on_loop_prepare(uv_prepare_t *handle)
{
    struct loop *l = container_of(handle, struct loop, prepare);

    /* What timers and closing callbacks left, before sleeping. */
    loop_now(l);
    flush_all(l);
    l->tick++;
}

static void on_loop_check(uv_check_t *handle)
{
    struct loop *l = container_of(handle, struct loop, check);

    loop_now(l);
    flush_all(l);
}

static void loop_free_buffers(struct loop *l)
{
    free(l->cipher_in);
    free(l->record);
    chunk_free(l->spare);
    chunk_queue_clear(&l->chunks);
    while (l->batches != NULL) {
        struct batch *b = l->batches;

        l->batches = b->next;
        free(b);
    }
}

enum err loop_open(struct loop *l)
{
    *l = (struct loop){
        .dirty = { .next = &l->dirty, .prev = &l->dirty },
        .leaving = { .next = &l->leaving, .prev = &l->leaving },
    };
    platform_keep_freed_memory();
    l->cipher_in = aligned_alloc(PAGE, PAGES(READ_BATCH));
    l->record = malloc(TLS_RECORD_MAX);
    if (l->cipher_in == NULL || l->record == NULL) {
        loop_free_buffers(l);
        return ERR_NOMEM;
    }
    /* A peer that is gone is an error of the write, not a signal. libuv leaves
     * that to the program. */
    signal(SIGPIPE, SIG_IGN);
    if (uv_loop_init(&l->uv) != 0) {
        loop_free_buffers(l);
        return ERR_IO;
    }
    /* Neither of these fails. They do not keep the loop alive. */
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    uv_prepare_start(&l->prepare, on_loop_prepare);
    uv_check_start(&l->check, on_loop_check);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    loop_now(l);
    return ERR_OK;
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

void loop_close(struct loop *l)
{
    bool is_alive;

    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    /* What lingers is flushed after each step: nobody else does it now. Close
     * callbacks may flush, and flushes may close. */
    do {
        flush_all(l);
        is_alive = uv_run(&l->uv, UV_RUN_ONCE) != 0;
    } while (is_alive || has_dirty(l));
    int status = uv_loop_close(&l->uv);

    assert(status == 0);
    (void)status;
    loop_free_buffers(l);
}

/* To the end of the list at |head|, if in none. */
static void flush_put(struct flush *head, struct flush *f)
{
    if (f->is_queued) {
        return;
    }
    f->is_queued = true;
    f->next = head;
    f->prev = head->prev;
    f->prev->next = f;
    head->prev = f;
}

void loop_flush_later(struct loop *l, struct flush *f)
{
    flush_put(&l->dirty, f);
}

void loop_flush_last(struct loop *l, struct flush *f)
{
    flush_put(&l->leaving, f);
}

void loop_flush_cancel(struct loop *l, struct flush *f)
{
    (void)l;
    if (!f->is_queued) {
        return;
    }
    f->is_queued = false;
    f->prev->next = f->next;
    f->next->prev = f->prev;
}

uint64_t loop_now(struct loop *l)
{
    l->now_us = clock_us();
    return l->now_us;
}

struct chunk *loop_spare(struct loop *l)
{
    if (l->spare == NULL) {
        l->spare = chunk_new(TLS_RECORD_MAX);
    } else {
        l->spare->start = CHUNK_HEADROOM;
        l->spare->len = 0;
    }
    return l->spare;
}

struct chunk *loop_chunk_take(struct loop *l)
{
    struct chunk *c = chunk_queue_take(&l->chunks);

    return c != NULL ? c : chunk_new(TLS_RECORD_MAX);
}

void loop_chunk_give(struct loop *l, struct chunk *chunk)
{
    if (l->chunks.count == LOOP_CHUNKS_KEPT) {
        chunk_free(chunk);
        return;
    }
    chunk->start = CHUNK_HEADROOM;
    chunk->len = 0;
    chunk_queue_put(&l->chunks, chunk);
}

struct batch *loop_batch_take(struct loop *l)
{
    struct batch *b = l->batches;

    if (b != NULL) {
        l->batches = b->next;
        l->batch_count--;
    } else {
        b = malloc(sizeof(*b));
    }
    if (b != NULL) {
        b->next = NULL;
        b->len = 0;
        b->sent = 0;
    }
    return b;
}

void loop_batch_give(struct loop *l, struct batch *batch)
{
    if (batch == NULL) {
        return;
    }
    if (l->batch_count == LOOP_BATCHES_KEPT) {
        free(batch);
        return;
    }
    batch->next = l->batches;
    l->batches = batch;
    l->batch_count++;
}
