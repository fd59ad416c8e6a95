/*
 * Many seeds, played in processes of their own, so that a failure can be played
 * again and again: with fewer steps, exchanges and events, until what is left
 * is needed. SIM_SEEDS=n says how many, SIM_JOBS=n in how many processes.
 * SIM_SEED=n plays one, SIM_STEPS, SIM_EXCHANGES and SIM_EVENTS a part of it.
 */
#ifndef TESTS_SIM_CAMPAIGN_H
#define TESTS_SIM_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>

/* Events with a number from here on always happen. */
#define CAMPAIGN_EVENTS 1024u
#define CAMPAIGN_COUNTS 64u

/* What is played. */
struct campaign_case {
    uint64_t seed;
    unsigned steps;
    unsigned exchanges;
    bool is_skipped[CAMPAIGN_EVENTS];
};

struct campaign {
    struct campaign_case play;
    bool has_happened[CAMPAIGN_EVENTS]; /* in this play */
    unsigned step;                      /* in this play: reached */
    uint64_t counts[CAMPAIGN_COUNTS];   /* in all: what they count is for the
                                           one who plays */
};

/* Whether event |number| is to happen; it has, then. */
bool campaign_event(struct campaign *c, unsigned number);

/*
 * Call |play| for as many seeds as are wanted, of |whole|, and add up the
 * counts in |counts|. It calls abort() when a seed fails. |*seeds| is how many
 * were played, 0 for a single one. False: some seed failed; it was made
 * smaller and told.
 */
bool campaign_run(void (*play)(struct campaign *c),
                  const struct campaign_case *whole,
                  uint64_t counts[CAMPAIGN_COUNTS], uint64_t *seeds);

#endif
