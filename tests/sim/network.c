/*
 * Where bytes end, and what else goes wrong. What a network knows, it knows by
 * itself; the two slots' know each other to fail together.
 */
#include "tests/sim/network.h"

#include <stdio.h>

#include "proto/session_state.h"
#include "tests/sim/logins.h"

#define NEVER SIZE_MAX
#define CUT_WITHIN 40000u

static const char *const names[NETWORK_KINDS] = {
    [NETWORK_CUT] = "cuts at once",
    [NETWORK_CUT_UP] = "cuts on the way to the relay",
    [NETWORK_CUT_DOWN] = "cuts on the way to the client",
    [NETWORK_CUT_AGAIN] = "cuts in the catch-up",
    [NETWORK_CUT_INSIDE] = "cuts inside a frame",
    [NETWORK_CUT_BOTH] = "cuts of both links",
    [NETWORK_CUT_BESIDE] = "cuts in the other's catch-up",
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
    [NETWORK_RELAY_EXPIRED] = "graces ended at the relay",
    [NETWORK_CLIENT_EXPIRED] = "graces ended at the client",
    [NETWORK_ANEW] = "claims too late",
};

void network_count(struct network *n, enum network_kind kind)
{
    n->counts[kind]++;
}

bool network_happens(struct network *n, unsigned percent, struct dice *d)
{
    unsigned number = SLOTS_MAX * n->events++ + n->slot;

    dice_init(d, n->campaign->play.seed * 1000003u + number);
    return dice_chance(d, percent) && campaign_event(n->campaign, number);
}

void network_init(struct network both[SLOTS_MAX], struct pair *p,
                  struct watcher *w, struct campaign *c)
{
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        bool is_express = slot == SLOT_EXPRESS;

        both[slot] =
            (struct network){ .slot = slot,
                              .beside = &both[SLOTS_MAX - 1 - slot],
                              .pair = p,
                              .watcher = w,
                              .campaign = c,
                              .has_begun = is_express,
                              .is_known = is_express,
                              .is_cut = !is_express,
                              .to_relay = NEVER,
                              .to_client = NEVER,
                              .counts = c->counts + slot * NETWORK_KINDS };
    }
}

void network_begin(struct network *n)
{
    n->has_begun = true;
}

bool network_is_away(const struct network *n)
{
    return n->has_begun && n->is_cut;
}

static bool has_half(const struct network *n, const struct pair_end *end)
{
    const struct assembly *a = &end->session->slots[n->slot].assembly;

    return a->len > 0 && !a->is_handed;
}

void network_cut(struct network *n, enum network_kind kind)
{
    n->is_cut = true;
    n->to_relay = NEVER;
    n->to_client = NEVER;
    network_count(n, n->is_catch_up ? NETWORK_CUT_AGAIN : kind);
    n->is_catch_up = false;
    if (has_half(n, &n->pair->relay) || has_half(n, &n->pair->client)) {
        network_count(n, NETWORK_CUT_INSIDE);
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

    if (len > 0 && has_half(n, to)) {
        network_count(n, NETWORK_CHOPPED);
    }
    if (len > 0 && to == &n->pair->relay) {
        n->is_told = true;
    }
    if (*most != NEVER) {
        *most -= len;
        if (*most == 0) {
            network_cut(n, to == &n->pair->relay ? NETWORK_CUT_UP
                                                 : NETWORK_CUT_DOWN);
        }
    }
}

void network_waited(struct network *n)
{
    if (!n->is_cut && pair_slot_waiting(&n->pair->relay, n->slot) +
                              pair_slot_waiting(&n->pair->client, n->slot) >
                          0) {
        network_count(n, NETWORK_DELAYED);
    }
}

void network_lose(struct network *n, struct pair_end *end)
{
    if (session_has_link(end->session, n->slot)) {
        session_link_lost(end->session, n->slot, n->pair->now_us);
    }
}

void network_notice(struct network *n, struct pair_end *end)
{
    if (n->is_cut) {
        network_lose(n, end);
    }
}

/* --- trouble -------------------------------------------------------------*/

/* Whether it may be cut: it is there, and no cut is planned. */
static bool is_whole(const struct network *n)
{
    return !n->is_cut && n->to_relay == NEVER && n->to_client == NEVER;
}

static void cut_somehow(struct network *n, struct dice *d)
{
    struct pair *p = n->pair;

    switch (dice_roll(d, 5)) {
    case 0:
        network_cut(n, NETWORK_CUT);
        break;
    case 1:
        n->to_relay = 1 + dice_size(d, CUT_WITHIN);
        break;
    case 2:
        n->to_client = 1 + dice_size(d, CUT_WITHIN);
        break;
    case 3:
        if (is_whole(n->beside)) {
            network_cut(n->beside, NETWORK_CUT_BOTH);
            network_cut(n, NETWORK_CUT_BOTH);
        }
        break;
    default:
        network_cut(n, NETWORK_ONE_NOTICES);
        network_lose(n, dice_chance(d, 50) ? &p->relay : &p->client);
        break;
    }
}

void network_act(struct network *n, struct dice *d)
{
    bool is_due = dice_chance(d, 2);
    bool is_login_due = dice_chance(d, 10);
    struct dice own;

    if (!n->has_begun) {
        return;
    }
    if (n->is_cut && is_login_due) {
        logins_next(n);
    } else if (is_due && network_happens(n, 100, &own)) {
        switch (dice_roll(&own, 5)) {
        case 0:
            logins_lie(n, &own);
            break;
        case 1:
            logins_copy(n);
            break;
        case 2:
            logins_hear_late(n);
            break;
        default:
            if (is_whole(n)) {
                cut_somehow(n, &own);
            } else {
                logins_expire(n, &own);
            }
            break;
        }
    }
}

/* What may happen to |slot|: only the bulk link begins anew. */
static bool is_possible(unsigned slot, unsigned kind)
{
    return slot == SLOT_BULK || kind < NETWORK_RELAY_EXPIRED;
}

bool network_report(const uint64_t counts[SLOTS_MAX * NETWORK_KINDS])
{
    bool is_all = true;

    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        printf("%s link:", slot == SLOT_EXPRESS ? "express" : "bulk");
        for (unsigned i = 0; i < NETWORK_KINDS; i++) {
            uint64_t count = counts[slot * NETWORK_KINDS + i];

            if (is_possible(slot, i)) {
                printf("%s %llu %s", i == 0 ? "" : ",",
                       (unsigned long long)count, names[i]);
                is_all = is_all && count > 0;
            }
        }
        printf("\n");
    }
    return is_all;
}
