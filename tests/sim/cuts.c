/*
 * What a login does to both ends, without its bytes: positions are claimed,
 * checked and resumed from.
 */
#include "tests/sim/cuts.h"

#include "proto/session_state.h"

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

void cuts_notice(const struct pair *p, struct pair_end *end)
{
    if (session_has_link(end->session, 0)) {
        session_link_lost(end->session, 0, p->now_us);
    }
}

/* No claim but the true one may be taken, and none may change anything. */
static void lie(const struct pair_end *end, struct dice *d)
{
    const struct sent_log *log = &end->session->slots[0].log;
    uint64_t lies[] = {
        log->end + 1,   log->acked - 1, log->end + 8,
        log->acked + 1, UINT64_MAX,     dice_roll(d, SIZE_MAX)
    };

    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        bool is_end = lies[i] == log->acked;

        for (const struct chunk *c = log->frames.head; c != NULL; c = c->next) {
            is_end = is_end || c->position == lies[i];
        }
        check(session_may_resume(end->session, 0, lies[i]) == is_end,
              "a claim that is not true");
    }
}

static void resume(struct pair *p, struct watcher *w, struct pair_end *end,
                   uint64_t position)
{
    check(session_link_resume(end->session, 0, position, p->now_us) == ERR_OK,
          "the session cannot be resumed");
    watcher_resume(w, end, position);
}

bool cuts_mend(struct pair *p, struct watcher *w, struct dice *d)
{
    uint64_t claimed = session_received(p->client.session, 0);

    cuts_notice(p, &p->client);
    cuts_notice(p, &p->relay);
    lie(&p->client, d);
    lie(&p->relay, d);
    pair_cut(p);
    resume(p, w, &p->relay, claimed);
    if (dice_chance(d, 20)) {
        pair_send(p, &p->relay, dice_size(d, 6));
        return false;
    }
    resume(p, w, &p->client, session_received(p->relay.session, 0));
    return true;
}
