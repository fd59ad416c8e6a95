/*
 * Two sessions, a relay's and a client's, joined in memory: what one puts out
 * goes into a wire, one for each slot, and from there in pieces into the other.
 */
#ifndef TESTS_SUPPORT_PAIR_H
#define TESTS_SUPPORT_PAIR_H

#include "proto/session.h"

struct pair_wire {
    uint8_t *bytes;
    size_t len;
    size_t capacity;
    size_t taken; /* given to the other end already */
};

struct pair_end {
    struct session *session;
    struct pair_wire wires[SLOTS_MAX]; /* what it has sent */
    struct pool receive;               /* parents of the session's own */
    struct pool sent;
};

struct pair {
    struct pair_end relay;
    struct pair_end client;
    uint64_t now_us;
    /* Told of each frame as it is put out; may be NULL. */
    void (*watch)(void *arg, const struct pair_end *from, unsigned slot,
                  struct span frame);
    void *watch_arg;
};

/* Sessions with an express link each, |window| as first window of both. */
void pair_init(struct pair *p, uint32_t window);

/* The same, with at most |receive_max| bytes received and unconsumed. */
void pair_init_small(struct pair *p, uint32_t window, uint64_t receive_max);
void pair_deinit(struct pair *p);

/* Move what |from| has to send into its wire, at most |frames| frames. */
void pair_send(struct pair *p, struct pair_end *from, size_t frames);

/* Lose what lies in both wires. */
void pair_cut(struct pair *p);

/* How many bytes lie in |from|'s wire. */
size_t pair_waiting(const struct pair_end *from);

/*
 * Give |to| at most |len| bytes of |from|'s wire, till one step gives an
 * event; EVENT_NONE when the bytes are used up without one.
 */
MUST_CHECK enum err pair_step(struct pair *p, struct pair_end *from,
                              struct pair_end *to, size_t *len,
                              struct session_event *event);

/* The same calls for the link in |slot|; those above are the express link's. */
void pair_slot_send(struct pair *p, struct pair_end *from, unsigned slot,
                    size_t frames);
void pair_slot_cut(struct pair *p, unsigned slot);
size_t pair_slot_waiting(const struct pair_end *from, unsigned slot);
MUST_CHECK enum err pair_slot_step(struct pair *p, struct pair_end *to,
                                   unsigned slot, size_t *len,
                                   struct session_event *event);

/* Send all of |from| and step |to| once or till an event; false: nothing. */
bool pair_next(struct pair *p, struct pair_end *from, struct pair_end *to,
               struct session_event *event);

/* Carry everything both ways till neither has more; events are dropped. */
void pair_settle(struct pair *p);

/* An OPEN for |tunnel| that is complete in itself. */
struct frame_open pair_open(uint16_t tunnel);

/* Open a stream with the head "x" for tunnel 1 at the relay; its id. */
uint32_t pair_open_stream(struct pair *p);

/* Bind |tunnel| at the client and carry it over. */
void pair_bind(struct pair *p, uint16_t tunnel);

#endif
