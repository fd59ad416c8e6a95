/*
 * Whether the other end of one link still answers, and how long it takes:
 * when ACK, PING and PONG are due, and their bytes. They are not sequenced:
 * what is not sent when the link is lost is dropped.
 */
#ifndef PROTO_LIVENESS_H
#define PROTO_LIVENESS_H

#include "proto/frame.h"

#define LIVENESS_NEVER UINT64_MAX

struct liveness {
    uint64_t heard_us;  /* when anything came */
    uint64_t ack_at_us; /* when the next ACK falls due, or never */
    bool is_ack_due;    /* it has, and waits to be sent */
    uint64_t acked;     /* the position in our last ACK */
    bool is_pong_due;
    bool is_ping_due;
    uint64_t pong_value;   /* what the peer's PING said */
    uint64_t ping_us;      /* when the last PING fell due */
    uint64_t ping_value;   /* when it was sent, which is what it says */
    uint64_t answer_at_us; /* when anything must have come, or never */
    uint64_t asked_us;     /* liveness_ask(), nothing heard since; or never */
    uint64_t rtt_us;       /* smoothed, 0 unknown */
    uint64_t jitter_us;
    uint8_t frame[FRAME_HEADER_LEN + 8];
};

/* A new link; everything before |received| was said in the login. */
void liveness_start(struct liveness *l, uint64_t received, uint64_t now_us);

/* Bytes came, whatever they are. */
void liveness_heard(struct liveness *l, uint64_t now_us);

/* A sequenced frame was handled; |received| is the position now. */
void liveness_received(struct liveness *l, uint64_t received, uint64_t now_us);

/* PING with |value| came; a later one replaces it. */
void liveness_ping(struct liveness *l, uint64_t value);

/* PONG with |value| came. One we did not ask for changes nothing. */
void liveness_pong(struct liveness *l, uint64_t value, uint64_t now_us);

/* Ask for a PING now, unless one is unanswered. */
void liveness_probe(struct liveness *l, uint64_t now_us);

/* The same, and be in doubt soon if nothing comes: the network changed. */
void liveness_ask(struct liveness *l, uint64_t now_us);

/*
 * From when on the peer is in doubt if nothing comes: long after the last byte,
 * or |waiting_us|, since when something of ours is unacknowledged (never:
 * nothing is), if that is later; or after an unanswered PING; or soon after
 * liveness_ask(). Or never.
 */
uint64_t liveness_suspect_at(const struct liveness *l, uint64_t waiting_us);

/* When liveness_tick() has something to do; |is_busy|: there are streams. */
uint64_t liveness_deadline(const struct liveness *l, bool is_busy);

/* ERR_TIMEOUT when nothing came in time after a PING. */
MUST_CHECK enum err liveness_tick(struct liveness *l, bool is_busy,
                                  uint64_t now_us);

/* Whether liveness_output() would give something. */
bool liveness_has_output(const struct liveness *l, uint64_t now_us);

/* The next of ACK{received}, PONG and PING that is due; empty: none. */
struct span liveness_output(struct liveness *l, uint64_t received,
                            uint64_t now_us);

#endif
