/*
 * ACK each 64 KiB or 5 ms; PING after silence, or each 5 s with streams,
 * which keeps the measured round trip fresh; any byte is an answer
 * (PROTOCOL.md, "Liveness").
 */
#include "proto/liveness.h"

void liveness_start(struct liveness *l, uint64_t received, uint64_t now_us)
{
    *l = (struct liveness){
        .heard_us = now_us,
        .ack_at_us = LIVENESS_NEVER,
        .acked = received,
        .answer_at_us = LIVENESS_NEVER,
        .asked_us = LIVENESS_NEVER,
        .rtt_us = l->rtt_us,
        .jitter_us = l->jitter_us,
    };
    liveness_probe(l, now_us);
}

void liveness_heard(struct liveness *l, uint64_t now_us)
{
    l->heard_us = now_us;
    l->answer_at_us = LIVENESS_NEVER;
    l->asked_us = LIVENESS_NEVER;
}

void liveness_received(struct liveness *l, uint64_t received, uint64_t now_us)
{
    if (received - l->acked >= ACK_BYTES) {
        l->is_ack_due = true;
        l->ack_at_us = LIVENESS_NEVER;
    } else if (l->ack_at_us == LIVENESS_NEVER && !l->is_ack_due) {
        l->ack_at_us = now_us + ACK_DELAY_US;
    }
}

void liveness_ping(struct liveness *l, uint64_t value)
{
    l->is_pong_due = true;
    l->pong_value = value;
}

void liveness_pong(struct liveness *l, uint64_t value, uint64_t now_us)
{
    uint64_t sample;
    uint64_t apart;

    if (value == 0 || value != l->ping_value || now_us < value) {
        return;
    }
    l->ping_value = 0;
    sample = now_us - value;
    if (l->rtt_us == 0) {
        l->rtt_us = sample;
        l->jitter_us = sample / 2;
        return;
    }
    apart = sample > l->rtt_us ? sample - l->rtt_us : l->rtt_us - sample;
    l->jitter_us = (3 * l->jitter_us + apart) / 4;
    l->rtt_us = (7 * l->rtt_us + sample) / 8;
}

void liveness_probe(struct liveness *l, uint64_t now_us)
{
    l->is_ping_due = true;
    l->ping_us = now_us;
    if (l->answer_at_us == LIVENESS_NEVER) {
        l->answer_at_us = now_us + PING_ANSWER_US;
    }
}

void liveness_ask(struct liveness *l, uint64_t now_us)
{
    liveness_probe(l, now_us);
    if (l->asked_us == LIVENESS_NEVER) {
        l->asked_us = now_us;
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t liveness_suspect_at(const struct liveness *l, uint64_t waiting_us)
{
    uint64_t trips_us = SUSPECT_RTTS * l->rtt_us;
    uint64_t at = LIVENESS_NEVER;

    if (waiting_us != LIVENESS_NEVER) {
        at = later(l->heard_us, waiting_us) + later(SUSPECT_US, trips_us);
    }
    if (l->answer_at_us != LIVENESS_NEVER) {
        /* A PING waits for its answer; nothing was heard since. */
        at = earlier(at, l->answer_at_us - PING_ANSWER_US +
                             later(SUSPECT_US, trips_us));
    }
    if (l->asked_us != LIVENESS_NEVER) {
        at = earlier(at, l->asked_us + later(SUSPECT_ASKED_US, trips_us));
    }
    return at;
}

/* When the next PING is due. */
static uint64_t liveness_ping_at(const struct liveness *l, bool is_busy)
{
    if (l->answer_at_us != LIVENESS_NEVER) {
        return LIVENESS_NEVER;
    }
    if (is_busy) {
        return l->ping_us + PING_SILENCE_BUSY_US;
    }
    return (l->heard_us > l->ping_us ? l->heard_us : l->ping_us) +
           PING_SILENCE_IDLE_US;
}

uint64_t liveness_deadline(const struct liveness *l, bool is_busy)
{
    uint64_t at = earlier(l->ack_at_us, l->answer_at_us);

    return earlier(at, liveness_ping_at(l, is_busy));
}

enum err liveness_tick(struct liveness *l, bool is_busy, uint64_t now_us)
{
    if (now_us >= l->answer_at_us) {
        return ERR_TIMEOUT;
    }
    /* What is due waits without a deadline: the link may be full. */
    if (now_us >= l->ack_at_us) {
        l->is_ack_due = true;
        l->ack_at_us = LIVENESS_NEVER;
    }
    if (now_us >= liveness_ping_at(l, is_busy)) {
        liveness_probe(l, now_us);
    }
    return ERR_OK;
}

bool liveness_has_output(const struct liveness *l, uint64_t now_us)
{
    return l->is_ack_due || now_us >= l->ack_at_us || l->is_pong_due ||
           l->is_ping_due;
}

static struct span liveness_frame(struct liveness *l, enum frame_type type,
                                  uint64_t value)
{
    struct frame_header header = { .len = 8, .type = (uint8_t)type };
    struct wire_writer w;

    frame_header_put(l->frame, &header);
    wire_writer_init(&w, l->frame + FRAME_HEADER_LEN, 8);
    frame_put_u64(&w, value);
    assert(wire_writer_done(&w));
    return span_of(l->frame, sizeof(l->frame));
}

struct span liveness_output(struct liveness *l, uint64_t received,
                            uint64_t now_us)
{
    if (l->is_ack_due || now_us >= l->ack_at_us) {
        l->is_ack_due = false;
        l->ack_at_us = LIVENESS_NEVER;
        l->acked = received;
        return liveness_frame(l, FRAME_ACK, received);
    }
    if (l->is_pong_due) {
        l->is_pong_due = false;
        return liveness_frame(l, FRAME_PONG, l->pong_value);
    }
    if (l->is_ping_due) {
        l->is_ping_due = false;
        l->ping_value = now_us;
        return liveness_frame(l, FRAME_PING, now_us);
    }
    return span_of(NULL, 0);
}
