/*
 * One request and its response as the two ends play it: what each writes and
 * when, how fast the other consumes it, who cuts it off. Every received byte
 * is compared with what must stand there.
 */
#ifndef TESTS_SIM_EXCHANGE_H
#define TESTS_SIM_EXCHANGE_H

#include "proto/session.h"
#include "tests/sim/dice.h"

enum exchange_end { END_RELAY, END_CLIENT };

/* Who ends it early. */
enum exchange_cut { CUT_NONE, CUT_BY_RELAY, CUT_BY_CLIENT, CUT_BY_STOP };

/* One direction. */
struct exchange_flow {
    size_t len; /* of the body */
    bool has_trailers;
    unsigned informational; /* heads before the final one */
    /* The writer. */
    size_t written;
    unsigned informational_written;
    bool is_head_written;
    bool is_fin_written;
    bool is_paused; /* told that there is no room */
    /* The reader. */
    size_t got;
    size_t held; /* not consumed yet */
    unsigned informational_got;
    bool has_head;
    bool got_trailers;
    bool has_fin;
    unsigned pace; /* 0 does not consume, 3 all at once */
};

struct exchange {
    unsigned index;
    uint32_t id;
    uint16_t tunnel;
    unsigned slot;
    enum stream_kind kind;
    enum exchange_cut cut;
    size_t cut_at;   /* bytes that the cutter has written or got */
    bool is_cut;     /* somebody reset it */
    bool is_gone[2]; /* for that end: reset by it, or it heard of it */
    bool is_stopped;
    struct exchange_flow up;   /* relay to client */
    struct exchange_flow down; /* client to relay */
};

/* Make up |e|, the |index|th, for |tunnel|. */
void exchange_plan(struct exchange *e, unsigned index, uint16_t tunnel,
                   struct dice *d);

/* Open it at the relay on |slot|; false when a limit forbids it now. */
bool exchange_open(struct exchange *e, struct session *relay, unsigned slot);

/* Let |end| do one thing: write, consume, cut off. */
void exchange_act(struct exchange *e, enum exchange_end end, struct session *s,
                  struct dice *d);

/* No more cuts; all consume as fast as they can: towards the end. */
void exchange_hurry(struct exchange *e);

/* |event|, which names |e|'s stream, happened at |end|. */
void exchange_take(struct exchange *e, enum exchange_end end, struct session *s,
                   const struct session_event *event, struct dice *d);

/* |end| may write again. */
void exchange_resume(struct exchange *e, enum exchange_end end);

/* Its owner at |end| lost the stream without an event (UNBOUND, or its slot
 * begins anew). */
void exchange_drop(struct exchange *e, enum exchange_end end);

/* Both ends have nothing more to do; it ended as it had to. */
bool exchange_is_over(const struct exchange *e, const struct session *relay,
                      const struct session *client);

#endif
