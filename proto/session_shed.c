/*
 * Which stream goes when received bytes fill their pool (PROTOCOL.md, "Flow
 * control"): over three quarters the one that has stalled longest, at the
 * bound the one that holds most. Which of several sessions is asked, and who
 * hears of it, is their owner's affair.
 */
#include "proto/session_state.h"

enum session_shed_rule session_shed_rule(unsigned percent)
{
    if (percent >= SHED_LARGEST_PERCENT) {
        return SHED_LARGEST;
    }
    return percent >= SHED_STALLED_PERCENT ? SHED_STALLED : SHED_NONE;
}

const char *session_shed_why(enum session_shed_rule rule)
{
    switch (rule) {
    case SHED_NONE:
        break;
    case SHED_STALLED:
        return "memory is short, and nobody has taken its bytes for longest";
    case SHED_LARGEST:
        return "memory is full, and it holds most";
    }
    return "";
}

unsigned session_shed_percent(const struct session *s)
{
    return pool_percent(&s->receive);
}

bool session_shed_due(const struct session *s, uint64_t now_us)
{
    switch (session_shed_rule(session_shed_percent(s))) {
    case SHED_NONE:
        break;
    case SHED_STALLED:
        return now_us >= s->stall_look_us;
    case SHED_LARGEST:
        return true;
    }
    return false;
}

/* Whether |a| goes before |b|. */
static bool goes_first(enum session_shed_rule rule, const struct stream *a,
                       const struct stream *b)
{
    return rule == SHED_LARGEST ? stream_held(a) > stream_held(b)
                                : a->moved_us < b->moved_us;
}

/* Of the streams that hold any bytes; NULL when none does. */
static const struct stream *first_to_go(const struct session *s,
                                        enum session_shed_rule rule)
{
    const struct stream *found = NULL;

    for (size_t i = 0; i < s->streams.used; i++) {
        const struct stream *st = s->streams.at[i];

        if (st != NULL && stream_held(st) > 0 &&
            (found == NULL || goes_first(rule, st, found))) {
            found = st;
        }
    }
    return found;
}

bool session_shed_find(struct session *s, enum session_shed_rule rule,
                       uint64_t now_us, struct session_shed *out)
{
    const struct stream *st = first_to_go(s, rule);
    uint64_t since_us;

    assert(rule != SHED_NONE);
    if (rule == SHED_STALLED) {
        since_us = st == NULL ? now_us : st->moved_us;
        /* Whoever moves bytes meanwhile only comes later. */
        s->stall_look_us = since_us + STALL_UNDER_PRESSURE_US;
        st = now_us >= s->stall_look_us ? st : NULL;
    }
    if (st == NULL) {
        return false;
    }
    *out = (struct session_shed){ .stream = st->id,
                                  .owner = st->owner,
                                  .held = stream_held(st),
                                  .stalled_us = now_us - st->moved_us };
    return true;
}
