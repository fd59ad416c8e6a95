/*
 * Streams' queues: chunks with the type and flags of the frame they become.
 * The frame header is written into a chunk's headroom when it is taken.
 */
#include "proto/unsent.h"

#include "proto/output.h"

/* Small writes share chunks: no more than this is copied to join the last. */
#define JOIN_MAX (4u * KIB)

/* OPEN's payload before the head. */
#define OPEN_FIXED_MAX 64u

/* Whether all sessions together have no memory for more than a share of this
 * one's own. */
static bool is_relay_short(const struct session *s)
{
    return output_is_relay_full(s) && s->sent.used >= SENT_LOG_GUARANTEED;
}

void unsent_adopt(struct session *s, const struct chunk *c)
{
    pool_charge(&s->sent, chunk_cost(c));
}

void unsent_drop(struct session *s, struct chunk *c)
{
    pool_release(&s->sent, chunk_cost(c));
    chunk_free(c);
}

void unsent_drop_queue(struct session *s, struct chunk_queue *queue)
{
    struct chunk *c;

    while ((c = chunk_queue_take(queue)) != NULL) {
        unsent_drop(s, c);
    }
}

/* Move |c| to the end of |st|'s queue. */
static void put(struct session *s, struct stream *st, struct chunk *c)
{
    unsent_adopt(s, c);
    s->unsent_bytes += c->len;
    chunk_queue_put(&st->unsent, c);
}

/* Cut |block| into HEAD chunks behind |queue|; the last ends the head. */
static enum err cut_head(struct chunk_queue *queue, enum head_kind kind,
                         struct span block, bool fin)
{
    while (block.len > 0) {
        size_t len =
            block.len < FRAME_PAYLOAD_MAX ? block.len : FRAME_PAYLOAD_MAX;
        struct chunk *c = chunk_copy(span_of(block.data, len));

        if (c == NULL) {
            return ERR_NOMEM;
        }
        c->type = FRAME_HEAD;
        c->flags = (uint8_t)(kind << FRAME_HEAD_KIND_SHIFT);
        chunk_queue_put(queue, c);
        block = span_after(block, len);
    }
    assert(queue->tail != NULL);
    queue->tail->flags |= FRAME_END_HEAD;
    if (fin) {
        queue->tail->flags |= FRAME_FIN;
    }
    return ERR_OK;
}

static enum err put_cut(struct session *s, struct stream *st,
                        struct chunk_queue *queue, enum err error)
{
    struct chunk *c;

    if (error != ERR_OK) {
        chunk_queue_clear(queue);
        s->why = "no memory for a head";
        return error;
    }
    while ((c = chunk_queue_take(queue)) != NULL) {
        put(s, st, c);
    }
    unsent_schedule(s, st);
    return ERR_OK;
}

enum err unsent_put_open(struct session *s, struct stream *st,
                         const struct frame_open *o, struct span head, bool fin)
{
    struct chunk_queue queue = { .head = NULL };
    uint8_t fixed[OPEN_FIXED_MAX];
    struct wire_writer w;
    struct chunk *c;
    size_t first;

    wire_writer_init(&w, fixed, sizeof(fixed));
    frame_put_open(&w, o);
    assert(wire_writer_done(&w));

    /* The head's bytes use the window from the first one on. */
    first = FRAME_PAYLOAD_MAX - w.len;
    first = head.len < first ? head.len : first;
    first = st->credit.left < first ? (size_t)st->credit.left : first;
    c = chunk_new(w.len + first);
    if (c == NULL) {
        return put_cut(s, st, &queue, ERR_NOMEM);
    }
    memcpy(chunk_tail(c), fixed, w.len);
    chunk_grow(c, w.len);
    if (first > 0) {
        memcpy(chunk_tail(c), head.data, first);
        chunk_grow(c, first);
    }
    window_credit_use(&st->credit, first);
    c->type = FRAME_OPEN;
    c->flags = 0;
    chunk_queue_put(&queue, c);
    st->is_fin_queued = fin;
    return put_cut(
        s, st, &queue,
        cut_head(&queue, HEAD_REQUEST, span_after(head, first), fin));
}

enum err unsent_put_head(struct session *s, struct stream *st,
                         enum head_kind kind, struct span block, bool fin)
{
    struct chunk_queue queue = { .head = NULL };
    enum err error = cut_head(&queue, kind, block, fin);

    st->is_fin_queued = fin && error == ERR_OK;
    return put_cut(s, st, &queue, error);
}

/*
 * Join the bytes of |c| to |st|'s last chunk if they fit there, so that many
 * small writes to a blocked stream do not cost a chunk each.
 */
static bool join_last(struct session *s, struct stream *st,
                      const struct chunk *c)
{
    struct chunk *last = st->unsent.tail;

    if (c->len > JOIN_MAX || last == NULL || last->type != FRAME_DATA ||
        c->len > chunk_room(last) || last->len + c->len > FRAME_PAYLOAD_MAX) {
        return false;
    }
    memcpy(chunk_tail(last), chunk_span(c).data, c->len);
    chunk_grow(last, c->len);
    st->unsent.bytes += c->len;
    s->unsent_bytes += c->len;
    return true;
}

/* A large chunk with little in it is exchanged for one of its size. */
static struct chunk *shrunk(struct chunk *c)
{
    size_t capacity = c->len < 256 ? 512 : c->len * 2;
    struct chunk *small;

    if (c->len > JOIN_MAX || capacity * 2 > c->capacity) {
        return c;
    }
    small = chunk_new(capacity);
    if (small == NULL) {
        return c;
    }
    memcpy(chunk_tail(small), chunk_span(c).data, c->len);
    chunk_grow(small, c->len);
    chunk_free(c);
    return small;
}

void unsent_put_data(struct session *s, struct stream *st, struct chunk *data)
{
    if (join_last(s, st, data)) {
        chunk_free(data);
        return;
    }
    data = shrunk(data);
    data->type = FRAME_DATA;
    data->flags = 0;
    put(s, st, data);
    unsent_schedule(s, st);
}

enum err unsent_put_fin(struct session *s, struct stream *st)
{
    struct chunk *last = st->unsent.tail;

    if (last == NULL) {
        last = chunk_new(0);
        if (last == NULL) {
            s->why = "no memory for FIN";
            return ERR_NOMEM;
        }
        last->type = FRAME_DATA;
        last->flags = FRAME_FIN;
        put(s, st, last);
        unsent_schedule(s, st);
    } else {
        last->flags |= FRAME_FIN;
    }
    st->is_fin_queued = true;
    return ERR_OK;
}

/*
 * What a stream may queue though its session's queues are full: one frame that
 * can leave at once. Or streams that have stalled would stop all the others.
 */
static bool has_own_share(const struct session *s, const struct stream *st)
{
    return st->unsent.count == 0 && st->credit.left > 0 &&
           s->slots[st->slot].has_link && !is_relay_short(s);
}

/* |st|'s writer waits for room; before all others if that is there for it. */
static void wait_for_room(struct session *s, struct stream *st)
{
    struct stream_list *waiting = &s->slots[st->slot].waiting;

    if (has_own_share(s, st)) {
        stream_list_leave(st, LIST_WAITING);
        stream_list_put_first(waiting, LIST_WAITING, st);
    } else if (!stream_list_has(st, LIST_WAITING)) {
        stream_list_put(waiting, LIST_WAITING, st);
    }
}

void unsent_schedule(struct session *s, struct stream *st)
{
    const struct chunk *first = st->unsent.head;

    if (stream_list_has(st, LIST_WAITING)) {
        wait_for_room(s, st);
    }
    if (stream_list_has(st, LIST_READY)) {
        return;
    }
    if (first != NULL &&
        (first->type == FRAME_OPEN || first->len == 0 || st->credit.left > 0)) {
        sched_put(&s->slots[st->slot].sched, st);
    } else {
        sched_remove(st);
    }
}

/*
 * The first |len| bytes of |st|'s first chunk as a chunk of their own: the
 * sent part stays in the sent log, so one of the parts must be copied, and it
 * is the shorter one.
 */
static struct chunk *split_first(struct session *s, struct stream *st,
                                 size_t len)
{
    struct chunk *c = st->unsent.head;
    struct span rest = span_after(chunk_span(c), len);
    struct chunk *part =
        chunk_copy(len <= rest.len ? span_of(chunk_span(c).data, len) : rest);

    if (part == NULL) {
        return NULL;
    }
    unsent_adopt(s, part);
    part->type = c->type;
    if (len <= rest.len) {
        part->flags = c->flags & (uint8_t)(~(FRAME_FIN | FRAME_END_HEAD));
        chunk_drop(c, len);
        st->unsent.bytes -= len;
        return part;
    }
    part->flags = c->flags;
    c = chunk_queue_take(&st->unsent);
    c->flags &= (uint8_t)(~(FRAME_FIN | FRAME_END_HEAD));
    c->len = (uint32_t)len;
    part->next = st->unsent.head;
    st->unsent.head = part;
    st->unsent.tail = part->next == NULL ? part : st->unsent.tail;
    st->unsent.bytes += part->len;
    st->unsent.count++;
    return c;
}

struct chunk *unsent_take(struct session *s, struct stream *st, size_t quantum)
{
    struct chunk *c = st->unsent.head;
    struct frame_header header = { .stream = st->id };
    uint64_t max = st->credit.left;

    if (c->type == FRAME_DATA && quantum < max) {
        max = quantum;
    }
    if (c->type != FRAME_OPEN && c->len > max) {
        c = split_first(s, st, (size_t)max);
        if (c == NULL) {
            return NULL;
        }
    } else {
        c = chunk_queue_take(&st->unsent);
    }
    s->unsent_bytes -= c->len;
    if (c->type != FRAME_OPEN) {
        window_credit_use(&st->credit, c->len);
    }
    if (c->type == FRAME_DATA && c->len > 0 && st->credit.left == 0) {
        c->flags |= FRAME_BLOCKED;
    }
    header.len = (uint16_t)c->len;
    header.type = c->type;
    header.flags = c->flags;
    frame_header_put(chunk_prepend(c, FRAME_HEADER_LEN), &header);
    c->stream = st->id;
    if (st->is_waiting && st->unsent.bytes < UNSENT_STREAM_LOW) {
        wait_for_room(s, st);
    }
    return c;
}

void unsent_clear(struct session *s, struct stream *st)
{
    sched_remove(st);
    stream_list_leave(st, LIST_WAITING);
    s->unsent_bytes -= st->unsent.bytes;
    unsent_drop_queue(s, &st->unsent);
}

/* What the session's queues may still take together. */
static uint64_t session_left(const struct session *s, uint64_t max)
{
    if (is_relay_short(s)) {
        return 0;
    }
    return s->unsent_bytes < max ? max - s->unsent_bytes : 0;
}

static uint64_t session_max(bool has_link)
{
    return has_link ? UNSENT_SESSION_MAX : AWAY_SESSION_MAX;
}

size_t unsent_room(struct session *s, struct stream *st)
{
    bool has_link = s->slots[st->slot].has_link;
    size_t max = has_link ? UNSENT_STREAM_MAX : AWAY_STREAM_MAX;
    size_t room = 0;
    uint64_t left = session_left(s, session_max(has_link));

    if (st->is_fin_queued) {
        return 0;
    }
    if (st->unsent.bytes < max) {
        room = max - st->unsent.bytes;
        room = left < room ? (size_t)left : room;
    }
    if (room < FRAME_PAYLOAD_MAX && has_own_share(s, st)) {
        return FRAME_PAYLOAD_MAX;
    }
    if (room == 0) {
        st->is_waiting = true;
        if (st->unsent.bytes < UNSENT_STREAM_LOW) {
            wait_for_room(s, st);
        }
    }
    return room;
}

/* Whether the first of those that wait may write again. */
static bool is_writable(const struct session *s, const struct stream *st)
{
    uint64_t max = session_max(s->slots[st->slot].has_link) / 4 * 3;

    return session_left(s, max) > 0 || has_own_share(s, st);
}

struct stream *unsent_pop_writable(struct session *s)
{
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        struct stream *st = s->slots[i].waiting.first;

        if (st != NULL && is_writable(s, st)) {
            stream_list_leave(st, LIST_WAITING);
            st->is_waiting = false;
            return st;
        }
    }
    return NULL;
}
