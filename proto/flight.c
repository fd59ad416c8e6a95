/*
 * The rate is taken as BBR takes it: the bytes acknowledged from the last ACK
 * before a frame was sent to its own ACK, over the longer of the times in which
 * they were sent and acknowledged, so that ACKs that came together make no rate
 * of their own. The least round trip stays till a shorter one comes, or a probe
 * has seen another; there is one when none near it was seen for a while.
 */
#include "proto/flight.h"

/* Samples stand this far apart, or a part of the round trip if that is more:
 * two of them fill the ring. */
#define APART_US (1 * US_PER_MS)
#define APART_PARTS (FLIGHT_SAMPLES / 2)

/* A highest rate is forgotten after one to two of these, or of these many
 * round trips if they take longer. */
#define RATE_KEPT_US (500 * US_PER_MS)
#define RATE_KEPT_RTTS 5u

/* What may be in flight doubles each round trip after a rest: so many do. */
#define RAMP_RTTS 8u

/* Ten times the fastest link there is; what makes products overflow it not. */
#define RATE_MAX 10000000000ull

/* A shorter round trip than a loop's turns take would be a cap on CPUs. */
#define RTT_LEAST_US (4 * US_PER_MS)

/* So much more than the line holds may be in flight: with nothing waiting in
 * it, what finds a faster line; with a queue, next to nothing; in any case as
 * much as an ACK is held back for. It is a queue when a round trip takes so
 * much longer than the shortest. */
#define FREE_PARTS 3u
#define QUEUED_PARTS 8u
#define QUEUE_PARTS 16u

/* The floor is a queue on a line that holds so little. Only a look tells: with
 * the floor in flight a slow line seems to be a long one. */
#define SLOW_HOLDS (FLIGHT_FLOOR / 4 * 3)

/* When the round trip is looked for anew: so long after one near it (DOUBT
 * where the floor may be a queue), and one like it, was seen last; while a part
 * of what the line holds is in flight, so that it stays busy and nothing waits;
 * and if it seems longer, at last while so many frames are. */
#define PROBE_EACH_US (10 * US_PER_S)
#define PROBE_LATE_US (30 * US_PER_S)
#define PROBE_DOUBT_US (2 * US_PER_S)
#define PROBE_SOON_US (1 * US_PER_S) /* after the hurry began at the least */
#define PROBE_MOST_US (3 * US_PER_S) /* of each of its rounds */
#define PROBE_PARTS 2
#define PROBE_FRAMES 2u

/* No ACK for so long, or half a round trip, or what some frames take, if that
 * is more, while there is plenty in flight, and then one for a part of what
 * the line carries in it: the peer waited for what was lost. */
#define GAP_LEAST_US (4 * ACK_DELAY_US)
#define GAP_FRAMES 2u
#define GAP_RTTS 2u /* so long it counts at most */
#define HOLE_PARTS 4

/* Who had nothing to send for so long, or for a part of the round trip if that
 * is more, rested; for less, it was only late. */
#define REST_LEAST_US (5 * US_PER_MS)
#define REST_PARTS 4

/* What the line takes in this time is one turn. */
#define TURN_US (3 * US_PER_MS)

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t in_flight(const struct sent_log *log)
{
    return log->handed - log->acked;
}

uint64_t flight_rate(const struct flight *f)
{
    return most(f->rates[0], f->rates[1]);
}

/* The bytes that the line takes in so long. */
static uint64_t line_takes(const struct flight *f, uint64_t len_us)
{
    return flight_rate(f) / 1000 * len_us / 1000;
}

/* What the line itself holds. */
static uint64_t line_holds(const struct flight *f)
{
    return line_takes(f, most(f->rtt_us, RTT_LEAST_US));
}

/* What waited unacknowledged, but in no queue, for what was lost before it. */
static uint64_t behind_hole(const struct flight *f)
{
    uint64_t gap_us = most(f->gaps_us[0], f->gaps_us[1]);

    return line_takes(f, least(gap_us, GAP_RTTS * f->rtt_us));
}

/* Whether it holds so little that the floor is a queue. */
static bool is_line_slow(const struct flight *f)
{
    return line_holds(f) < SLOW_HOLDS;
}

static uint64_t flight_cap(const struct flight *f, bool is_apart)
{
    uint64_t holds = line_holds(f);
    bool is_queued = f->rtt_now_us > f->rtt_us + f->rtt_us / QUEUE_PARTS;
    uint64_t over = holds / (is_queued ? QUEUED_PARTS : FREE_PARTS);
    uint64_t held = line_takes(f, ACK_DELAY_US);
    uint64_t cap = holds + most(over, least(held, ACK_BYTES)) + FLIGHT_EXTRA;

    if (is_apart) {
        cap += behind_hole(f);
    }
    return most(least(cap, SENT_LOG_SESSION), f->is_slow ? 0 : FLIGHT_FLOOR);
}

/* What the line takes in one turn, from the smallest frame to |max|. */
static size_t turn_bytes(const struct flight *f, size_t max)
{
    uint64_t bytes = line_takes(f, TURN_US);

    return (size_t)least(most(bytes, FLIGHT_QUANTUM_MIN), max);
}

void flight_start(struct flight *f, const struct sent_log *log, uint64_t now_us)
{
    *f = (struct flight){
        .handed = log->handed,
        .acked = log->acked,
        .acked_us = now_us,
        .begun_us = now_us,
        .ramp = FLIGHT_FLOOR,
        .rates_us = now_us,
        .gaps_since_us = now_us,
        .ramp_us = now_us,
        .rtt_at_us = now_us,
        .near_at_us = now_us,
    };
}

static uint64_t ramp_takes_us(const struct flight *f)
{
    return most(RATE_KEPT_US, RAMP_RTTS * f->rtt_us);
}

/* Whether less may be in flight than the line is known to hold: it began anew
 * not long ago. For longer than that it is the line that is slow. */
static bool is_ramping(const struct flight *f, uint64_t now_us)
{
    return now_us - f->ramp_us < ramp_takes_us(f) &&
           f->ramp < flight_cap(f, false);
}

/* Who rests again and again is heard in between, for as long as not. */
static void ramp_start(struct flight *f, uint64_t away, uint64_t now_us)
{
    f->ramp = least(f->ramp, most(away, FLIGHT_FLOOR));
    if (now_us - f->ramp_us >= 2 * ramp_takes_us(f)) {
        f->ramp_us = now_us;
    }
}

/* The sender goes on. What comes after a rest is not to come in one burst. */
static void note_rest(struct flight *f, const struct sent_log *log,
                      uint64_t now_us)
{
    uint64_t rest_us = most(REST_LEAST_US, f->rtt_us / REST_PARTS);

    if (f->is_dry && now_us - f->dry_us >= rest_us) {
        ramp_start(f, f->handed - least(f->handed, log->acked), now_us);
    }
    f->is_dry = false;
}

/* Nothing waits behind the frame that is sent: with room in the line, it is
 * not the line that limits us. */
static void note_dry(struct flight *f, const struct sent_log *log,
                     uint64_t now_us)
{
    f->is_dry = true;
    f->dry_us = now_us;
    if (in_flight(log) < flight_cap(f, false)) {
        f->limited = log->handed;
    }
}

void flight_sent(struct flight *f, const struct sent_log *log, bool is_last,
                 uint64_t now_us)
{
    unsigned last = (f->first + f->count - 1) % FLIGHT_SAMPLES;
    uint64_t apart_us = most(APART_US, f->rtt_us / APART_PARTS);

    note_rest(f, log, now_us);
    if (is_last) {
        note_dry(f, log, now_us);
    }

    if (f->handed == log->acked) {
        /* Nothing was away: the time before this frame says nothing. */
        f->acked_us = now_us;
        f->begun_us = now_us;
        f->is_flowing = false;
    }
    f->handed = log->handed;
    if (f->count == FLIGHT_SAMPLES ||
        (f->count > 0 && now_us - f->samples[last].sent_us < apart_us)) {
        return;
    }
    f->samples[(f->first + f->count) % FLIGHT_SAMPLES] = (struct flight_sample){
        .position = log->handed,
        .sent_us = now_us,
        .acked = log->acked,
        .acked_us = f->acked_us,
        .begun_us = f->begun_us,
        .is_limited = log->acked < f->limited || f->probe != FLIGHT_STEADY ||
                      is_ramping(f, now_us),
    };
    f->count++;
}

/* Begin the highest anew, if it is old; that of before counts as long again. */
static void forget(const struct flight *f, uint64_t highest[2],
                   uint64_t *since_us, uint64_t now_us)
{
    uint64_t kept_us = most(RATE_KEPT_US, RATE_KEPT_RTTS * f->rtt_us);

    if (now_us - *since_us >= kept_us) {
        highest[1] = highest[0];
        highest[0] = 0;
        *since_us = now_us;
    }
}

/* The least time without an ACK that means a loss: in less, a whole frame
 * passes a slow line. */
static uint64_t gap_least_us(const struct flight *f)
{
    uint64_t rate = most(flight_rate(f), 1);
    uint64_t frame_us = FRAME_PAYLOAD_MAX * US_PER_S / rate;

    return most(GAP_LEAST_US, most(f->rtt_us / 2, GAP_FRAMES * frame_us));
}

/* What a gap means that ended with |bytes|: what came behind a hole is
 * acknowledged at once with it, but what was slow to come is not. */
static bool is_hole(const struct flight *f, uint64_t gap_us, uint64_t bytes)
{
    uint64_t behind = line_takes(f, gap_us) / HOLE_PARTS;

    return gap_us >= gap_least_us(f) && bytes >= least(behind, ACK_BYTES);
}

/* The first ACK after a while. A probe makes gaps of its own, and again a
 * round trip later. */
static void note_gap(struct flight *f, const struct sent_log *log,
                     uint64_t now_us)
{
    uint64_t gap_us = now_us - f->acked_us;
    bool is_probed = f->probe != FLIGHT_STEADY || f->acked <= f->probed;

    forget(f, f->gaps_us, &f->gaps_since_us, now_us);
    if (f->is_flowing && !is_probed &&
        is_hole(f, gap_us, log->acked - f->acked) &&
        f->handed - f->acked >= line_holds(f) / 2) {
        f->gaps_us[0] = most(f->gaps_us[0], gap_us);
    }
    f->is_flowing = true;
}

static void note_rate(struct flight *f, const struct flight_sample *sample,
                      uint64_t acked, uint64_t now_us)
{
    uint64_t took_us =
        most(now_us - sample->acked_us, sample->sent_us - sample->begun_us);
    uint64_t rate = (acked - sample->acked) * US_PER_S / most(took_us, 1);

    rate = least(rate, RATE_MAX);
    /* A sender that had no more to send saw its own pace, not the link's. */
    if (sample->is_limited && rate < flight_rate(f)) {
        return;
    }
    forget(f, f->rates, &f->rates_us, now_us);
    f->rates[0] = most(f->rates[0], rate);
    f->is_slow = f->is_slow && line_holds(f) < FLIGHT_FLOOR;
}

/* How much may be in flight while the round trip is looked for. */
static uint64_t probe_max(const struct flight *f)
{
    uint64_t frames = PROBE_FRAMES * flight_quantum(f);

    return f->probe == FLIGHT_THIRD ? frames
                                    : most(line_holds(f) / PROBE_PARTS, frames);
}

/* Whether a round trip may be the known one: with the queue there is, and an
 * ACK that was held back. */
static bool is_near_known(const struct flight *f, uint64_t rtt_us)
{
    uint64_t part_us = f->rtt_us / QUEUED_PARTS;

    return rtt_us <= f->rtt_us + part_us + least(part_us, ACK_DELAY_US);
}

/* Whether it may stay the known one: that much more may be in flight. */
static bool is_as_known(const struct flight *f, uint64_t rtt_us)
{
    return rtt_us <= f->rtt_us + f->rtt_us / QUEUED_PARTS;
}

static void note_rtt(struct flight *f, uint64_t rtt_us, uint64_t now_us)
{
    f->rtt_now_us = rtt_us;
    if (f->rtt_us == 0 || rtt_us <= f->rtt_us) {
        f->rtt_us = most(rtt_us, 1);
    }
    if (is_near_known(f, rtt_us)) {
        f->near_at_us = now_us;
    }
    if (is_as_known(f, rtt_us)) {
        f->rtt_at_us = now_us;
    }
}

/* Calm leaves a long queue, which has to go at first. */
static void put_probe_off(struct flight *f, uint64_t now_us)
{
    uint64_t each_us = PROBE_EACH_US - PROBE_SOON_US;
    uint64_t late_us = PROBE_LATE_US - PROBE_SOON_US;

    if (now_us - f->near_at_us > each_us) {
        f->near_at_us = now_us - each_us;
    }
    if (now_us - f->rtt_at_us > late_us) {
        f->rtt_at_us = now_us - late_us;
    }
}

static bool is_probe_due(const struct flight *f, const struct sent_log *log,
                         uint64_t now_us)
{
    /* The floor may be a queue, and is in flight. */
    bool is_in_doubt = !f->is_slow && !f->is_given_up && is_line_slow(f) &&
                       in_flight(log) >= FLIGHT_FLOOR / 2;
    uint64_t each_us = is_in_doubt ? PROBE_DOUBT_US : PROBE_EACH_US;

    return now_us - f->near_at_us >= each_us ||
           now_us - f->rtt_at_us >= PROBE_LATE_US;
}

static void probe_end(struct flight *f, const struct sent_log *log,
                      uint64_t now_us)
{
    f->probe = FLIGHT_STEADY;
    if (!is_as_known(f, f->probe_rtt_us)) {
        f->rtt_us = f->probe_rtt_us;
    }
    if (!f->is_given_up) {
        f->is_slow = is_line_slow(f);
    }
    f->rtt_at_us = now_us;
    f->near_at_us = now_us;
    f->limited = log->handed;
    f->probed = log->handed;
    /* Not all at once: what may be in flight grows with the ACKs. */
    ramp_start(f, in_flight(log), now_us);
}

/* An ACK came, with |sample| for the newest frame it covers, or NULL. */
static void probe_step(struct flight *f, const struct sent_log *log,
                       const struct flight_sample *sample, uint64_t now_us)
{
    if (f->probe != FLIGHT_STEADY && now_us - f->round_us >= PROBE_MOST_US) {
        f->is_given_up = true;
        f->probe_rtt_us = f->rtt_us;
        probe_end(f, log, now_us);
        return;
    }
    switch (f->probe) {
    case FLIGHT_STEADY:
        if (is_probe_due(f, log, now_us)) {
            f->probe = FLIGHT_DRAIN;
            f->round_us = now_us;
            f->is_given_up = false;
        }
        return;
    case FLIGHT_DRAIN:
        if (in_flight(log) <= probe_max(f)) {
            f->probe = FLIGHT_FIRST;
            f->probe_us = now_us;
            f->round_us = now_us;
            f->probe_rtt_us = UINT64_MAX;
        }
        return;
    case FLIGHT_THIRD:
        if (f->probe_us == UINT64_MAX) {
            if (in_flight(log) <= probe_max(f)) {
                f->probe_us = now_us;
                f->round_us = now_us;
            }
            return;
        }
        break;
    case FLIGHT_FIRST:
    case FLIGHT_SECOND:
        break;
    }
    if (sample == NULL || sample->sent_us < f->probe_us) {
        return;
    }
    f->probe_rtt_us = least(f->probe_rtt_us, most(now_us - sample->sent_us, 1));
    /* One that was expected needs no second look. */
    if (f->probe == FLIGHT_THIRD || is_as_known(f, f->probe_rtt_us)) {
        probe_end(f, log, now_us);
        return;
    }
    f->round_us = now_us;
    if (f->probe == FLIGHT_FIRST) {
        f->probe = FLIGHT_SECOND;
        f->probe_us = now_us;
    } else {
        f->probe = FLIGHT_THIRD;
        f->probe_us = UINT64_MAX;
    }
}

void flight_acked(struct flight *f, const struct sent_log *log, bool is_urgent,
                  uint64_t now_us)
{
    struct flight_sample newest = { .position = 0 };
    bool has_sample = false;

    if (log->acked == f->acked) {
        return;
    }
    while (f->count > 0 && f->samples[f->first].position <= log->acked) {
        newest = f->samples[f->first];
        has_sample = true;
        f->first = (f->first + 1) % FLIGHT_SAMPLES;
        f->count--;
    }
    note_gap(f, log, now_us);
    /* Only what is used grows (RFC 7661). */
    if (f->ramp / 2 < f->handed - f->acked) {
        f->ramp = least(f->ramp + (log->acked - f->acked), SENT_LOG_SESSION);
    }
    f->acked = log->acked;
    f->acked_us = now_us;
    if (has_sample) {
        f->begun_us = newest.sent_us;
        note_rtt(f, now_us - newest.sent_us, now_us);
        note_rate(f, &newest, log->acked, now_us);
    }
    if (is_urgent) {
        probe_step(f, log, has_sample ? &newest : NULL, now_us);
    } else {
        f->probe = FLIGHT_STEADY;
        put_probe_off(f, now_us);
    }
}

bool flight_is_full(const struct flight *f, const struct sent_log *log,
                    bool is_apart)
{
    uint64_t max = least(flight_cap(f, is_apart), f->ramp);

    if (f->probe != FLIGHT_STEADY) {
        max = probe_max(f);
    }
    return in_flight(log) >= max;
}

size_t flight_quantum(const struct flight *f)
{
    return turn_bytes(f, FRAME_PAYLOAD_MAX);
}

size_t flight_ahead(const struct flight *f)
{
    return turn_bytes(f, WRITE_BATCH);
}
