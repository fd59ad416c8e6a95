/*
 * Interactive first, but not alone: while bulk waits, what interactive streams
 * send beyond one batch is matched by bulk byte for byte, so that no class
 * starves the other.
 */
#include "proto/sched.h"

/* What an interactive crowd may send before bulk gets every other byte. */
#define AHEAD_MAX WRITE_BATCH

/*
 * A stream is bulk while its bucket holds more than BURST_MAX; the bucket
 * leaks BURST_LEAK a second, so that 65 kB/s of voice never fills it.
 */
#define BURST_MAX (256u * KIB)
#define BURST_LEAK (256u * KIB)

/* A response's first bytes are what a page waits for. */
#define AUTO_INTERACTIVE_MAX (32u * KIB)

static bool is_interactive(const struct stream *st)
{
    if (st->burst_bytes > BURST_MAX) {
        return false;
    }
    switch (st->class) {
    case CLASS_AUTO:
        return st->sent_bytes < AUTO_INTERACTIVE_MAX;
    case CLASS_INTERACTIVE:
        return true;
    case CLASS_BULK:
        break;
    }
    return false;
}

bool sched_is_urgent(const struct stream *st)
{
    return st->class == CLASS_INTERACTIVE && is_interactive(st);
}

static enum sched_queue queue_of(const struct stream *st)
{
    assert(st->unsent.head != NULL);
    if (st->unsent.head->type == FRAME_OPEN) {
        return SCHED_OPENING;
    }
    if (st->unsent.head->type == FRAME_HEAD) {
        return SCHED_HEADS;
    }
    return is_interactive(st) ? SCHED_INTERACTIVE : SCHED_BULK;
}

void sched_put(struct sched *sched, struct stream *st)
{
    enum sched_queue queue = queue_of(st);
    struct stream_list *list = &sched->queues[queue];

    /* In its round of bulk a stream goes on till its deficit is used up. */
    if (queue == SCHED_BULK && st->deficit > 0 &&
        st->deficit >= st->unsent.head->len) {
        stream_list_put_first(list, LIST_READY, st);
    } else {
        stream_list_put(list, LIST_READY, st);
    }
}

void sched_remove(struct stream *st)
{
    st->deficit = 0;
    stream_list_leave(st, LIST_READY);
}

/* The bulk stream whose turn may come, if any may. */
static struct stream *first_bulk(const struct sched *sched,
                                 enum sched_scope scope)
{
    /* An interactive crowd fills the line without any bulk in flight. */
    bool may_send = scope == SCHED_ALL ||
                    (scope == SCHED_URGENT && sched->ahead >= AHEAD_MAX);

    return may_send ? sched->queues[SCHED_BULK].first : NULL;
}

bool sched_is_ready(const struct sched *sched, enum sched_scope scope)
{
    if (scope == SCHED_NOTHING) {
        return false;
    }
    if (sched->queues[SCHED_OPENING].first != NULL ||
        sched->queues[SCHED_HEADS].first != NULL) {
        return true;
    }
    if (scope == SCHED_HEADS_ONLY) {
        return false;
    }
    return sched->queues[SCHED_INTERACTIVE].first != NULL ||
           first_bulk(sched, scope) != NULL;
}

/* The first of the interactive queues, each in its turn. */
static struct stream *first_interactive(struct sched *sched,
                                        enum sched_scope scope)
{
    unsigned queues =
        scope == SCHED_HEADS_ONLY ? SCHED_INTERACTIVE : SCHED_BULK;

    for (unsigned i = 0; i < queues; i++) {
        unsigned queue = (sched->turn + i) % queues;
        struct stream *st = sched->queues[queue].first;

        if (st != NULL) {
            sched->turn = queue + 1;
            return st;
        }
    }
    return NULL;
}

struct stream *sched_take(struct sched *sched, enum sched_scope scope,
                          size_t quantum)
{
    struct stream *bulk = first_bulk(sched, scope);
    struct stream *st = NULL;

    if (scope == SCHED_NOTHING) {
        return NULL;
    }
    if (sched->queues[SCHED_BULK].first == NULL || scope == SCHED_HEADS_ONLY) {
        sched->ahead = 0;
    }
    if (bulk == NULL || sched->ahead < AHEAD_MAX) {
        st = first_interactive(sched, scope);
    }
    if (st == NULL && bulk != NULL) {
        size_t len = bulk->unsent.head->len;

        st = bulk;
        if (st->deficit < (len < quantum ? len : quantum)) {
            st->deficit += quantum;
        }
    }
    if (st != NULL) {
        stream_list_leave(st, LIST_READY);
    }
    return st;
}

static void count_burst(struct stream *st, size_t len, uint64_t now_us)
{
    uint64_t passed_us = now_us - st->burst_us;
    uint64_t leaked = passed_us >= 10 * US_PER_S
                          ? st->burst_bytes
                          : passed_us * BURST_LEAK / US_PER_S;

    st->burst_us = now_us;
    st->burst_bytes -= leaked < st->burst_bytes ? leaked : st->burst_bytes;
    st->burst_bytes += len;
    if (st->burst_bytes > 2 * BURST_MAX) {
        st->burst_bytes = 2 * BURST_MAX; /* a second's pause ends the burst */
    }
}

void sched_sent(struct sched *sched, struct stream *st, uint8_t type,
                size_t len, uint64_t now_us)
{
    bool was_bulk = type == FRAME_DATA && !is_interactive(st);

    if (type == FRAME_DATA) {
        count_burst(st, len, now_us);
        st->sent_bytes += len;
    }
    if (was_bulk) {
        st->deficit -= len < st->deficit ? len : st->deficit;
        sched->ahead -= len < sched->ahead ? len : sched->ahead;
    } else {
        sched->ahead += len;
    }
}
