/* Downloads over one session whose receive pool has 1 MiB. */
#include "tests/sim/pressure.h"

#include "proto/session_state.h"
#include "tests/sim/watcher.h"

#define POOL (1u * MIB)
#define DOWNLOADS 12u

struct download {
    uint32_t id;
    uint32_t promised; /* by OPEN */
    size_t held;       /* came, and is not consumed */
    uint64_t since_us; /* it holds something */
    bool is_reset;     /* by us */
    bool is_told;      /* the other end heard of it */
};

struct house {
    struct pair pair;
    struct download all[DOWNLOADS];
    unsigned count;
};

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static struct download *find(struct house *h, uint32_t id)
{
    for (unsigned i = 0; i < h->count; i++) {
        if (h->all[i].id == id) {
            return &h->all[i];
        }
    }
    watcher_fail("an event of no download");
}

static void begin(struct house *h)
{
    *h = (struct house){ .count = 0 };
    pair_init_small(&h->pair, WINDOW_FIRST, POOL);
    pair_bind(&h->pair, 1);
}

static struct download *open_one(struct house *h)
{
    struct pair *p = &h->pair;
    struct frame_open open = pair_open(1);
    struct download *d = &h->all[h->count];
    struct session_event event;

    check(h->count < DOWNLOADS, "too many downloads");
    open.kind = STREAM_RAW;
    check(session_open(p->relay.session, 0, &open, span_text("raw"), false,
                       &d->id) == ERR_OK,
          "session_open failed");
    session_set_owner(p->relay.session, d->id, d);
    h->count++;
    while (pair_next(p, &p->relay, &p->client, &event)) {
        if (event.kind == EVENT_OPEN) {
            check(event.stream == d->id, "OPEN of another");
            d->promised = event.open.window;
            session_set_owner(p->client.session, d->id, d);
        } else if (event.kind == EVENT_RESET) {
            check(event.code == ERR_LIMIT, "a reset with another code");
            find(h, event.stream)->is_told = true;
        }
    }
    check(d->promised > 0, "no OPEN");
    return d;
}

static void consume(struct house *h, struct download *d, size_t len)
{
    session_now(h->pair.relay.session, h->pair.now_us);
    session_consumed(h->pair.relay.session, d->id, len);
    d->held -= len;
}

/* The owner's part: end whatever has to go; it is |*last| then. */
static void shed(struct house *h, struct download **last)
{
    struct session *s = h->pair.relay.session;
    struct session_shed out;

    while (session_shed_due(s, h->pair.now_us)) {
        enum session_shed_rule rule =
            session_shed_rule(session_shed_percent(s));

        if (!session_shed_find(s, rule, h->pair.now_us, &out)) {
            check(rule == SHED_STALLED, "a full pool, and nobody goes");
            check(!session_shed_due(s, h->pair.now_us), "asked twice");
            return;
        }
        *last = out.owner;
        check(*last == find(h, out.stream), "the owner is wrong");
        check(out.held == (*last)->held, "the bytes held are wrong");
        for (unsigned i = 0; i < h->count; i++) {
            check(rule != SHED_LARGEST || h->all[i].held <= out.held,
                  "not the largest holder has to go");
        }
        session_reset(s, out.stream, ERR_LIMIT);
        (*last)->is_reset = true;
        (*last)->held = 0;
    }
}

/* Pools are kept: all that is held is charged, and use is within the bound. */
static void check_use(struct house *h)
{
    uint64_t held = 0;

    for (unsigned i = 0; i < h->count; i++) {
        held += h->all[i].held;
    }
    check(h->pair.relay.receive.used == held, "what is held is not charged");
    check(held < POOL, "a pool is over its bound");
}

/* Send at most |len| bytes on |d|, as far as it is promised; the last that had
 * to go meanwhile, or NULL. */
static struct download *fill(struct house *h, struct download *d, size_t len)
{
    struct pair *p = &h->pair;
    struct download *last = NULL;
    struct session_event event;

    while (len > 0 && session_room(p->client.session, d->id) > 0) {
        size_t part = len < FRAME_PAYLOAD_MAX ? len : FRAME_PAYLOAD_MAX;
        struct chunk *c = chunk_new(part);

        check(c != NULL, "no memory");
        memset(chunk_tail(c), 'x', part);
        chunk_grow(c, part);
        check(session_write_take(p->client.session, d->id, c) == ERR_OK,
              "a write failed");
        len -= part;
        /* What came a moment ago is not consumed: no window grows. */
        p->now_us++;
        while (pair_next(p, &p->client, &p->relay, &event)) {
            check(event.kind == EVENT_DATA && event.stream == d->id,
                  "a strange event");
            d->since_us = d->held == 0 ? p->now_us : d->since_us;
            d->held += event.bytes.len;
            shed(h, &last);
            check_use(h);
        }
    }
    return last;
}

static void end(struct house *h)
{
    struct session_event event;

    for (unsigned i = 0; i < h->count; i++) {
        struct download *d = &h->all[i];

        while (d->is_reset && !d->is_told) {
            check(pair_next(&h->pair, &h->pair.relay, &h->pair.client, &event),
                  "a reset does not arrive");
            if (event.kind == EVENT_RESET) {
                find(h, event.stream)->is_told = true;
                check(event.code == ERR_LIMIT, "a reset with another code");
            }
        }
        session_reset(h->pair.relay.session, d->id, ERR_CANCEL);
    }
    check(h->pair.relay.receive.used == 0, "received bytes are left over");
    pair_deinit(&h->pair);
}

/* What is promised shrinks with what is held. */
static void promises(void)
{
    struct house h;

    begin(&h);
    for (unsigned i = 0; i < 2; i++) {
        struct download *d = open_one(&h);

        check(d->promised == WINDOW_FIRST, "a first window");
        check(fill(&h, d, 2 * WINDOW_FIRST) == NULL, "shed without need");
        check(d->held == WINDOW_FIRST, "less came than was promised");
    }
    for (unsigned i = 0; i < 4; i++) {
        struct download *d = open_one(&h);

        check(d->promised == WINDOW_FIRST_OVER_HALF, "a window over half");
        check(fill(&h, d, WINDOW_FIRST) == NULL, "shed without need");
        check(d->held == WINDOW_FIRST_OVER_HALF, "more than was promised");
    }
    check(open_one(&h)->promised == WINDOW_FIRST_OVER_THREE_QUARTERS,
          "a window over three quarters");
    end(&h);
}

/* Promised while there was room, and all of it is used: the pool holds. */
static void promises_kept(void)
{
    struct house h;
    unsigned gone = 0;

    begin(&h);
    for (unsigned i = 0; i < DOWNLOADS; i++) {
        check(open_one(&h)->promised == WINDOW_FIRST, "a first window");
    }
    for (unsigned i = 0; i < DOWNLOADS; i++) {
        /* Different sizes, so that it is always clear who holds most. */
        (void)fill(&h, &h.all[i], WINDOW_FIRST - i * 1000);
    }
    for (unsigned i = 0; i < DOWNLOADS; i++) {
        gone += h.all[i].is_reset ? 1 : 0;
    }
    check(gone >= DOWNLOADS - POOL / WINDOW_FIRST - 1, "too few had to go");
    check(gone < DOWNLOADS - 2, "too many had to go");
    end(&h);
}

/* At three quarters the one that stalled longest goes, after 30 s. */
static void stalls(void)
{
    struct download *gone = NULL;
    struct house h;

    begin(&h);
    for (unsigned i = 0; i < 4; i++) {
        (void)open_one(&h);
    }
    for (unsigned i = 0; i < 4; i++) {
        (void)fill(&h, &h.all[i], 200 * KIB);
        h.pair.now_us += US_PER_S;
    }
    h.pair.now_us += 10 * US_PER_S;
    consume(&h, &h.all[0], KIB);
    h.pair.now_us = h.all[1].since_us + STALL_UNDER_PRESSURE_US - 1;
    shed(&h, &gone);
    check(gone == NULL, "nobody has stalled for 30 s");
    /* Nothing else shall make it look so soon. */
    check(session_tick(h.pair.relay.session, 0, h.pair.now_us) == ERR_OK,
          "a time-out");
    pair_settle(&h.pair);
    check(session_deadline(h.pair.relay.session, 0) == h.pair.now_us + 1,
          "nobody will look when it has");
    h.pair.now_us += 1;
    shed(&h, &gone);
    check(gone == &h.all[1], "another has stalled longest");
    h.pair.now_us += 100 * US_PER_S;
    gone = NULL;
    shed(&h, &gone);
    check(gone == NULL, "there is room, and somebody goes");
    end(&h);
}

void pressure_check(void)
{
    promises();
    promises_kept();
    stalls();
}
