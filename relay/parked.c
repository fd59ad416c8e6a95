/*
 * One timer a session: the next request that has waited long enough, or the
 * end of the grace.
 */
#include "relay/parked.h"

#include "relay/client_session.h"
#include "relay/exchange.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

static void wake_at_next(struct parked *p)
{
    timer_set(p->timer, p->next_us < p->until_us ? p->next_us : p->until_us);
}

static uint64_t due_us(const struct exchange *x)
{
    return x->since_us + x->worker->settings->wait_us;
}

/* End those who have waited too long, and see when the next one will have. */
static void look_at_waiting(struct client_session *s, uint64_t now_us)
{
    struct exchange *next;

    s->parked.next_us = UINT64_MAX;
    for (struct exchange *x = s->exchanges; x != NULL; x = next) {
        next = x->next;
        if (!x->is_waiting) {
            continue;
        }
        if (now_us >= due_us(x)) {
            exchange_waited(x);
        } else if (due_us(x) < s->parked.next_us) {
            s->parked.next_us = due_us(x);
        }
    }
}

static void on_parked(void *owner)
{
    struct client_session *s = owner;
    uint64_t now_us = loop_now(&s->worker->loop);

    look_at_waiting(s, now_us);
    if (now_us >= s->parked.until_us) {
        client_session_end(s, ERR_EXPIRED, "its client did not come back");
        return;
    }
    wake_at_next(&s->parked);
}

enum err parked_init(struct client_session *s)
{
    s->parked =
        (struct parked){ .timer = timer_new(&s->worker->loop, on_parked, s) };
    return s->parked.timer == NULL ? ERR_NOMEM : ERR_OK;
}

void parked_deinit(struct client_session *s)
{
    timer_close(s->parked.timer);
    s->parked.timer = NULL;
}

void parked_begin(struct client_session *s, uint64_t grace_us)
{
    struct parked *p = &s->parked;

    p->is_on = true;
    p->until_us = loop_now(&s->worker->loop) + grace_us;
    p->next_us = UINT64_MAX;
    wake_at_next(p);
}

void parked_end(struct client_session *s)
{
    for (struct exchange *x = s->exchanges; x != NULL; x = x->next) {
        x->is_waiting = false;
    }
    s->parked.is_on = false;
    timer_stop(s->parked.timer);
}

bool parked_may_wait(const struct client_session *s, uint16_t tunnel,
                     size_t len)
{
    unsigned count = 0;
    uint64_t bytes = len;

    if (!s->parked.is_on) {
        return true;
    }
    for (const struct exchange *x = s->exchanges; x != NULL; x = x->next) {
        if (x->is_waiting && x->tunnel == tunnel) {
            count++;
            bytes += session_queued(s->carrier.session, x->stream);
        }
    }
    return count < AWAY_REQUESTS_MAX && bytes <= AWAY_REQUESTS_BYTES;
}

void parked_wait(struct client_session *s, struct exchange *x)
{
    if (!s->parked.is_on) {
        return;
    }
    x->is_waiting = true;
    if (due_us(x) < s->parked.next_us) {
        s->parked.next_us = due_us(x);
        wake_at_next(&s->parked);
    }
}
