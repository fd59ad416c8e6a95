/*
 * Two sessions in memory under a seed: random exchanges, chopped and delayed,
 * with invariants after each step. SIM_SEED=n runs the one that failed;
 * SIM_SEEDS=n says how many.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/session_state.h"
#include "tests/sim/cuts.h"
#include "tests/sim/exchange.h"
#include "tests/sim/growth.h"
#include "tests/sim/pressure.h"
#include "tests/sim/watcher.h"

#define SEEDS 300u
#define STEPS 1500u
#define EXCHANGES 40u
#define TUNNELS 3u
#define DRAIN_ROUNDS 20000u

struct world {
    struct pair pair;
    struct watcher watcher;
    struct dice dice;
    struct exchange exchanges[EXCHANGES];
    unsigned opened;
    bool is_cut; /* the network: nothing arrives, whatever the ends think */
    bool is_tunnel_known[TUNNELS + 1]; /* at the relay */
};

static unsigned long long running_seed;
static uint64_t total_bytes;
static unsigned total_exchanges;
static unsigned total_shed;
static unsigned total_cuts;

static void on_abort(int number)
{
    char line[80];
    /* NOLINTNEXTLINE(bugprone-signal-handler): it was our own abort() */
    int len = snprintf(line, sizeof(line), "sim: failed with SIM_SEED=%llu\n",
                       running_seed);

    (void)number;
    if (write(2, line, (size_t)len) != len) {
        _exit(2);
    }
    _exit(1);
}

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static enum exchange_end end_of(const struct world *w,
                                const struct pair_end *end)
{
    return end == &w->pair.relay ? END_RELAY : END_CLIENT;
}

static void take_event(struct world *w, struct pair_end *to,
                       const struct session_event *event)
{
    struct exchange *e = event->owner;

    if (event->kind == EVENT_BIND || event->kind == EVENT_BOUND) {
        check(event->tunnel <= TUNNELS, "a tunnel from nowhere");
        w->is_tunnel_known[event->tunnel] = true;
        return;
    }
    if (event->stream == 0) {
        return;
    }
    if (event->kind == EVENT_OPEN) {
        for (unsigned i = 0; i < w->opened; i++) {
            if (w->exchanges[i].id == event->stream) {
                e = &w->exchanges[i];
            }
        }
        check(e != NULL, "OPEN of an exchange that was not opened");
        session_set_owner(to->session, event->stream, e);
    }
    check(e != NULL && e->id == event->stream, "the owner is wrong");
    exchange_take(e, end_of(w, to), to->session, event, &w->dice);
}

/* |end|'s receive pool is full: as its owner would, end what has to go. */
static void shed(struct world *w, const struct pair_end *end)
{
    struct session *s = end->session;
    struct session_shed out;

    while (session_shed_due(s, w->pair.now_us)) {
        enum session_shed_rule rule =
            session_shed_rule(session_shed_percent(s));

        if (!session_shed_find(s, rule, w->pair.now_us, &out)) {
            break;
        }
        check(rule == SHED_LARGEST || out.stalled_us >= STALL_UNDER_PRESSURE_US,
              "shed without need");
        for (unsigned i = 0; i < w->opened; i++) {
            if (w->exchanges[i].id == out.stream) {
                exchange_drop(&w->exchanges[i], end_of(w, end));
            }
        }
        session_reset(s, out.stream, ERR_LIMIT);
        total_shed++;
    }
    check(session_shed_percent(s) < 100, "a receive pool is over its bound");
}

static void deliver(struct world *w, struct pair_end *from, struct pair_end *to,
                    size_t len)
{
    struct session_event event;

    if (w->is_cut) {
        return;
    }
    while (len > 0) {
        size_t rest = len;

        if (pair_step(&w->pair, from, to, &rest, &event) != ERR_OK) {
            watcher_fail(session_why(to->session));
        }
        if (event.kind != EVENT_NONE) {
            take_event(w, to, &event);
        }
        shed(w, to);
        len = rest < pair_waiting(from) ? rest : pair_waiting(from);
    }
}

static void send_some(struct world *w, struct pair_end *from, size_t frames)
{
    uint32_t stream;
    struct exchange *e;

    pair_send(&w->pair, from, frames);
    while ((e = session_pop_writable(from->session, &stream)) != NULL) {
        check(e->id == stream, "writable: the owner is wrong");
        exchange_resume(e, end_of(w, from));
    }
}

static void tick(struct world *w, struct pair_end *end)
{
    struct session *s = end->session;

    if (w->pair.now_us >= session_deadline(s, 0) &&
        session_tick(s, 0, w->pair.now_us) != ERR_OK) {
        check(w->is_cut && session_tick(s, 0, w->pair.now_us) == ERR_TIMEOUT,
              "a time-out");
        session_link_lost(s, 0, w->pair.now_us);
    }
    shed(w, end);
}

/* --- a network that breaks -----------------------------------------------*/

/* Some of what is under way arrives yet, the rest is lost. */
static void cut(struct world *w)
{
    struct pair *p = &w->pair;

    if (!w->is_cut) {
        deliver(w, &p->relay, &p->client, dice_size(&w->dice, 40000));
        deliver(w, &p->client, &p->relay, dice_size(&w->dice, 40000));
        w->is_cut = true;
        total_cuts++;
    }
}

/* Recount what the accounts say. */
static void check_accounts(const struct pair_end *end)
{
    const struct session *s = end->session;
    uint64_t sent = s->slots[0].log.cost;
    uint64_t unsent = 0;
    uint64_t held = 0;
    size_t live = 0;

    for (struct chunk *c = s->slots[0].control.head; c != NULL; c = c->next) {
        sent += chunk_cost(c);
    }
    for (size_t i = 0; i < s->streams.used; i++) {
        const struct stream *st = s->streams.at[i];

        if (st == NULL) {
            continue;
        }
        for (struct chunk *c = st->unsent.head; c != NULL; c = c->next) {
            sent += chunk_cost(c);
            unsent += c->len;
        }
        held += stream_held(st);
        live += st->is_over ? 0 : 1;
        check(st->window.granted <= st->window.consumed + st->window.size,
              "more was granted than the window has");
        check(st->unsent.bytes <=
                  AWAY_STREAM_MAX + FRAME_PAYLOAD_MAX + 3 * HEAD_MAX,
              "a queue is too long");
    }
    check(s->sent.used == sent && end->sent.used == sent, "sent account");
    check(s->receive.used == held && end->receive.used == held,
          "receive account");
    check(s->unsent_bytes == unsent, "unsent account");
    check(s->live == live, "count of live streams");
}

static void check_log(const struct pair_end *from, const struct pair_end *to)
{
    const struct sent_log *log = &from->session->slots[0].log;
    uint64_t position = log->acked;
    uint64_t cost = 0;

    for (const struct chunk *c = log->frames.head; c != NULL; c = c->next) {
        position += c->len;
        cost += chunk_cost(c);
        check(c->position == position, "a frame's position is wrong");
    }
    check(position == log->end, "log's end");
    check(log->handed == (log->again == NULL
                              ? log->end
                              : log->again->position - log->again->len),
          "log's place");
    check(cost == log->cost, "log's cost");
    check(to->session->slots[0].received <= log->end, "received too much");
    check(log->acked <= to->session->slots[0].received,
          "freed before it was received");
}

static void check_all(const struct world *w)
{
    check_accounts(&w->pair.relay);
    check_accounts(&w->pair.client);
    check_log(&w->pair.relay, &w->pair.client);
    check_log(&w->pair.client, &w->pair.relay);
}

/* Everything is delivered: no credit may be lost or doubled. */
static void check_credit(const struct session *near, const struct session *far)
{
    for (size_t i = 0; i < near->streams.used; i++) {
        const struct stream *st = near->streams.at[i];
        const struct stream *peer;

        if (st == NULL || st->state == STREAM_DONE) {
            continue;
        }
        peer = streams_find(&far->streams, st->id);
        check(peer != NULL && !peer->is_over, "one end alone has a stream");
        if (st->is_fin_queued) {
            continue;
        }
        check(st->credit.left == peer->window.granted - peer->window.received,
              "credit was lost or doubled");
        check(st->unsent.count == 0 || st->credit.left == 0,
              "a stream is forgotten");
        check(st->unsent.count == 0 || stream_held(peer) > 0,
              "a stream has stalled");
    }
}

static void exchange_all(struct world *w)
{
    while (w->is_cut) {
        w->is_cut = !cuts_mend(&w->pair, &w->watcher, &w->dice);
    }
    do {
        send_some(w, &w->pair.relay, SIZE_MAX);
        deliver(w, &w->pair.relay, &w->pair.client, SIZE_MAX);
        send_some(w, &w->pair.client, SIZE_MAX);
        deliver(w, &w->pair.client, &w->pair.relay, SIZE_MAX);
    } while (session_has_output(w->pair.relay.session, 0));
    check_credit(w->pair.relay.session, w->pair.client.session);
    check_credit(w->pair.client.session, w->pair.relay.session);
}

static void open_one(struct world *w)
{
    uint16_t tunnel = (uint16_t)(1 + dice_roll(&w->dice, TUNNELS));
    struct exchange *e = &w->exchanges[w->opened];

    if (w->opened == EXCHANGES || !w->is_tunnel_known[tunnel]) {
        return;
    }
    exchange_plan(e, w->opened, tunnel, &w->dice);
    if (exchange_open(e, w->pair.relay.session)) {
        w->opened++;
    }
}

static void drop_one(void *owner, uint32_t stream, void *arg)
{
    struct exchange *e = owner;

    (void)arg;
    check(e->id == stream, "each: the owner is wrong");
    exchange_drop(e, END_RELAY);
}

static void take_tunnel_away(struct world *w)
{
    struct frame_verdict v = { .tunnel = TUNNELS,
                               .code = ERR_REPLACED,
                               .sentence = span_text("taken over") };
    struct session *relay = w->pair.relay.session;

    if (w->is_tunnel_known[TUNNELS]) {
        session_each_stream(relay, TUNNELS, drop_one, w);
        check(session_unbound(relay, &v) == ERR_OK, "UNBOUND failed");
        w->is_tunnel_known[TUNNELS] = false;
    }
}

static void unbind_one(struct world *w)
{
    enum err error = session_unbind(w->pair.client.session, 2);

    check(error == ERR_OK || error == ERR_ABSENT, "UNBIND failed");
}

static void act(struct world *w)
{
    struct dice *d = &w->dice;
    struct pair *p = &w->pair;
    bool is_relay = dice_chance(d, 50);
    struct pair_end *end = is_relay ? &p->relay : &p->client;
    struct exchange *e;

    if (dice_chance(d, 1)) {
        cut(w);
    } else if (w->is_cut && dice_chance(d, 10)) {
        w->is_cut = !cuts_mend(&w->pair, &w->watcher, &w->dice);
    }
    switch (dice_roll(d, 12)) {
    case 0:
        open_one(w);
        break;
    case 1:
    case 2:
        send_some(w, end, 1 + dice_size(d, 12));
        break;
    case 3:
        deliver(w, end, is_relay ? &p->client : &p->relay,
                1 + dice_size(d, 40000));
        break;
    case 4:
        p->now_us += dice_size(d, 40000);
        tick(w, &p->relay);
        tick(w, &p->client);
        break;
    case 5:
        if (dice_chance(d, 1)) {
            take_tunnel_away(w);
        } else if (dice_chance(d, 1)) {
            unbind_one(w);
        } else if (w->is_cut && dice_chance(d, 10)) {
            cuts_notice(p, end);
        } else if (dice_chance(d, 3)) {
            session_probe(end->session, 0, p->now_us);
        }
        break;
    default:
        if (w->opened > 0) {
            e = &w->exchanges[dice_roll(d, w->opened)];
            exchange_act(e, end_of(w, end), end->session, d);
        }
        break;
    }
}

static bool is_over(const struct world *w)
{
    for (unsigned i = 0; i < w->opened; i++) {
        if (!exchange_is_over(&w->exchanges[i], w->pair.relay.session,
                              w->pair.client.session)) {
            return false;
        }
    }
    return true;
}

/* Let every exchange come to its end. */
static void drain(struct world *w)
{
    struct pair *p = &w->pair;

    for (unsigned i = 0; i < w->opened; i++) {
        exchange_hurry(&w->exchanges[i]);
    }
    for (unsigned round = 0; !is_over(w); round++) {
        check(round < DRAIN_ROUNDS, "an exchange does not end");
        for (unsigned i = 0; i < w->opened; i++) {
            struct exchange *e = &w->exchanges[i];

            exchange_act(e, END_RELAY, p->relay.session, &w->dice);
            exchange_act(e, END_CLIENT, p->client.session, &w->dice);
        }
        exchange_all(w);
        p->now_us += 1000;
        tick(w, &p->relay);
        tick(w, &p->client);
    }
}

static void check_end(struct world *w)
{
    struct pair_end *ends[] = { &w->pair.relay, &w->pair.client };

    exchange_all(w);
    w->pair.now_us += ACK_DELAY_US;
    tick(w, &w->pair.relay);
    tick(w, &w->pair.client);
    exchange_all(w);
    check_all(w);
    for (unsigned i = 0; i < 2; i++) {
        struct session *s = ends[i]->session;

        check(s->streams.count == 0 && s->live == 0, "a stream is left over");
        check(s->slots[0].log.frames.count == 0, "not all is acknowledged");
        check(ends[i]->sent.used == 0, "sent bytes are left over");
        check(ends[i]->receive.used == 0, "received bytes are left over");
        check(session_deadline(s, 0) > w->pair.now_us,
              "a deadline in the past");
    }
}

static void run_seed(uint64_t seed)
{
    static const uint32_t windows[] = { WINDOW_FIRST, 64 * KIB, 16 * KIB,
                                        1000 };
    static const uint64_t pools[] = { RECEIVE_POOL_SESSION, 256 * KIB,
                                      96 * KIB };
    struct world *w = calloc(1, sizeof(*w));
    uint32_t window;

    check(w != NULL, "no memory");
    running_seed = seed;
    dice_init(&w->dice, seed);
    window = windows[dice_roll(&w->dice, 4)];
    pair_init_small(&w->pair, window, pools[dice_roll(&w->dice, 3)]);
    watcher_init(&w->watcher, &w->pair, window);
    for (uint16_t tunnel = 1; tunnel <= TUNNELS; tunnel++) {
        struct frame_bind bind = { .tunnel = tunnel };

        check(session_bind(w->pair.client.session, &bind) == ERR_OK, "BIND");
    }
    for (unsigned step = 0; step < STEPS; step++) {
        act(w);
        check_log(&w->pair.relay, &w->pair.client);
        if (step % 32 == 0) {
            check_all(w);
        }
        if (step % 512 == 511) {
            exchange_all(w);
        }
    }
    drain(w);
    check_end(w);
    total_exchanges += w->opened;
    total_bytes += w->watcher.relay.position + w->watcher.client.position;
    pair_deinit(&w->pair);
    watcher_deinit(&w->watcher);
    free(w);
}

int main(void)
{
    const char *one = getenv("SIM_SEED");
    const char *many = getenv("SIM_SEEDS");
    uint64_t count = many != NULL ? strtoull(many, NULL, 10) : SEEDS;

    if (signal(SIGABRT, on_abort) == SIG_ERR) {
        return 2;
    }
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return 0;
    }
    growth_check();
    pressure_check();
    for (uint64_t seed = 1; seed <= count; seed++) {
        run_seed(seed);
    }
    printf("%llu seeds, %u exchanges, %u cuts, %u shed, %llu bytes\n",
           (unsigned long long)count, total_exchanges, total_cuts, total_shed,
           (unsigned long long)total_bytes);
    return 0;
}
