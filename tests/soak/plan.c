/*
 * The mix: of 1,000 exchanges 4 are WebSockets and 4 are cancelled. Sizes are
 * spread evenly over their orders of magnitude, 90% under 16 KiB, 9% up to
 * 1 MiB and 1% of 1 to 8 MiB: 64 KB on average.
 */
#include "tests/soak/plan.h"

#define KIB 1024ull
#define MIB (1024ull * 1024ull)

uint64_t plan_dice(uint64_t seed, uint64_t number)
{
    uint64_t z = seed + (number + 1) * 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* |low| to |high|: an order of magnitude by |dice|, then evenly within it. */
static uint64_t spread(uint64_t dice, uint64_t low, uint64_t high)
{
    unsigned doublings = 0;
    uint64_t from;
    uint64_t to;

    while (low << doublings < high) {
        doublings++;
    }
    from = low << (dice % doublings);
    to = from * 2 < high ? from * 2 : high;
    return from + (dice >> 8) % (to - from);
}

static uint64_t body_len(uint64_t dice)
{
    uint64_t percent = dice % 100;

    dice >>= 8;
    if (percent == 0) {
        return MIB + dice % (7 * MIB + 1);
    } else if (percent < 10) {
        return spread(dice, 16 * KIB, MIB);
    }
    return spread(dice, 1, 16 * KIB) - 1;
}

static void set_method(struct plan *p, uint64_t dice, uint64_t len)
{
    unsigned percent = (unsigned)(dice % 100);

    if (percent < 50) {
        p->method = "GET";
        p->down = len;
    } else if (percent < 60) {
        p->method = "HEAD";
        p->down = len;
    } else {
        p->method = percent < 85 ? "POST" : "PUT";
        p->up = len;
        p->down = (dice >> 8) % 2000;
    }
}

static void set_kind(struct plan *p, uint64_t dice)
{
    unsigned thousandth = (unsigned)(dice % 1000);

    dice >>= 10;
    if (thousandth < 4) {
        p->kind = PLAN_SOCKET;
        p->method = "GET";
        p->up = dice % (256 * KIB);
        p->down = (dice >> 20) % (256 * KIB);
    } else if (thousandth < 6) {
        p->kind = PLAN_CANCEL_DOWN;
        p->method = "GET";
        p->up = 0;
        p->down = PLAN_CANCEL_LEN;
        p->leave_at = dice % (512 * KIB);
    } else if (thousandth < 8) {
        p->kind = PLAN_CANCEL_UP;
        p->method = "PUT";
        p->up = PLAN_CANCEL_LEN;
        p->leave_at = dice % (512 * KIB);
    }
}

struct plan plan_of(uint64_t seed, uint64_t number)
{
    uint64_t dice = plan_dice(seed, number * 4);
    struct plan p = { .kind = PLAN_EXCHANGE,
                      .up_chunked = (dice & 1) != 0,
                      .down_chunked = (dice & 2) != 0,
                      .visitor_closes = (dice >> 8) % 100 < 4,
                      .service_closes = (dice >> 16) % 100 < 3 };

    set_method(&p, plan_dice(seed, number * 4 + 1),
               body_len(plan_dice(seed, number * 4 + 2)));
    set_kind(&p, plan_dice(seed, number * 4 + 3));
    return p;
}

void plan_pattern(uint64_t seed, uint8_t *pattern)
{
    for (size_t i = 0; i < PLAN_PATTERN_LEN; i++) {
        pattern[i] = (uint8_t)(plan_dice(~seed, i) >> 24);
    }
}

size_t plan_start(uint64_t number, bool is_up)
{
    return (size_t)((number * 2 + is_up) * 7919 % PLAN_PATTERN_LEN);
}
