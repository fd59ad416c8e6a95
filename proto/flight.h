/*
 * How much may be in flight on one link: what was sent and is not acknowledged
 * waits in our own buffers, the kernel's and the routers', and what is urgent
 * waits behind it. From the times of ACKs come the link's rate and shortest
 * round trip, and from those a cap, which holds bulk back while an interactive
 * stream is active (PROTOCOL.md, "In flight"). Whether one is, others know.
 */
#ifndef PROTO_FLIGHT_H
#define PROTO_FLIGHT_H

#include "proto/sent_log.h"

#define FLIGHT_SAMPLES 32u

/* What was known when the frame that ends at |position| was sent. */
struct flight_sample {
    uint64_t position;
    uint64_t sent_us;
    uint64_t acked;    /* position acknowledged by then */
    uint64_t acked_us; /* and when */
    uint64_t begun_us; /* when what was acknowledged last had been sent */
    bool is_limited;   /* it was not the link that set the pace */
};

/* Now and then the queues are emptied, to see the round trip without them. */
enum flight_probe {
    FLIGHT_STEADY, /* no probe */
    FLIGHT_DRAIN,  /* bulk waits till no more is in flight than may be */
    FLIGHT_FIRST,  /* and what is sent then is acknowledged */
    FLIGHT_SECOND, /* and once more: the least of all rounds counts */
    FLIGHT_THIRD   /* and with next to nothing in flight */
};

struct flight {
    struct flight_sample samples[FLIGHT_SAMPLES]; /* a ring, oldest first */
    unsigned first;
    unsigned count;
    uint64_t handed;     /* position sent by the last call */
    uint64_t acked;      /* position acknowledged by the last ACK */
    uint64_t acked_us;   /* when it came, or sending began with nothing away */
    uint64_t begun_us;   /* when the newest acknowledged sample was sent */
    uint64_t limited;    /* till this is acknowledged the sender was too slow */
    uint64_t probed;     /* what was sent before this was sent for a probe */
    uint64_t ramp_us;    /* since when |ramp| counts */
    uint64_t ramp;       /* bytes that may be in flight without a burst */
    uint64_t rates[2];   /* the highest, bytes a second: lately, and before */
    uint64_t rates_us;   /* since when |rates[0]| */
    uint64_t gaps_us[2]; /* the longest without an ACK: lately, and before */
    uint64_t gaps_since_us; /* since when |gaps_us[0]| */
    uint64_t dry_us;        /* when the last frame went out, if |is_dry| */
    bool is_dry;
    bool is_flowing;     /* ACKs have come since nothing was away */
    uint64_t rtt_us;     /* the shortest; 0 unknown */
    uint64_t rtt_at_us;  /* when one like it was seen last */
    uint64_t near_at_us; /* likewise, a queue and a held ACK included */
    uint64_t rtt_now_us; /* of the newest sample */
    bool is_slow;        /* a look found that it holds little */
    bool is_given_up;    /* the last look was */
    enum flight_probe probe;
    uint64_t round_us; /* when its round began */
    uint64_t probe_us; /* its round counts what was sent since; not yet: MAX */
    uint64_t probe_rtt_us;
};

/* A new link: what was known of the old one says nothing. */
void flight_start(struct flight *f, const struct sent_log *log,
                  uint64_t now_us);

/* The frame that ends at |log|'s handed position is sent now. |is_last|:
 * nothing waits behind it, the link is not what limits us. */
void flight_sent(struct flight *f, const struct sent_log *log, bool is_last,
                 uint64_t now_us);

/* ACK came; |log| has taken it. |is_urgent|: bulk is held back now. */
void flight_acked(struct flight *f, const struct sent_log *log, bool is_urgent,
                  uint64_t now_us);

/*
 * Whether bulk has to wait for an ACK. |is_apart|: who is in a hurry is on
 * another link, and waits in no queue but the routers'.
 */
bool flight_is_full(const struct flight *f, const struct sent_log *log,
                    bool is_apart);

/* How many bytes of payload a frame of data may have. */
size_t flight_quantum(const struct flight *f);

/* How many bytes may wait encrypted, where nothing overtakes them. */
size_t flight_ahead(const struct flight *f);

/* The link's rate in bytes a second, 0 unknown. */
uint64_t flight_rate(const struct flight *f);

#endif
