/*
 * The life of one stream: its state table with the single function that
 * changes the state, the struct that holds what both directions need, and the
 * intrusive lists a stream stands in. What is queued and when it leaves is
 * decided in unsent, sched and output.
 */
#ifndef PROTO_STREAM_H
#define PROTO_STREAM_H

#include "proto/chunk.h"
#include "proto/collector.h"
#include "proto/session.h"
#include "proto/window.h"

enum stream_state {
    STREAM_OPEN,     /* both directions */
    STREAM_SENT_FIN, /* we send nothing more */
    STREAM_GOT_FIN,  /* the peer sends nothing more */
    STREAM_DONE      /* over */
};
#define STREAM_STATES 4

enum stream_input {
    STREAM_SEND_FIN, /* a frame with FIN was picked */
    STREAM_RECV_FIN, /* a frame with FIN came */
    STREAM_RESET     /* RESET, either way */
};
#define STREAM_INPUTS 3

/* How far the heads and the body of one direction have come. */
enum stream_phase {
    PHASE_HEADS,  /* a response: the final head is still to come */
    PHASE_BODY,   /* data */
    PHASE_TRAILED /* trailers were last; only FIN is left */
};

/* The lists a stream may stand in, one of each kind at a time. */
enum stream_list_kind {
    LIST_READY,  /* may send: sched */
    LIST_GRANT,  /* a WINDOW is due */
    LIST_WAITING /* its writer waits for room */
};
#define STREAM_LIST_KINDS 3

struct stream_list {
    struct stream *first;
    struct stream *last;
};

struct stream_link {
    struct stream *prev;
    struct stream *next;
    struct stream_list *list; /* NULL: in none */
};

struct stream {
    uint32_t id;
    uint16_t tunnel;
    uint8_t slot;
    enum stream_kind kind;
    enum stream_state state; /* written by stream_apply() only */
    void *owner;
    struct frame_open open; /* client: till the head is whole */
    bool is_open_sent;      /* OPEN was picked, or received */
    bool is_announced;      /* the owner's side knows of it */
    bool is_stopped;        /* STOP was queued */
    bool is_fin_queued;     /* FIN stands on the last chunk, or was sent */
    bool is_waiting;        /* its writer was told to stop */
    bool is_over;           /* DONE and settled; only its bytes are read yet */

    struct chunk_queue unsent;
    struct window_credit credit;
    enum stream_phase send_phase;
    enum stream_class class;
    uint64_t sent_bytes;  /* payload of DATA */
    uint64_t burst_bytes; /* of late: a leaky bucket, see sched */
    uint64_t burst_us;
    size_t deficit; /* bytes it may send in this round */

    struct window_grant window;
    uint64_t moved_us; /* when some of what it holds was consumed, or began */
    enum stream_phase receive_phase;
    struct collector collector;

    struct stream_link links[STREAM_LIST_KINDS];
};

/* A new stream in STREAM_OPEN; NULL without memory. */
struct stream *stream_new(uint32_t id, uint8_t slot,
                          const struct frame_open *open);

/* Free |st|, which is in no list and whose queue is empty. NULL is fine. */
void stream_free(struct stream *st);

/*
 * The one place that changes a state. ERR_PROTOCOL when |input| may not come
 * in this state, ERR_ABSENT when the stream is over; the state stays then.
 */
MUST_CHECK enum err stream_apply(struct stream *st, enum stream_input input);

/* Bytes that were received and have not been consumed. */
uint64_t stream_held(const struct stream *st);

/* Put |st|, which is in no list of |kind|, at the end or front of |list|. */
void stream_list_put(struct stream_list *list, enum stream_list_kind kind,
                     struct stream *st);
void stream_list_put_first(struct stream_list *list, enum stream_list_kind kind,
                           struct stream *st);

/* Take |st| out of its list of |kind|, if it is in one. */
void stream_list_leave(struct stream *st, enum stream_list_kind kind);

/* Whether |st| stands in a list of |kind|. */
bool stream_list_has(const struct stream *st, enum stream_list_kind kind);

#endif
