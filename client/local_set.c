/*
 * A list and one timer, which looks for stalls as long as there are exchanges,
 * and once more for what the last ones have left.
 */
#include "client/local_set.h"

#include "client/local.h"
#include "common/log.h"
#include "common/memory.h"

static void look_later(struct local_set *set)
{
    if (!set->is_looking) {
        set->is_looking = true;
        timer_set(set->sweep, loop_now(set->loop) + MEMORY_LOOK_US);
    }
}

static void on_sweep(void *owner)
{
    struct local_set *set = owner;
    struct session *s = set->carrier->session;
    uint64_t limit_us =
        s != NULL && session_shed_percent(s) > SHED_STALLED_PERCENT
            ? STALL_UNDER_PRESSURE_US
            : STALL_US;
    struct local_set_member *next;

    set->is_looking = false;
    for (struct local_set_member *m = set->first; m != NULL; m = next) {
        next = m->next;
        local_look_at_stall(m->local, limit_us);
    }
    memory_return(set->receive, set->sent);
    if (set->first != NULL) {
        look_later(set);
    }
}

enum err local_set_init(struct local_set *set, struct loop *loop)
{
    set->loop = loop;
    set->sweep = timer_new(loop, on_sweep, set);
    return set->sweep == NULL ? ERR_NOMEM : ERR_OK;
}

void local_set_deinit(struct local_set *set)
{
    assert(set->first == NULL);
    timer_close(set->sweep);
    set->sweep = NULL;
}

void local_set_add(struct local_set *set, struct local_set_member *m,
                   struct local *local)
{
    *m = (struct local_set_member){ .next = set->first, .local = local };
    if (set->first != NULL) {
        set->first->prev = m;
    }
    set->first = m;
    look_later(set);
}

void local_set_remove(struct local_set *set, struct local_set_member *m)
{
    if (m->prev != NULL) {
        m->prev->next = m->next;
    } else {
        assert(set->first == m);
        set->first = m->next;
    }
    if (m->next != NULL) {
        m->next->prev = m->prev;
    }
}

void local_set_abandon(struct local_set *set)
{
    while (set->first != NULL) {
        local_abandon(set->first->local);
    }
}

void local_set_abandon_slot(struct local_set *set, unsigned slot)
{
    struct local_set_member *next;

    for (struct local_set_member *m = set->first; m != NULL; m = next) {
        next = m->next;
        if (local_is_on(m->local, slot)) {
            local_abandon(m->local);
        }
    }
}

void local_set_shed(struct local_set *set)
{
    struct session *s = set->carrier->session;
    uint64_t now_us = set->loop->now_us;
    struct session_shed shed;

    while (session_shed_due(s, now_us)) {
        enum session_shed_rule rule =
            session_shed_rule(session_shed_percent(s));

        if (!session_shed_find(s, rule, now_us, &shed)) {
            return;
        }
        LOG(LOG_WARN, "stream-shed", log_u64("stream", shed.stream),
            log_text("reason", error_name(ERR_LIMIT)),
            log_text("why", session_shed_why(rule)),
            log_u64("bytes", shed.held),
            log_u64("stalled_ms", shed.stalled_us / US_PER_MS));
        session_reset(s, shed.stream, ERR_LIMIT);
        link_wake_carrier(set->carrier);
        if (shed.owner != NULL) {
            local_shed(shed.owner);
        }
    }
}
