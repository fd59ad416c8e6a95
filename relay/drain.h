/*
 * The end of a worker, so that nobody is refused and nothing is cut that can
 * still finish: what is told, waited for and closed, and in which order. It
 * depends on whose the listening sockets are.
 *
 *   passed to us:  LETTING_IN -> STREAMS -> OVER
 *   our own:                     STREAMS -> CLOSING -> OVER
 */
#ifndef RELAY_DRAIN_H
#define RELAY_DRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/error.h"

struct timer;
struct worker;

enum drain_stage {
    DRAIN_NOT,
    DRAIN_LETTING_IN, /* the doors are another's; who came in is served */
    DRAIN_STREAMS,    /* the clients were told; what is under way ends */
    DRAIN_CLOSING,    /* the doors were closed; who came in is answered */
    DRAIN_OVER
};

/* Embedded in a worker. */
struct drain {
    struct timer *timer;
    enum drain_stage stage;
    uint64_t stage_us; /* when LETTING_IN or CLOSING is cut short */
    uint64_t limit_us; /* when all is */
};

/* ERR_NOMEM. */
MUST_CHECK enum err drain_init(struct worker *w);

/* Begin; again: end at once. All ends within DRAIN_RELAY_US. */
void drain_start(struct worker *w);

/* End at once: what keeps the loop alive goes. */
void drain_end(struct worker *w);

/* The worker ends if it drains and nothing is left to wait for. Called
 * whenever a connection or a session is gone. */
void drain_look(struct worker *w);

/* Whether it has begun: connections are not kept for another request. */
bool drain_is_on(const struct worker *w);

/* Whether the clients were told: no session takes anything new. */
bool drain_is_told(const struct worker *w);

#endif
