/*
 * What a login does to both ends, without its bytes: epochs and positions are
 * claimed, judged and resumed from. What the network knows, it knows by itself.
 */
#include "tests/sim/network.h"

#include <stdio.h>

#include "proto/session_state.h"

#define NEVER SIZE_MAX
#define CUT_WITHIN 40000u

static const char *const names[NETWORK_KINDS] = {
    [NETWORK_CUT] = "cuts at once",
    [NETWORK_CUT_UP] = "cuts on the way to the relay",
    [NETWORK_CUT_DOWN] = "cuts on the way to the client",
    [NETWORK_CUT_AGAIN] = "cuts in the catch-up",
    [NETWORK_CUT_INSIDE] = "cuts inside a frame",
    [NETWORK_ONE_NOTICES] = "links that one end gave up",
    [NETWORK_FENCE] = "links fenced",
    [NETWORK_LATE_LOGIN] = "late logins",
    [NETWORK_STALE_LOGIN] = "stale logins",
    [NETWORK_COPY] = "copies of logins",
    [NETWORK_LOST_ANSWER] = "answers lost",
    [NETWORK_CLIENT_LIES] = "lies of the client",
    [NETWORK_RELAY_LIES] = "lies of the relay",
    [NETWORK_CHOPPED] = "chopped frames",
    [NETWORK_DELAYED] = "delays",
};

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static void count(struct network *n, enum network_kind kind)
{
    n->counts[kind]++;
}

/*
 * Whether the next event, one of |percent| in a hundred, happens. Its dice are
 * its own, so that those after it stay what they are when it is left out.
 */
static bool happens(struct network *n, unsigned percent, struct dice *d)
{
    unsigned number = n->events++;

    dice_init(d, n->campaign->play.seed * 1000003u + number);
    return dice_chance(d, percent) && campaign_event(n->campaign, number);
}

void network_init(struct network *n, struct pair *p, struct watcher *w,
                  struct campaign *c)
{
    *n = (struct network){ .pair = p,
                           .watcher = w,
                           .campaign = c,
                           .to_relay = NEVER,
                           .to_client = NEVER,
                           .counts = c->counts };
}

static bool has_half(const struct pair_end *end)
{
    const struct assembly *a = &end->session->slots[0].assembly;

    return a->len > 0 && !a->is_handed;
}

static void cut(struct network *n, enum network_kind kind)
{
    n->is_cut = true;
    n->to_relay = NEVER;
    n->to_client = NEVER;
    count(n, n->is_catch_up ? NETWORK_CUT_AGAIN : kind);
    n->is_catch_up = false;
    if (has_half(&n->pair->relay) || has_half(&n->pair->client)) {
        count(n, NETWORK_CUT_INSIDE);
    }
}

size_t network_lets(const struct network *n, const struct pair_end *to,
                    size_t len)
{
    size_t most = to == &n->pair->relay ? n->to_relay : n->to_client;

    if (n->is_cut) {
        return 0;
    }
    return len < most ? len : most;
}

void network_passed(struct network *n, const struct pair_end *to, size_t len)
{
    size_t *most = to == &n->pair->relay ? &n->to_relay : &n->to_client;

    if (len > 0 && has_half(to)) {
        count(n, NETWORK_CHOPPED);
    }
    if (*most != NEVER) {
        *most -= len;
        if (*most == 0) {
            cut(n, to == &n->pair->relay ? NETWORK_CUT_UP : NETWORK_CUT_DOWN);
        }
    }
}

void network_wait(struct network *n, uint64_t us)
{
    n->pair->now_us += us;
    if (!n->is_cut &&
        pair_waiting(&n->pair->relay) + pair_waiting(&n->pair->client) > 0) {
        count(n, NETWORK_DELAYED);
    }
}

static void lose(struct network *n, struct pair_end *end)
{
    if (session_has_link(end->session, 0)) {
        session_link_lost(end->session, 0, n->pair->now_us);
    }
}

void network_notice(struct network *n, struct pair_end *end)
{
    if (n->is_cut) {
        lose(n, end);
    }
}

/* --- logins --------------------------------------------------------------*/

/* What |end| has to think of |position|, by its frames one after the other. */
static bool is_end_of_frame(const struct pair_end *end, uint64_t position)
{
    const struct sent_log *log = &end->session->slots[0].log;

    for (const struct chunk *c = log->frames.head; c != NULL; c = c->next) {
        if (c->position == position) {
            return true;
        }
    }
    return position == log->acked;
}

/* A position that |end| has to refuse, with luck. */
static uint64_t make_up(const struct pair_end *end, struct dice *d)
{
    const struct sent_log *log = &end->session->slots[0].log;
    const uint64_t lies[] = { log->end + 1,   log->acked - 1,
                              log->end + 8,   log->acked + 1,
                              log->end - 1,   UINT64_MAX,
                              log->acked / 2, dice_roll(d, SIZE_MAX) };

    return lies[dice_roll(d, sizeof(lies) / sizeof(lies[0]))];
}

/* The client's key in the wrong hands: a newer login, and a false claim. */
static void client_lies(struct network *n, struct dice *d)
{
    struct pair_end *relay = &n->pair->relay;
    uint64_t lie = make_up(relay, d);
    enum session_claim claim =
        session_judge(relay->session, 0, n->epoch + 1, lie);

    if (is_end_of_frame(relay, lie)) {
        check(claim == CLAIM_TRUE, "a claim that might be true is refused");
        return;
    }
    check(claim == CLAIM_FALSE, "a claim that cannot be true is taken");
    count(n, NETWORK_CLIENT_LIES);
}

/* An answer that claims what the client never sent changes nothing. */
static void relay_lies(struct network *n, struct dice *d)
{
    struct pair_end *client = &n->pair->client;
    uint64_t lie = make_up(client, d);

    if (!is_end_of_frame(client, lie)) {
        check(session_link_resume(client->session, 0, lie, n->pair->now_us) ==
                  ERR_PROTOCOL,
              "an answer that cannot be true is taken");
        check(!session_has_link(client->session, 0), "a link from nowhere");
        count(n, NETWORK_RELAY_LIES);
    }
}

static void resume(struct network *n, struct pair_end *end, uint64_t position)
{
    check(session_link_resume(end->session, 0, position, n->pair->now_us) ==
              ERR_OK,
          "the session cannot be resumed");
    watcher_resume(n->watcher, end, position);
}

static void refuse(const struct network *n, const struct network_login *l)
{
    check(session_judge(n->pair->relay.session, 0, l->epoch, l->received) ==
              CLAIM_STALE,
          "a stale login is taken");
}

/* The relay hears |l|: it has to take it, unless it took a newer one. */
static void take_login(struct network *n, const struct network_login *l)
{
    struct session *relay = n->pair->relay.session;

    if (l->epoch < n->taken.epoch) {
        refuse(n, l);
        count(n, NETWORK_STALE_LOGIN);
        return;
    }
    check(session_judge(relay, 0, l->epoch, l->received) == CLAIM_TRUE,
          "a login that says the truth is refused");
    if (session_has_link(relay, 0)) {
        count(n, NETWORK_FENCE);
    }
    session_fence(relay, 0, l->epoch, n->pair->now_us);
    check(!session_has_link(relay, 0), "a fenced link is there still");
    pair_cut(n->pair);
    resume(n, &n->pair->relay, l->received);
    n->taken = *l;
    refuse(n, l);
}

/* A LOGIN whose client waits no more is heard at last. */
static void hear_late(struct network *n)
{
    struct network_login l = n->late;

    if (l.epoch != 0) {
        n->late.epoch = 0;
        count(n, NETWORK_LATE_LOGIN);
        take_login(n, &l);
    }
}

/* How much the link that was mended has to carry before there is news. */
static size_t again(const struct pair_end *end)
{
    const struct sent_log *log = &end->session->slots[0].log;

    return (size_t)(log->end - log->handed);
}

static void break_the_catch_up(struct network *n, struct dice *d)
{
    size_t down = again(&n->pair->relay);
    size_t up = again(&n->pair->client);

    if (down > 0 && (up == 0 || dice_chance(d, 50))) {
        n->to_client = 1 + dice_roll(d, down);
        n->is_catch_up = true;
    } else if (up > 0) {
        n->to_relay = 1 + dice_roll(d, up);
        n->is_catch_up = true;
    }
}

void network_log_in(struct network *n)
{
    struct pair *p = n->pair;
    struct network_login l;
    struct dice d;

    if (!n->is_cut) {
        return;
    }
    lose(n, &p->client);
    l.epoch = ++n->epoch;
    l.received = session_received(p->client.session, 0);
    if (happens(n, 20, &d)) {
        hear_late(n); /* the one before: nobody waits for its answer */
        n->late = l;
        return;
    }
    take_login(n, &l);
    if (happens(n, 20, &d)) {
        pair_send(p, &p->relay, dice_size(&d, 6));
        count(n, NETWORK_LOST_ANSWER);
        return;
    }
    if (happens(n, 30, &d)) {
        relay_lies(n, &d);
    }
    resume(n, &p->client, session_received(p->relay.session, 0));
    n->is_cut = false;
    if (happens(n, 30, &d)) {
        break_the_catch_up(n, &d);
    }
}

/* --- trouble -------------------------------------------------------------*/

static void cut_somehow(struct network *n, struct dice *d)
{
    struct pair *p = n->pair;

    switch (dice_roll(d, 4)) {
    case 0:
        cut(n, NETWORK_CUT);
        break;
    case 1:
        n->to_relay = 1 + dice_size(d, CUT_WITHIN);
        break;
    case 2:
        n->to_client = 1 + dice_size(d, CUT_WITHIN);
        break;
    default:
        cut(n, NETWORK_ONE_NOTICES);
        lose(n, dice_chance(d, 50) ? &p->relay : &p->client);
        break;
    }
}

void network_act(struct network *n, struct dice *d)
{
    bool is_due = dice_chance(d, 2);
    bool is_login_due = dice_chance(d, 10);
    struct dice own;

    if (n->is_cut && is_login_due) {
        network_log_in(n);
    } else if (is_due && happens(n, 100, &own)) {
        switch (dice_roll(&own, 5)) {
        case 0:
            client_lies(n, &own);
            break;
        case 1:
            if (n->taken.epoch != 0) {
                refuse(n, &n->taken);
                count(n, NETWORK_COPY);
            }
            break;
        case 2:
            hear_late(n);
            break;
        default:
            if (!n->is_cut && n->to_relay == NEVER && n->to_client == NEVER) {
                cut_somehow(n, &own);
            }
            break;
        }
    }
}

bool network_report(const uint64_t counts[NETWORK_KINDS])
{
    bool is_all = true;

    for (unsigned i = 0; i < NETWORK_KINDS; i++) {
        printf("%s%llu %s", i == 0 ? "" : ", ", (unsigned long long)counts[i],
               names[i]);
        is_all = is_all && counts[i] > 0;
    }
    printf("\n");
    return is_all;
}
