/*
 * A hostile network between the two ends, for the link in one slot: it cuts at
 * any byte, loses logins and their answers or brings them late, repeats them,
 * tells lies about positions, and keeps the bulk link away till its grace has
 * ended. Every one of its doings has a number and can be left out, so that a
 * case that fails can be made smaller.
 */
#ifndef TESTS_SIM_NETWORK_H
#define TESTS_SIM_NETWORK_H

#include "tests/sim/campaign.h"
#include "tests/sim/dice.h"
#include "tests/sim/watcher.h"

enum network_kind {
    NETWORK_CUT,         /* all that is under way is lost */
    NETWORK_CUT_UP,      /* after a certain byte on its way to the relay */
    NETWORK_CUT_DOWN,    /* after one on its way to the client */
    NETWORK_CUT_AGAIN,   /* after one in the catch-up of a link just mended */
    NETWORK_CUT_INSIDE,  /* any of these, when half a frame had arrived */
    NETWORK_CUT_BOTH,    /* together with the other slot's */
    NETWORK_CUT_BESIDE,  /* when the other slot's catch-up begins */
    NETWORK_ONE_NOTICES, /* one end gives up a link, the other does not know */
    NETWORK_FENCE,       /* a login, and the relay believes in its old link */
    NETWORK_LATE_LOGIN,  /* it comes when its client has given it up */
    NETWORK_STALE_LOGIN, /* the same, and a newer one was taken before */
    NETWORK_COPY,        /* a login that was taken comes once more */
    NETWORK_LOST_ANSWER,
    NETWORK_CLIENT_LIES,
    NETWORK_RELAY_LIES,
    NETWORK_CHOPPED,        /* what arrived ended inside a frame */
    NETWORK_DELAYED,        /* time passed while bytes were under way */
    NETWORK_RELAY_EXPIRED,  /* bulk: its grace ended at the relay, */
    NETWORK_CLIENT_EXPIRED, /* at the client */
    NETWORK_ANEW,           /* bulk: a claim that was no good any more */
    NETWORK_KINDS
};

struct network_login {
    uint32_t epoch; /* 0: none */
    bool is_resuming;
    uint64_t received;
};

struct network {
    unsigned slot;
    struct network *beside; /* the other slot's */
    struct pair *pair;
    struct watcher *watcher;
    struct campaign *campaign;
    unsigned events;            /* how many could have happened */
    bool has_begun;             /* the client wants this link */
    bool is_cut;                /* nothing arrives, whatever the ends think */
    bool is_known;              /* to the client: it has something to resume */
    bool is_told;               /* the relay heard a byte since it began */
    uint32_t epoch;             /* of the newest LOGIN sent */
    struct network_login late;  /* on its way on a link that was given up */
    struct network_login taken; /* by the relay, the newest */
    size_t to_relay;            /* bytes that arrive yet before a cut */
    size_t to_client;
    bool is_catch_up; /* that cut is one in a catch-up */
    uint64_t *counts; /* NETWORK_KINDS */
};

/*
 * |both|, one for each slot; the express link is there, the bulk link not yet.
 * |p| and |w| are borrowed; |c| says what is left out, and is told.
 */
void network_init(struct network both[SLOTS_MAX], struct pair *p,
                  struct watcher *w, struct campaign *c);

/* The client wants this link from now on. */
void network_begin(struct network *n);

/* Whether it is wanted, and is not there. */
bool network_is_away(const struct network *n);

/* How many of |len| bytes for |to| the network lets through now. */
size_t network_lets(const struct network *n, const struct pair_end *to,
                    size_t len);

/* |len| bytes arrived at |to|. */
void network_passed(struct network *n, const struct pair_end *to, size_t len);

/* It does something, |d| decides what, or nothing. */
void network_act(struct network *n, struct dice *d);

/* |end| gives up its link, if it believes that it has one. */
void network_lose(struct network *n, struct pair_end *end);

/* |end| sees that its link is gone, if it is. */
void network_notice(struct network *n, struct pair_end *end);

/* Time has passed. */
void network_waited(struct network *n);

/* For logins: something of |kind| happened. */
void network_count(struct network *n, enum network_kind kind);

/* For logins: the link breaks here and now. */
void network_cut(struct network *n, enum network_kind kind);

/*
 * For logins: whether the next event, one of |percent| in a hundred, happens.
 * Its dice are its own, so that those after it stay what they are when it is
 * left out.
 */
bool network_happens(struct network *n, unsigned percent, struct dice *d);

/* What the counts of both slots say, in words; false when some kind of thing
 * never happened. */
bool network_report(const uint64_t counts[SLOTS_MAX * NETWORK_KINDS]);

#endif
