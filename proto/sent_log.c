/*
 * Frames in the order they were sent. Chunks move in from the streams' queues
 * and are freed by ACK; nothing is copied (PROTOCOL.md, "Positions").
 */
#include "proto/sent_log.h"

void sent_log_put(struct sent_log *log, struct chunk *frame, uint64_t now_us)
{
    assert(log->again == NULL && log->handed == log->end);
    if (log->frames.count == 0) {
        log->moved_us = now_us;
    }
    log->end += frame->len;
    log->handed = log->end;
    log->cost += chunk_cost(frame);
    frame->position = log->end;
    chunk_queue_put(&log->frames, frame);
}

enum err sent_log_ack(struct sent_log *log, uint64_t position, uint64_t now_us,
                      uint64_t *freed)
{
    if (position > log->handed) {
        return ERR_PROTOCOL;
    }
    while (log->frames.head != NULL && log->frames.head->position <= position) {
        struct chunk *c = chunk_queue_take(&log->frames);

        assert(c != log->again);
        log->acked = c->position;
        log->cost -= chunk_cost(c);
        log->moved_us = now_us;
        *freed += chunk_cost(c);
        chunk_free(c);
    }
    return position > log->acked ? ERR_PROTOCOL : ERR_OK;
}

bool sent_log_may_resume(const struct sent_log *log, uint64_t position)
{
    const struct chunk *c = log->frames.head;

    if (position == log->acked) {
        return true;
    }
    while (c != NULL && c->position < position) {
        c = c->next;
    }
    return c != NULL && c->position == position;
}

enum err sent_log_resume(struct sent_log *log, uint64_t position,
                         uint64_t now_us, uint64_t *freed)
{
    if (!sent_log_may_resume(log, position)) {
        return ERR_PROTOCOL;
    }
    log->again = NULL;
    log->handed = log->end;
    TRY(sent_log_ack(log, position, now_us, freed));
    log->again = log->frames.head;
    log->handed = log->acked;
    log->moved_us = now_us;
    return ERR_OK;
}

struct span sent_log_again(struct sent_log *log)
{
    struct chunk *c = log->again;

    if (c == NULL) {
        return span_of(NULL, 0);
    }
    log->again = c->next;
    log->handed = c->position;
    return chunk_span(c);
}

void sent_log_clear(struct sent_log *log)
{
    chunk_queue_clear(&log->frames);
    *log = (struct sent_log){ .again = NULL };
}
