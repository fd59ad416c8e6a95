/*
 * The kernel takes what a link can send and no more, and bulk is held back
 * beside a voice: what is ready to go and has not gone at the end of a tick
 * waits for the link. For a moment that is so in every transfer; a way out is
 * full when it is so at most looks.
 */
#include "common/link_quality.h"

#include <stdlib.h>

#include "common/timer.h"

struct link_quality_watch {
    struct loop *loop;
    const struct carrier *carrier;
    struct timer *timer;
    link_quality_fn *fn;
    void *owner;
    struct link_quality last;
    bool is_awake;
};

void link_quality_measure(struct link_quality *q, const struct carrier *carrier)
{
    struct session_stats stats = { 0 };
    uint64_t refused = 0;

    q->has_link = false;
    for (size_t i = 0; i < SLOTS_MAX; i++) {
        if (carrier->links[i] != NULL) {
            q->has_link = true;
            refused += conn_unsent(link_conn(carrier->links[i]));
        }
    }
    if (carrier->session != NULL) {
        session_stats(carrier->session, &stats);
    }
    q->streams = stats.streams;
    q->is_held = refused > 0 || stats.is_held;
    q->rtt_us = stats.rtt_us;
    q->jitter_us = stats.jitter_us;
    q->waiting_bytes = stats.unsent_bytes + refused;
}

void link_quality_note(struct link_quality *q)
{
    if (q->is_held) {
        q->free_looks = 0;
        if (q->held_looks < LINK_QUALITY_HELD_LOOKS) {
            q->held_looks++;
        }
        if (q->held_looks == LINK_QUALITY_HELD_LOOKS) {
            q->is_full = true;
        }
        return;
    }
    if (q->held_looks > 0) {
        q->held_looks--;
    }
    q->free_looks++;
    if (q->free_looks >= LINK_QUALITY_FREE_LOOKS) {
        q->is_full = false;
        q->held_looks = 0;
    }
}

static void on_look(void *owner)
{
    struct link_quality_watch *w = owner;

    link_quality_measure(&w->last, w->carrier);
    if (w->carrier->session == NULL) {
        w->last = (struct link_quality){ 0 };
    } else if (w->last.has_link) {
        /* What waits while the link is away says nothing about it. */
        link_quality_note(&w->last);
    }
    w->is_awake =
        w->last.streams > 0 || w->last.held_looks > 0 || w->last.is_full;
    if (w->is_awake) {
        timer_set(w->timer, loop_now(w->loop) + LINK_QUALITY_LOOK_US);
    }
    w->fn(w->owner, &w->last);
}

struct link_quality_watch *link_quality_watch_new(struct loop *l,
                                                  const struct carrier *carrier,
                                                  link_quality_fn *fn,
                                                  void *owner)
{
    struct link_quality_watch *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        return NULL;
    }
    w->loop = l;
    w->carrier = carrier;
    w->fn = fn;
    w->owner = owner;
    w->timer = timer_new(l, on_look, w);
    if (w->timer == NULL) {
        free(w);
        return NULL;
    }
    return w;
}

void link_quality_watch_wake(struct link_quality_watch *w)
{
    if (!w->is_awake) {
        w->is_awake = true;
        timer_set(w->timer, loop_now(w->loop) + LINK_QUALITY_LOOK_US);
    }
}

void link_quality_watch_free(struct link_quality_watch *w)
{
    if (w != NULL) {
        timer_close(w->timer);
        free(w);
    }
}
