/*
 * A line between two sessions, for one slot: a rate, a delay, and a queue
 * before it that takes all it is given up to its length, as kernels and routers
 * do.
 */
#ifndef TESTS_SIM_LINE_H
#define TESTS_SIM_LINE_H

#include "tests/support/pair.h"

#define LINE_FRAMES 8192u

struct line_frame {
    uint64_t at_us; /* when its last byte arrives */
    size_t len;
};

/* One direction. */
struct line_way {
    uint64_t free_us; /* when all that was sent has left the queue */
    struct line_frame frames[LINE_FRAMES];
    size_t first;
    size_t count;
};

struct line {
    struct pair *pair;
    unsigned slot;
    uint64_t bytes_per_s;
    uint64_t delay_us; /* one way */
    size_t queue;      /* bytes */
    struct line_way to_client;
    struct line_way to_relay;
};

/* Send what |from| has, as far as the queue takes it. */
void line_send(struct line *l, struct pair_end *from);

/*
 * Give |to| what has arrived, till a step gives an event; false: nothing (any
 * more). A session that fails ends the program.
 */
bool line_receive(struct line *l, struct pair_end *to,
                  struct session_event *event);

#endif
