/*
 * The only loop that joins the pure session to a socket. Received bytes become
 * steps and events, what the session wants to send becomes records, and its
 * deadline a timer. The link is always read: windows hold back a sender,
 * never a link that stopped reading.
 */
#include "common/link.h"

#include <stdlib.h>

#include "common/timer.h"

/* Larger frames go into a record of their own: copying them would cost more
 * than the record saves. */
#define GATHER_BELOW (4u * KIB)
/* For the word why a session failed: one frame, if the peer reads at all. */
#define LAST_WORD_US (1 * US_PER_S)
/* BBR's 10 s, and time to spare. */
#define RENEW_EACH_US (8 * US_PER_S)

struct link {
    struct conn *conn;
    struct session *session;
    struct loop *loop;
    struct timer *timer;
    struct flush flush;
    struct link_handler handler;
    unsigned slot;
    unsigned depth;      /* of our calls on the stack: memory stays till 0 */
    uint64_t renewed_us; /* when its congestion control began */
    bool has_ended;      /* on_end was called, or is not wanted any more */
    bool is_suspect;     /* on_suspect was called for this silence */
    bool has_last_word;  /* queued: worth lingering for */
    bool is_closed;      /* link_close() was called */
};

static void link_enter(struct link *l)
{
    l->depth++;
}

static void link_leave(struct link *l)
{
    assert(l->depth > 0);
    l->depth--;
    if (l->depth == 0 && l->is_closed) {
        free(l);
    }
}

static void link_end(struct link *l, enum link_end how, enum err error,
                     const char *why)
{
    if (l->has_ended) {
        return;
    }
    l->has_ended = true;
    loop_flush_cancel(l->loop, &l->flush);
    timer_stop(l->timer);
    session_link_lost(l->session, l->slot, l->loop->now_us);
    l->handler.on_end(l->handler.owner, how, error, why);
}

/* What came is charged to a pool, also heads that are not whole: without an
 * event. And time makes a stream stalled. */
static void link_look_at_pool(struct link *l)
{
    if (!l->has_ended && session_shed_due(l->session, l->loop->now_us)) {
        l->handler.on_pressure(l->handler.owner);
    }
}

/*
 * PROTOCOL.md, "The end": GOAWAY with the error that ended the session, past
 * the dead session and all that waits in it.
 */
static void link_fail(struct link *l, enum err error)
{
    const char *why = session_why(l->session);
    uint8_t bytes[FRAME_HEADER_LEN + 3 + SENTENCE_MAX_LEN];
    struct frame_header h = { .type = FRAME_GOAWAY };
    struct wire_writer w;

    if (l->has_ended) {
        return;
    }
    wire_writer_init(&w, bytes + FRAME_HEADER_LEN,
                     sizeof(bytes) - FRAME_HEADER_LEN);
    frame_put_goaway(&w, error_is_wire(error) ? error : ERR_PROTOCOL,
                     span_text(why));
    assert(wire_writer_done(&w));
    h.len = (uint16_t)w.len;
    frame_header_put(bytes, &h);
    l->has_last_word =
        conn_write(l->conn, span_of(bytes, FRAME_HEADER_LEN + w.len)) == ERR_OK;
    link_end(l, LINK_FAILED, error, why);
}

/* Step the session over |in|, event by event. */
static void link_feed(struct link *l, struct span in)
{
    while (in.len > 0 && !l->has_ended) {
        struct session_event event;
        size_t used;
        enum err e = session_step(l->session, l->slot, l->loop->now_us, in,
                                  &used, &event);

        if (e != ERR_OK) {
            link_fail(l, e);
            return;
        }
        in = span_after(in, used);
        if (event.kind != EVENT_NONE) {
            l->handler.on_event(l->handler.owner, &event);
        }
        link_look_at_pool(l);
    }
}

static void link_data(struct link *l)
{
    struct span in = conn_input(l->conn);

    link_feed(l, in);
    if (!l->has_ended) {
        conn_consume(l->conn, in.len);
        link_wake(l);
    }
}

static void on_link_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct link *l = owner;

    link_enter(l);
    switch (event) {
    case CONN_UP:
        break;
    case CONN_DATA:
        link_data(l);
        break;
    case CONN_SENT:
        if (!l->has_ended) {
            link_wake(l);
        }
        break;
    case CONN_EOF:
        link_end(l, LINK_LOST, ERR_CLOSED, "the other end closed the link");
        break;
    case CONN_DOWN:
        link_end(l, LINK_LOST, conn_error(c), conn_why(c));
        break;
    }
    link_leave(l);
}

/* Frames gathered in the loop's record buffer become one record. */
static enum err link_write_record(struct link *l, size_t *gathered)
{
    size_t len = *gathered;

    *gathered = 0;
    return len == 0 ? ERR_OK
                    : conn_write(l->conn, span_of(l->loop->record, len));
}

/* How much may wait in the connection: less while somebody is in a hurry. */
static size_t link_ahead_max(const struct link *l)
{
    size_t burst = conn_burst(l->conn);
    size_t ahead = session_ahead(l->session, l->slot);

    return burst < ahead ? burst : ahead;
}

/* Whoever is in a hurry would hear it when BBR stops. Little is queued then,
 * so that beginning anew costs nothing. */
static void link_renew(struct link *l)
{
    if (session_ahead(l->session, l->slot) != SIZE_MAX &&
        l->loop->now_us - l->renewed_us >= RENEW_EACH_US) {
        l->renewed_us = l->loop->now_us;
        conn_renew_link(l->conn);
    }
}

/*
 * Move frames into the connection while little waits there: what was encrypted
 * cannot be overtaken any more. Small frames share a record, whole ones only.
 */
static enum err link_send(struct link *l)
{
    size_t gathered = 0;

    link_renew(l);

    while (conn_unsent(l->conn) < link_ahead_max(l) &&
           session_has_output(l->session, l->slot)) {
        struct span frame =
            session_output(l->session, l->slot, l->loop->now_us);

        if (frame.len == 0) {
            break;
        }
        assert(frame.len <= TLS_RECORD_MAX);
        if (frame.len >= GATHER_BELOW ||
            gathered + frame.len > TLS_RECORD_MAX) {
            TRY(link_write_record(l, &gathered));
        }
        if (frame.len >= GATHER_BELOW) {
            TRY(conn_write(l->conn, frame));
            continue;
        }
        memcpy(l->loop->record + gathered, frame.data, frame.len);
        gathered += frame.len;
    }
    return link_write_record(l, &gathered);
}

/* Streams whose queues were full and have emptied may be written to again. */
static void link_tell_writable(struct link *l)
{
    void *owner;
    uint32_t stream;

    while (!l->has_ended) {
        owner = session_pop_writable(l->session, &stream);
        if (owner == NULL) {
            return;
        }
        l->handler.on_writable(l->handler.owner, owner, stream);
    }
}

/* Here, not by the timer alone: a flush between the moment from which on the
 * link is suspect and the timer's call for it sets the timer anew. */
static void link_look_at_silence(struct link *l)
{
    bool before = l->is_suspect;

    if (l->has_ended) {
        return;
    }
    l->is_suspect = session_is_suspect(l->session, l->slot, l->loop->now_us);
    if (l->is_suspect && !before && l->handler.on_suspect != NULL) {
        l->handler.on_suspect(l->handler.owner);
    }
}

static void link_flush(struct flush *f)
{
    struct link *l = container_of(f, struct link, flush);
    enum err e;

    link_enter(l);
    e = link_send(l);
    if (e != ERR_OK && e != ERR_CLOSED) {
        link_end(l, LINK_LOST, e, error_text(e));
    }
    /* ERR_CLOSED: CONN_EOF or CONN_DOWN will say more. */
    link_tell_writable(l);
    link_look_at_silence(l);
    if (!l->has_ended) {
        timer_set(l->timer, session_deadline(l->session, l->slot));
    }
    link_leave(l);
}

static void on_link_timer(void *owner)
{
    struct link *l = owner;
    enum err e = session_tick(l->session, l->slot, l->loop->now_us);

    link_enter(l);
    if (e == ERR_TIMEOUT) {
        link_end(l, LINK_LOST, e, session_why(l->session));
    } else if (e != ERR_OK) {
        link_fail(l, e);
    } else {
        link_look_at_pool(l);
        link_wake(l);
    }
    link_leave(l);
}

struct link *link_open_adopt(struct conn *c, struct session *s, unsigned slot,
                             const struct link_handler *h)
{
    struct link *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        return NULL;
    }
    l->loop = conn_loop(c);
    l->timer = timer_new(l->loop, on_link_timer, l);
    if (l->timer == NULL) {
        free(l);
        return NULL;
    }
    l->conn = c;
    l->renewed_us = loop_now(l->loop);
    l->session = s;
    l->slot = slot;
    l->handler = *h;
    l->flush.run = link_flush;
    conn_tune_link(c);
    conn_keep_records(c);
    conn_set_owner(c, on_link_conn, l);
    assert(session_has_link(s, slot));
    /* What came behind the login is given as CONN_DATA later in this tick. */
    conn_resume(c);
    link_wake(l);
    return l;
}

void link_wake(struct link *l)
{
    if (!l->has_ended) {
        loop_flush_later(l->loop, &l->flush);
    }
}

void link_wake_carrier(struct carrier *c)
{
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (c->links[i] != NULL) {
            link_wake(c->links[i]);
        }
    }
}

void link_close(struct link *l, uint64_t linger_us)
{
    if (l == NULL) {
        return;
    }
    assert(!l->is_closed);
    if (!l->has_ended) {
        /* What the session still wants to say (GOAWAY) goes first. */
        if (linger_us != 0 && link_send(l) != ERR_OK) {
            linger_us = 0;
        }
        l->has_ended = true;
        session_link_lost(l->session, l->slot, l->loop->now_us);
    }
    if (l->has_last_word && linger_us < LAST_WORD_US) {
        linger_us = LAST_WORD_US;
    }
    loop_flush_cancel(l->loop, &l->flush);
    timer_close(l->timer);
    conn_close(l->conn, linger_us);
    l->conn = NULL;
    l->is_closed = true;
    link_enter(l);
    link_leave(l);
}

struct conn *link_conn(struct link *l)
{
    return l->conn;
}
