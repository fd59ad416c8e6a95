/* When frames go out, and what acknowledges them: by a clock of its own. */
#include "tests/support/flight_line.h"

int flight_line_begin(void **state)
{
    static struct flight_line t;

    t = (struct flight_line){ .now_us = US_PER_S };
    flight_start(&t.flight, &t.log, t.now_us);
    *state = &t;
    return 0;
}

static void send_frame(struct flight_line *t, size_t len, bool is_last)
{
    t->log.handed += len;
    flight_sent(&t->flight, &t->log, is_last, t->now_us);
}

void flight_line_send(struct flight_line *t, size_t len)
{
    send_frame(t, len, false);
}

void flight_line_send_last(struct flight_line *t, size_t len)
{
    send_frame(t, len, true);
}

void flight_line_ack(struct flight_line *t, uint64_t position, bool is_urgent)
{
    t->log.acked = position;
    flight_acked(&t->flight, &t->log, is_urgent, t->now_us);
}

static bool may_send(const struct flight_line *t, bool is_urgent)
{
    return is_urgent ? !flight_is_full(&t->flight, &t->log, false)
                     : t->log.handed - t->log.acked < 30 * FLIGHT_LINE_FRAME;
}

void flight_line_run(struct flight_line *t, unsigned frames, bool is_urgent)
{
    unsigned sent = 0;

    for (unsigned acked = 0; acked < frames; acked++) {
        while (sent < frames && sent - acked < FLIGHT_LINE_AWAY_MAX &&
               may_send(t, is_urgent)) {
            flight_line_send(t, FLIGHT_LINE_FRAME);
            t->free_us += 5 * US_PER_MS;
            if (t->free_us < t->now_us + FLIGHT_LINE_RTT_US) {
                t->free_us = t->now_us + FLIGHT_LINE_RTT_US;
            }
            t->acks_us[sent++ % FLIGHT_LINE_AWAY_MAX] = t->free_us;
        }
        t->now_us = t->acks_us[acked % FLIGHT_LINE_AWAY_MAX];
        flight_line_ack(t, t->log.acked + FLIGHT_LINE_FRAME, is_urgent);
    }
}

bool flight_line_is_cap(const struct flight_line *t, uint64_t cap,
                        bool is_apart)
{
    struct sent_log log = t->log;
    bool is_free;

    log.handed = log.acked + cap - 1;
    is_free = !flight_is_full(&t->flight, &log, is_apart);
    log.handed++;
    return is_free && flight_is_full(&t->flight, &log, is_apart);
}

void flight_line_ping(struct flight_line *t, uint64_t rtt_us, bool is_urgent)
{
    flight_line_send_last(t, FLIGHT_LINE_FRAME);
    t->now_us += rtt_us;
    flight_line_ack(t, t->log.handed, is_urgent);
}
