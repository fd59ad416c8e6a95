/*
 * The choice over sessions, and its end: the stream is reset, its visitor told
 * or cut off, and the log says so.
 */
#include "relay/shed.h"

#include "common/log.h"
#include "relay/client_session.h"
#include "relay/exchange.h"
#include "relay/worker.h"

/* Whether |a| goes before |b|. */
static bool goes_first(enum session_shed_rule rule,
                       const struct session_shed *a,
                       const struct session_shed *b)
{
    return rule == SHED_LARGEST ? a->held > b->held
                                : a->stalled_us > b->stalled_us;
}

bool shed_choose(struct client_session *s, uint64_t now_us,
                 struct shed_choice *out)
{
    struct worker *w = s->worker;
    unsigned all = pool_percent(&w->receive_pool);
    enum session_shed_rule rule =
        session_shed_rule(session_shed_percent(s->carrier.session));
    struct session_shed found;

    *out = (struct shed_choice){ .rule = rule };
    if (rule == SHED_NONE) {
        return false;
    }
    for (struct client_session *at = w->sessions; at != NULL; at = at->next) {
        /* One session's trouble is none of the others'. */
        if (at != s && session_shed_rule(all) != rule) {
            continue;
        }
        if (session_shed_find(at->carrier.session, rule, now_us, &found) &&
            (out->session == NULL || goes_first(rule, &found, &out->stream))) {
            out->session = at;
            out->stream = found;
        }
    }
    return out->session != NULL;
}

void shed_relieve(struct client_session *s)
{
    uint64_t now_us = s->worker->loop.now_us;
    struct shed_choice c;

    while (!s->is_over && session_shed_due(s->carrier.session, now_us) &&
           shed_choose(s, now_us, &c)) {
        LOG(LOG_WARN, "stream-shed", log_u64("session", c.session->number),
            log_u64("stream", c.stream.stream),
            log_text("reason", error_name(ERR_LIMIT)),
            log_text("why", session_shed_why(c.rule)),
            log_u64("bytes", c.stream.held),
            log_u64("stalled_ms", c.stream.stalled_us / US_PER_MS));
        session_reset(c.session->carrier.session, c.stream.stream, ERR_LIMIT);
        link_wake_carrier(&c.session->carrier);
        if (c.stream.owner != NULL) {
            exchange_shed(c.stream.owner);
        }
    }
}
