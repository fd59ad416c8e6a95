/*
 * Two sessions in memory under a seed: random exchanges over two links, each on
 * a network of its own that chops, delays, cuts and lies, with invariants after
 * each step. What fails is told with its seed, and made smaller
 * (tests/sim/campaign.h).
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/accounts.h"
#include "tests/sim/campaign.h"
#include "tests/sim/doubt.h"
#include "tests/sim/exchange.h"
#include "tests/sim/growth.h"
#include "tests/sim/logins.h"
#include "tests/sim/network.h"
#include "tests/sim/pressure.h"
#include "tests/sim/voice.h"

#define STEPS 1500u
#define EXCHANGES 40u
#define TUNNELS 3u
#define DRAIN_ROUNDS 20000u
#define NO_BULK UINT32_MAX

/* With fewer seeds than this some kind of trouble may never have happened. */
#define SEEDS_FOR_ALL 100u

/* Counted beside what the network does. */
enum {
    COUNT_EXCHANGES = SLOTS_MAX * NETWORK_KINDS,
    COUNT_BULK,
    COUNT_SINGLE,
    COUNT_BYTES,
    COUNT_SHED,
    COUNT_LEFT,
    COUNT_END
};
_Static_assert(COUNT_END <= CAMPAIGN_COUNTS, "room for all counts");

struct world {
    struct pair pair;
    struct watcher watcher;
    struct network networks[SLOTS_MAX];
    struct dice dice;
    struct campaign *campaign;
    struct exchange exchanges[EXCHANGES];
    unsigned opened;
    unsigned bulk_step; /* when the client wants a bulk link; never: NO_BULK */
    bool is_tunnel_known[TUNNELS + 1]; /* at the relay */
};

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

static void take_event(struct world *w, struct pair_end *to, unsigned slot,
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
    check(e != NULL && e->id == event->stream && e->slot == slot,
          "the owner or the slot is wrong");
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
        w->campaign->counts[COUNT_SHED]++;
    }
    check(session_shed_percent(s) < 100, "a receive pool is over its bound");
}

/* At most |len| bytes arrive at |to|, as far as the network lets them. */
static void deliver(struct world *w, struct pair_end *to, unsigned slot,
                    size_t len)
{
    const struct pair *p = &w->pair;
    const struct pair_end *from = to == &p->relay ? &p->client : &p->relay;
    size_t waiting = pair_slot_waiting(from, slot);
    struct session_event event;
    size_t rest;

    len = len < waiting ? len : waiting;
    len = network_lets(&w->networks[slot], to, len);
    rest = len;
    while (rest > 0) {
        if (pair_slot_step(&w->pair, to, slot, &rest, &event) != ERR_OK) {
            watcher_fail(session_why(to->session));
        }
        if (event.kind != EVENT_NONE) {
            take_event(w, to, slot, &event);
        }
        shed(w, to);
    }
    network_passed(&w->networks[slot], to, len);
}

static void send_some(struct world *w, struct pair_end *from, unsigned slot,
                      size_t frames)
{
    uint32_t stream;
    struct exchange *e;

    pair_slot_send(&w->pair, from, slot, frames);
    while ((e = session_pop_writable(from->session, &stream)) != NULL) {
        check(e->id == stream, "writable: the owner is wrong");
        exchange_resume(e, end_of(w, from));
    }
}

static void tick(struct world *w, struct pair_end *end)
{
    struct session *s = end->session;
    uint64_t now_us = w->pair.now_us;

    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        if (now_us >= session_deadline(s, slot) &&
            session_tick(s, slot, now_us) != ERR_OK) {
            check(w->networks[slot].is_cut &&
                      session_tick(s, slot, now_us) == ERR_TIMEOUT,
                  "a time-out");
            session_link_lost(s, slot, now_us);
        }
    }
    shed(w, end);
}

static void pass(struct world *w, uint64_t us)
{
    w->pair.now_us += us;
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        network_waited(&w->networks[slot]);
    }
    tick(w, &w->pair.relay);
    tick(w, &w->pair.client);
}

/* What there is on one link arrives, unless it is cut again. */
static void exchange_slot(struct world *w, unsigned slot)
{
    struct pair *p = &w->pair;

    while (network_is_away(&w->networks[slot])) {
        logins_next(&w->networks[slot]);
    }
    send_some(w, &p->relay, slot, SIZE_MAX);
    deliver(w, &p->client, slot, SIZE_MAX);
    send_some(w, &p->client, slot, SIZE_MAX);
    deliver(w, &p->relay, slot, SIZE_MAX);
}

/* All that there is arrives, however often it is cut. */
static void exchange_all(struct world *w)
{
    const struct pair *p = &w->pair;
    bool has_more = true;

    while (has_more) {
        for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
            exchange_slot(w, slot);
        }
        has_more = false;
        /* What came on one link has something sent on the other. */
        for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
            has_more = has_more || network_is_away(&w->networks[slot]) ||
                       session_has_output(p->relay.session, slot) ||
                       session_has_output(p->client.session, slot);
        }
    }
    accounts_check_credit(&w->pair);
}

static void open_one(struct world *w)
{
    uint16_t tunnel = (uint16_t)(1 + dice_roll(&w->dice, TUNNELS));
    struct exchange *e = &w->exchanges[w->opened];
    struct session *relay = w->pair.relay.session;
    unsigned slot = SLOT_EXPRESS;

    if (w->opened >= w->campaign->play.exchanges ||
        !w->is_tunnel_known[tunnel]) {
        return;
    }
    exchange_plan(e, w->opened, tunnel, &w->dice);
    /* As the relay does it: while there is no bulk link, what is new does
     * without. */
    if (dice_chance(&w->dice, 60) && session_is_proven(relay, SLOT_BULK)) {
        slot = SLOT_BULK;
    }
    if (exchange_open(e, relay, slot)) {
        w->opened++;
        w->campaign->counts[COUNT_BULK] += slot;
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

/* Little that happens seldom. */
static void act_seldom(struct world *w, struct pair_end *end, unsigned slot)
{
    struct dice *d = &w->dice;

    if (dice_chance(d, 1)) {
        take_tunnel_away(w);
    } else if (dice_chance(d, 1)) {
        unbind_one(w);
    } else if (dice_chance(d, 10)) {
        network_notice(&w->networks[slot], end);
    } else if (dice_chance(d, 3)) {
        session_probe(end->session, slot, w->pair.now_us);
    }
}

static void act(struct world *w)
{
    struct dice *d = &w->dice;
    struct pair *p = &w->pair;
    struct pair_end *end = dice_chance(d, 50) ? &p->relay : &p->client;
    unsigned slot = SLOT_EXPRESS;
    struct exchange *e;

    network_act(&w->networks[SLOT_EXPRESS], d);
    network_act(&w->networks[SLOT_BULK], d);
    if (w->networks[SLOT_BULK].has_begun && dice_chance(d, 50)) {
        slot = SLOT_BULK;
    }
    switch (dice_roll(d, 12)) {
    case 0:
        open_one(w);
        break;
    case 1:
    case 2:
        send_some(w, end, slot, 1 + dice_size(d, 12));
        break;
    case 3:
        deliver(w, end, slot, 1 + dice_size(d, 40000));
        break;
    case 4:
        pass(w, dice_size(d, 40000));
        break;
    case 5:
        act_seldom(w, end, slot);
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

/* The last acknowledgements; then nothing is left. */
static void check_end(struct world *w)
{
    exchange_all(w);
    w->pair.now_us += ACK_DELAY_US;
    tick(w, &w->pair.relay);
    tick(w, &w->pair.client);
    exchange_all(w);
    accounts_check_end(&w->pair);
}

static void begin(struct world *w, struct campaign *c)
{
    static const uint32_t windows[] = { WINDOW_FIRST, 64 * KIB, 16 * KIB,
                                        1000 };
    static const uint64_t pools[] = { RECEIVE_POOL_SESSION, 256 * KIB,
                                      96 * KIB };
    uint32_t window;

    w->campaign = c;
    dice_init(&w->dice, c->play.seed);
    window = windows[dice_roll(&w->dice, 4)];
    pair_init_small(&w->pair, window, pools[dice_roll(&w->dice, 3)]);
    watcher_init(&w->watcher, &w->pair, window);
    network_init(w->networks, &w->pair, &w->watcher, c);
    w->bulk_step = (uint32_t)dice_size(&w->dice, STEPS / 2);
    if (dice_chance(&w->dice, 15)) {
        w->bulk_step = NO_BULK; /* --single-link */
    }
    for (uint16_t tunnel = 1; tunnel <= TUNNELS; tunnel++) {
        struct frame_bind bind = { .tunnel = tunnel };

        check(session_bind(w->pair.client.session, &bind) == ERR_OK, "BIND");
    }
}

/* Whatever its sessions hold now goes back to the pools: pair_deinit() looks.
 */
static void end(struct world *w)
{
    uint64_t *counts = w->campaign->counts;

    counts[COUNT_EXCHANGES] += w->opened;
    counts[COUNT_SINGLE] += w->networks[SLOT_BULK].has_begun ? 0 : 1;
    counts[COUNT_BYTES] += w->watcher.bytes;
    pair_deinit(&w->pair);
    watcher_deinit(&w->watcher);
    free(w);
}

/* Of a slot whose ends agree when it began. */
static void check_logs(const struct world *w)
{
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        if (!w->watcher.is_torn[slot]) {
            accounts_check_logs(&w->pair, slot);
        }
    }
}

static void play(struct campaign *c)
{
    struct world *w = calloc(1, sizeof(*w));

    check(w != NULL, "no memory");
    begin(w, c);
    for (unsigned step = 0; step < c->play.steps; step++) {
        c->step = step;
        if (step == w->bulk_step) {
            network_begin(&w->networks[SLOT_BULK]);
        }
        act(w);
        check_logs(w);
        if (step % 32 == 0) {
            accounts_check(&w->pair);
        }
        if (step % 512 == 511) {
            exchange_all(w);
        }
    }
    /* Sometimes the sessions end in the middle of everything. */
    if (dice_chance(&w->dice, 10)) {
        c->counts[COUNT_LEFT]++;
    } else {
        drain(w);
        check_end(w);
    }
    end(w);
}

int main(void)
{
    static const struct campaign_case whole = { .steps = STEPS,
                                                .exchanges = EXCHANGES };
    uint64_t counts[CAMPAIGN_COUNTS] = { 0 };
    uint64_t seeds;
    bool is_all;

    doubt_check();
    growth_check();
    pressure_check();
    voice_check();
    if (!campaign_run(play, &whole, counts, &seeds)) {
        return 1;
    }
    is_all = network_report(counts);
    printf("%llu seeds, %llu with a single link, %llu exchanges, %llu of them "
           "on the bulk link, %llu left in the middle, %llu shed, "
           "%llu bytes\n",
           (unsigned long long)seeds, (unsigned long long)counts[COUNT_SINGLE],
           (unsigned long long)counts[COUNT_EXCHANGES],
           (unsigned long long)counts[COUNT_BULK],
           (unsigned long long)counts[COUNT_LEFT],
           (unsigned long long)counts[COUNT_SHED],
           (unsigned long long)counts[COUNT_BYTES]);
    if (seeds >= SEEDS_FOR_ALL && !is_all) {
        fprintf(stderr, "sim: some kind of trouble never happened\n");
        return 1;
    }
    return 0;
}
