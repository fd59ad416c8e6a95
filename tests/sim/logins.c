/*
 * Both programs' rooms for logins in short: what relay/login.c, bulk_link.c and
 * client/redial.c do with a session, and what must come of it.
 */
#include "tests/sim/logins.h"

#include "proto/session_state.h"
#include "tests/sim/exchange.h"

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

/* What |end| has to think of |position|, by its frames one after the other. */
static bool is_end_of_frame(const struct network *n, const struct pair_end *end,
                            uint64_t position)
{
    const struct sent_log *log = &end->session->slots[n->slot].log;

    for (const struct chunk *c = log->frames.head; c != NULL; c = c->next) {
        if (c->position == position) {
            return true;
        }
    }
    return position == log->acked;
}

/* --- lies ----------------------------------------------------------------*/

/* A position that |end| has to refuse, with luck. */
static uint64_t make_up(const struct network *n, const struct pair_end *end,
                        struct dice *d)
{
    const struct sent_log *log = &end->session->slots[n->slot].log;
    const uint64_t lies[] = { log->end + 1,   log->acked - 1,
                              log->end + 8,   log->acked + 1,
                              log->end - 1,   UINT64_MAX,
                              log->acked / 2, dice_roll(d, SIZE_MAX) };

    return lies[dice_roll(d, sizeof(lies) / sizeof(lies[0]))];
}

/* Whether the relay lets a client go on that is at |position|: on the bulk
 * link only one that has spoken since it began. */
static bool may_go_on(const struct network *n, uint64_t position)
{
    return (n->slot == SLOT_EXPRESS || n->is_told) &&
           is_end_of_frame(n, &n->pair->relay, position);
}

void logins_lie(struct network *n, struct dice *d)
{
    struct pair_end *relay = &n->pair->relay;
    uint64_t lie = make_up(n, relay, d);
    enum session_claim claim =
        session_judge(relay->session, n->slot, n->epoch + 1, lie);

    if (may_go_on(n, lie)) {
        check(claim == CLAIM_TRUE, "a claim that might be true is refused");
        return;
    }
    check(claim == CLAIM_FALSE, "a claim that cannot be true is taken");
    network_count(n, NETWORK_CLIENT_LIES);
}

/* An answer that claims what the client never sent changes nothing. */
static void relay_lies(struct network *n, struct dice *d)
{
    struct pair_end *client = &n->pair->client;
    uint64_t lie = make_up(n, client, d);

    if (!is_end_of_frame(n, client, lie)) {
        check(session_link_resume(client->session, n->slot, lie,
                                  n->pair->now_us) == ERR_PROTOCOL,
              "an answer that cannot be true is taken");
        check(!session_has_link(client->session, n->slot),
              "a link from nowhere");
        network_count(n, NETWORK_RELAY_LIES);
    }
}

/* --- a new beginning -----------------------------------------------------*/

/* Whose streams have to go, and how many stay. */
struct leavers {
    const struct pair *pair;
    const struct pair_end *end;
    unsigned slot;
    size_t others;
};

static void drop(void *owner, uint32_t stream, void *arg)
{
    struct leavers *l = arg;
    struct exchange *e = owner;

    check(e->id == stream, "each: the owner is wrong");
    if (session_stream_slot(l->end->session, stream) == l->slot) {
        check(e->slot == l->slot, "a stream's slot is wrong");
        exchange_drop(e, l->end == &l->pair->relay ? END_RELAY : END_CLIENT);
    } else {
        l->others++;
    }
}

static void count_others(void *owner, uint32_t stream, void *arg)
{
    (void)owner;
    (void)stream;
    --*(size_t *)arg;
}

/* What was on the slot is over at |end|; the other slot does not notice. */
static void begin_anew(struct network *n, struct pair_end *end)
{
    struct session *s = end->session;
    const struct slot *other = &s->slots[n->beside->slot];
    struct leavers l = { n->pair, end, n->slot, 0 };
    struct slot before;

    network_lose(n, end);
    session_each_stream(s, 0, drop, &l);
    before = *other;
    session_slot_clear(s, n->slot);
    check(other->has_link == before.has_link &&
              other->received == before.received &&
              other->log.end == before.log.end &&
              other->log.cost == before.log.cost &&
              other->control.count == before.control.count &&
              other->highest == before.highest,
          "the other slot is not what it was");
    session_each_stream(s, 0, count_others, &l.others);
    check(l.others == 0, "the other slot's streams are not what they were");
    watcher_clear(n->watcher, end, n->slot);
    n->watcher->is_torn[n->slot] = true;
    if (end == &n->pair->relay) {
        n->is_told = false;
    } else {
        n->is_known = false;
    }
}

void logins_expire(struct network *n, struct dice *d)
{
    size_t whose = dice_roll(d, 3);

    if (n->slot == SLOT_EXPRESS || !n->is_cut) {
        return;
    }
    if (whose != 0) {
        begin_anew(n, &n->pair->relay);
        network_count(n, NETWORK_RELAY_EXPIRED);
    }
    if (whose != 1) {
        begin_anew(n, &n->pair->client);
        network_count(n, NETWORK_CLIENT_EXPIRED);
    }
}

/* --- logins --------------------------------------------------------------*/

static void resume(struct network *n, struct pair_end *end, uint64_t position)
{
    check(session_link_resume(end->session, n->slot, position,
                              n->pair->now_us) == ERR_OK,
          "the session cannot be resumed");
    watcher_resume(n->watcher, end, n->slot, position);
}

static void refuse(const struct network *n, const struct network_login *l)
{
    check(session_judge(n->pair->relay.session, n->slot, l->epoch,
                        l->received) == CLAIM_STALE,
          "a stale login is taken");
}

/* The relay hears |l|: it has to take it, unless it took a newer one. True: it
 * goes on where it was. */
static bool take_login(struct network *n, const struct network_login *l)
{
    struct session *relay = n->pair->relay.session;
    bool is_resumed = l->is_resuming && may_go_on(n, l->received);
    enum session_claim claim =
        session_judge(relay, n->slot, l->epoch, l->received);

    if (l->epoch < n->taken.epoch) {
        refuse(n, l);
        network_count(n, NETWORK_STALE_LOGIN);
        return false;
    }
    check(claim != CLAIM_STALE, "a new login is called stale");
    check(!is_resumed || claim == CLAIM_TRUE,
          "a login that says the truth is refused");
    check(is_resumed || !l->is_resuming || claim == CLAIM_FALSE,
          "a claim of another beginning is taken");
    check(is_resumed || n->slot == SLOT_BULK, "the express link begins anew");
    if (session_has_link(relay, n->slot)) {
        network_count(n, NETWORK_FENCE);
    }
    session_fence(relay, n->slot, l->epoch, n->pair->now_us);
    check(!session_has_link(relay, n->slot), "a fenced link is there still");
    pair_slot_cut(n->pair, n->slot);
    if (is_resumed) {
        resume(n, &n->pair->relay, l->received);
    } else {
        begin_anew(n, &n->pair->relay);
        session_link_up(relay, n->slot, n->pair->now_us);
        if (l->is_resuming) {
            network_count(n, NETWORK_ANEW);
        }
    }
    n->taken = *l;
    refuse(n, l);
    return is_resumed;
}

void logins_hear_late(struct network *n)
{
    struct network_login l = n->late;

    if (l.epoch != 0) {
        n->late.epoch = 0;
        network_count(n, NETWORK_LATE_LOGIN);
        (void)take_login(n, &l);
    }
}

void logins_copy(struct network *n)
{
    if (n->taken.epoch != 0) {
        refuse(n, &n->taken);
        network_count(n, NETWORK_COPY);
    }
}

/* How much the link that was mended has to carry before there is news. */
static size_t again(const struct network *n, const struct pair_end *end)
{
    const struct sent_log *log = &end->session->slots[n->slot].log;

    return (size_t)(log->end - log->handed);
}

static void break_the_catch_up(struct network *n, struct dice *d)
{
    size_t down = again(n, &n->pair->relay);
    size_t up = again(n, &n->pair->client);

    if (down + up > 0 && !n->beside->is_cut && dice_chance(d, 30)) {
        network_cut(n->beside, NETWORK_CUT_BESIDE);
    } else if (down > 0 && (up == 0 || dice_chance(d, 50))) {
        n->to_client = 1 + dice_roll(d, down);
        n->is_catch_up = true;
    } else if (up > 0) {
        n->to_relay = 1 + dice_roll(d, up);
        n->is_catch_up = true;
    }
}

/* The answer arrives, and says whether the slot goes on. */
static void hear_answer(struct network *n, bool is_resumed)
{
    struct pair_end *client = &n->pair->client;

    if (is_resumed) {
        resume(n, client, session_received(n->pair->relay.session, n->slot));
    } else {
        begin_anew(n, client);
        session_link_up(client->session, n->slot, n->pair->now_us);
    }
    n->is_known = true;
    n->is_cut = false;
    n->watcher->is_torn[n->slot] = false;
}

void logins_next(struct network *n)
{
    struct pair *p = n->pair;
    struct network_login l;
    bool is_resumed;
    struct dice d;

    if (!n->is_cut) {
        return;
    }
    network_lose(n, &p->client);
    l.epoch = ++n->epoch;
    l.is_resuming = n->is_known;
    l.received = session_received(p->client.session, n->slot);
    if (network_happens(n, 20, &d)) {
        logins_hear_late(n); /* the one before: nobody waits for its answer */
        n->late = l;
        return;
    }
    is_resumed = take_login(n, &l);
    if (network_happens(n, 20, &d)) {
        pair_slot_send(p, &p->relay, n->slot, dice_size(&d, 6));
        network_count(n, NETWORK_LOST_ANSWER);
        return;
    }
    if (network_happens(n, 30, &d)) {
        relay_lies(n, &d);
    }
    hear_answer(n, is_resumed);
    if (network_happens(n, 30, &d)) {
        break_the_catch_up(n, &d);
    }
}
