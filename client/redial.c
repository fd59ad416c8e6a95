/*
 * A few handshakes side by side, and one timer for whatever is next: another
 * dial, or the end of a LOGIN's turn. A dial that hangs, as on an interface
 * that is gone, does not hold up those after it; nor does a resolver that
 * does not answer, because most go to where the relay was found before.
 */
#include "client/redial.h"

#include <stdlib.h>

#include "common/address.h"
#include "common/backoff.h"
#include "common/platform.h"
#include "common/timer.h"

/* How long a LOGIN may be without an answer while another connection waits. */
#define TURN_US (1 * US_PER_S)
/* A dial that takes longer gives its place to a newer one: two round trips are
 * needed, and with an outage grow the doubts about what we know of them. */
#define HANG_US (REDIAL_DIALS * REDIAL_QUICK_US)
#define HANG_RTTS 4u
#define HANG_PART 8u
/* Failures are told no more often. */
#define TELL_EACH_US (1 * US_PER_S)

struct attempt {
    struct redial *redial;
    struct handshake *handshake; /* NULL: free */
    uint64_t since_us;           /* of the dial, then of the LOGIN */
    bool is_ready;               /* may log in */
};

struct redial {
    struct loop *loop;
    struct redial_options o;
    struct redial_pace pace;
    struct timer *timer;
    struct attempt attempts[REDIAL_DIALS];
    struct attempt *login; /* whose LOGIN is out */
    struct backoff backoff;
    struct sockaddr_storage at;  /* where the relay was found last */
    struct visitor_address from; /* from where the last dial went there */
    unsigned dials;              /* in this outage */
    uint64_t told_us;
    uint64_t dial_us; /* when to dial next */
    bool is_on;
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool is_quick(const struct redial *r)
{
    return r->loop->now_us < r->backoff.since_us + r->pace.quick_us;
}

static uint64_t hang_us(const struct redial *r)
{
    uint64_t outage_us = r->loop->now_us - r->backoff.since_us;

    return later(later(HANG_US, HANG_RTTS * r->pace.rtt_us),
                 outage_us / HANG_PART);
}

/* When the LOGIN that is out has to make way. */
static uint64_t turn_over_us(const struct redial *r)
{
    return r->login->since_us + later(TURN_US, 3 * r->pace.rtt_us);
}

static struct attempt *first_ready(struct redial *r)
{
    for (size_t i = 0; i < REDIAL_DIALS; i++) {
        if (r->attempts[i].is_ready) {
            return &r->attempts[i];
        }
    }
    return NULL;
}

static void wake_at_next(struct redial *r)
{
    uint64_t at_us = r->dial_us;

    if (r->login != NULL && first_ready(r) != NULL && turn_over_us(r) < at_us) {
        at_us = turn_over_us(r);
    }
    timer_set(r->timer, at_us);
}

static void give_up(struct redial *r, struct attempt *a)
{
    handshake_cancel(a->handshake);
    a->handshake = NULL;
    a->is_ready = false;
    if (r->login == a) {
        r->login = NULL;
    }
}

/* The next dial is some time from now. While quick, soon, but not at once for
 * the relay that lets us in and cuts us off. */
static void hold_off(struct redial *r)
{
    bool is_first = r->backoff.attempts == 0;
    uint64_t delay_us;
    uint32_t random;

    keys_random(&random, sizeof(random));
    delay_us = backoff_next_us(&r->backoff, r->loop->now_us, random);
    if (is_quick(r) && !is_first) {
        delay_us = REDIAL_QUICK_US + backoff_delay_us(0, 0, random);
    }
    r->dial_us = r->loop->now_us + delay_us;
}

/* The first that waits for its turn logs in, if it is its turn. */
static void next_login(struct redial *r)
{
    struct login l = { .minor_max = LOGIN_MINOR };
    struct attempt *a = first_ready(r);

    if (a == NULL || (r->login != NULL && r->loop->now_us < turn_over_us(r)) ||
        !r->o.may_login(r->o.owner)) {
        return;
    }
    if (r->login != NULL) {
        give_up(r, r->login);
    }
    a->is_ready = false;
    a->since_us = r->loop->now_us;
    r->login = a;
    r->o.on_login(r->o.owner, &l);
    handshake_login(a->handshake, &l);
}

void redial_go(struct redial *r)
{
    loop_now(r->loop);
    next_login(r);
    if (r->is_on) {
        wake_at_next(r);
    }
}

static void on_ready(void *owner)
{
    struct attempt *a = owner;

    a->is_ready = true;
    redial_go(a->redial);
}

static void on_done(void *owner, const struct handshake_result *result)
{
    struct attempt *a = owner;
    struct redial *r = a->redial;
    bool was_login = r->login == a;
    uint64_t now_us = loop_now(r->loop);

    a->handshake = NULL; /* it is gone after this call */
    give_up(r, a);
    if (result->error == ERR_OK) {
        conn_peer(result->conn, &r->at);
        redial_stop(r);
        backoff_up(&r->backoff, now_us);
        r->o.on_done(r->o.owner, result);
        return;
    }
    if (was_login || now_us - r->told_us >= TELL_EACH_US) {
        r->told_us = now_us;
        r->o.on_done(r->o.owner, result);
    }
    if (r->is_on) {
        if (!is_quick(r)) {
            hold_off(r);
        }
        redial_go(r);
    }
}

/* A place for one more dial: a free one, or that of one which hangs; NULL. */
static struct attempt *place(struct redial *r)
{
    struct attempt *oldest = NULL;
    struct attempt *empty = NULL;
    size_t busy = 0;

    for (size_t i = 0; i < REDIAL_DIALS; i++) {
        struct attempt *a = &r->attempts[i];

        if (a->handshake == NULL) {
            empty = a;
            continue;
        }
        busy++;
        if (!a->is_ready && a != r->login &&
            (oldest == NULL || a->since_us < oldest->since_us)) {
            oldest = a;
        }
    }
    if (!is_quick(r)) {
        return busy == 0 ? empty : NULL;
    }
    if (empty == NULL && oldest != NULL &&
        r->loop->now_us >= oldest->since_us + hang_us(r)) {
        give_up(r, oldest);
        return oldest;
    }
    return empty;
}

/* From where a dial would go to where the relay was found last. */
static struct visitor_address source(const struct redial *r)
{
    struct sockaddr_storage ours;
    struct visitor_address from;

    platform_source(&r->at, &ours);
    address_to_visitor(&ours, &from);
    return from;
}

/* One more dial, unless one is through already. */
static void dial(struct redial *r)
{
    struct attempt *a = first_ready(r) != NULL ? NULL : place(r);
    struct handshake_options o = { .relay = r->o.relay,
                                   .key = r->o.key,
                                   .on_ready = on_ready,
                                   .on_done = on_done,
                                   .owner = a };

    if (a == NULL) {
        return;
    }
    /* Each third looks whether the name leads elsewhere now. */
    if (is_quick(r) && ++r->dials % REDIAL_DIALS != 0) {
        o.at = &r->at;
    }
    a->redial = r;
    a->since_us = r->loop->now_us;
    r->from = source(r);
    if (handshake_start(r->loop, &o, &a->handshake) != ERR_OK) {
        a->handshake = NULL;
    }
}

static void on_timer(void *owner)
{
    struct redial *r = owner;
    uint64_t now_us = loop_now(r->loop);

    if (now_us >= r->dial_us) {
        dial(r);
        /* Else the next one comes when this one has failed. */
        r->dial_us = now_us + (is_quick(r) ? REDIAL_QUICK_US : LOGIN_US);
    }
    redial_go(r);
}

struct redial *redial_new(struct loop *l, const struct redial_options *o)
{
    struct redial *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->loop = l;
    r->o = *o;
    r->timer = timer_new(l, on_timer, r);
    if (r->timer == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void redial_free(struct redial *r)
{
    if (r == NULL) {
        return;
    }
    redial_stop(r);
    timer_close(r->timer);
    free(r);
}

void redial_start(struct redial *r, const struct redial_pace *pace)
{
    r->pace = *pace;
    if (!r->is_on) {
        r->is_on = true;
        r->told_us = 0;
        r->dials = 0;
        backoff_lost(&r->backoff, loop_now(r->loop));
    }
    r->dial_us = loop_now(r->loop);
    wake_at_next(r);
}

void redial_start_later(struct redial *r, const struct redial_pace *pace)
{
    if (!r->is_on) {
        redial_start(r, pace);
        hold_off(r);
        wake_at_next(r);
    }
}

bool redial_is_elsewhere(const struct redial *r)
{
    struct visitor_address from = source(r);

    return r->at.ss_family == AF_UNSPEC ||
           memcmp(from.bytes, r->from.bytes, sizeof(from.bytes)) != 0;
}

void redial_hurry(struct redial *r)
{
    if (!r->is_on) {
        return;
    }
    for (size_t i = 0; i < REDIAL_DIALS; i++) {
        if (&r->attempts[i] != r->login) {
            give_up(r, &r->attempts[i]);
        }
    }
    r->dial_us = loop_now(r->loop);
    wake_at_next(r);
}

void redial_stop(struct redial *r)
{
    for (size_t i = 0; i < REDIAL_DIALS; i++) {
        give_up(r, &r->attempts[i]);
    }
    timer_stop(r->timer);
    r->is_on = false;
}

bool redial_is_on(const struct redial *r)
{
    return r->is_on;
}
