/*
 * One direction of a line: packets wait in a queue of so many bytes, go out
 * one after the other at a rate, and arrive a delay later, unless they are
 * lost. Pure: time is an argument, chance comes from a seed. Who reads and
 * writes packets is tests/net/link.c.
 */
#ifndef TESTS_SUPPORT_LANE_H
#define TESTS_SUPPORT_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Packets on the way in one direction, waiting ones included. */
#define LANE_PACKETS_MAX 65536u
#define LANE_PACKET_MAX 65535u
#define LANE_NEVER UINT64_MAX

struct lane_settings {
    uint64_t rate_bits;   /* a second; 0: no limit */
    uint64_t delay_us;    /* one way */
    uint64_t queue_bytes; /* that may wait; 0: no limit */
    uint64_t loss_ppm;    /* of a million packets */
    uint64_t is_cut;      /* 1: nothing gets through, nor what is on the way */
};

struct lane_counts {
    uint64_t packets; /* that came in */
    uint64_t bytes;
    uint64_t arrived; /* at the other end */
    uint64_t lost;    /* by chance */
    uint64_t dropped; /* no room in the queue */
    uint64_t cut;     /* by the cut */
    uint64_t waited;  /* the most bytes that waited in the queue */
};

struct lane;

/* A line without limits, delay and loss; NULL without memory. */
struct lane *lane_new(uint64_t seed);

void lane_free(struct lane *l);

/* From |now_ns| on; what has left the queue already keeps its time. */
void lane_set(struct lane *l, uint64_t now_ns, struct lane_settings settings);

struct lane_settings lane_settings(const struct lane *l);
struct lane_counts lane_counts(const struct lane *l);

/* A packet comes in. Its bytes are copied. */
void lane_push(struct lane *l, uint64_t now_ns, const void *data, size_t len);

/* The packet that has arrived by |now_ns|, with its length; NULL: none. Good
 * until the next call on |l|. */
const void *lane_pop(struct lane *l, uint64_t now_ns, size_t *len);

/* When the next one arrives; LANE_NEVER: none is on the way. */
uint64_t lane_next_ns(const struct lane *l);

#endif
