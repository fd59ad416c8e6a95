/*
 * A line whose positions a test of proto/flight moves by itself: what it sends
 * is acknowledged when it says so, or as a line of one rate would.
 */
#ifndef TESTS_SUPPORT_FLIGHT_LINE_H
#define TESTS_SUPPORT_FLIGHT_LINE_H

#include "proto/flight.h"

#define FLIGHT_LINE_RTT_US (50 * US_PER_MS)
#define FLIGHT_LINE_FRAME 10000u /* with its header */
#define FLIGHT_LINE_AWAY_MAX 40u /* frames */

struct flight_line {
    struct flight flight;
    struct sent_log log;
    uint64_t now_us;
    uint64_t acks_us[FLIGHT_LINE_AWAY_MAX]; /* when they come: a ring */
    uint64_t free_us;                       /* the line is, at its far end */
};

/* A cmocka setup: a new line, at one second. */
int flight_line_begin(void **state);

/* A frame goes out; the last one has none behind it. */
void flight_line_send(struct flight_line *t, size_t len);
void flight_line_send_last(struct flight_line *t, size_t len);

/* All before |position| is acknowledged now. */
void flight_line_ack(struct flight_line *t, uint64_t position, bool is_urgent);

/*
 * A sender that has always more, and nothing away before, on a line of 2 MB/s:
 * a frame is acknowledged FLIGHT_LINE_RTT_US after it was sent, if it waits for
 * no other. Nothing is away after it.
 */
void flight_line_run(struct flight_line *t, unsigned frames, bool is_urgent);

/* Whether exactly |cap| may be in flight; |is_apart| as flight_is_full() has
 * it. */
bool flight_line_is_cap(const struct flight_line *t, uint64_t cap,
                        bool is_apart);

/* One frame by itself. */
void flight_line_ping(struct flight_line *t, uint64_t rtt_us, bool is_urgent);

#endif
