/*
 * Writers at both ends of both links that write little and rest long. Then one
 * link holds back what it is given, and later brings all of it. What an end
 * may think of it follows from when bytes came to it, and were written.
 */
#include "tests/sim/doubt.h"

#include <stdlib.h>

#include "tests/sim/dice.h"
#include "tests/sim/line.h"
#include "tests/sim/watcher.h"

#define TURN_US (5 * US_PER_MS)
#define HEALTHY_US (25 * US_PER_S)
#define SILENT_US (8 * US_PER_S)
/* What a turn, a queue and a late acknowledgement add to a round trip. */
#define SLACK_US (60 * US_PER_MS)
#define LEN_MAX 4000u
#define ENDS 2u

/* One end of one link. */
struct view {
    struct pair_end *end;
    unsigned slot;
    uint64_t heard_us;    /* when a byte came */
    uint64_t write_us;    /* when it writes again */
    uint64_t waiting_us;  /* when it wrote into the silence; 0: did not */
    uint64_t asked_us;    /* when it was asked, nothing came since; 0: not */
    uint64_t deadline_us; /* what it said after the last turn */
    bool was_suspect;     /* then */
};

struct scene {
    struct pair pair;
    struct line lines[SLOTS_MAX];
    struct view views[SLOTS_MAX][ENDS];
    uint32_t streams[SLOTS_MAX];
    struct dice dice;
    uint64_t trip_us;
    unsigned silent; /* the slot that is; SLOTS_MAX: none */
};

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void open_stream(struct scene *s, unsigned slot)
{
    struct session *relay = s->pair.relay.session;
    struct frame_open open = pair_open(1);

    open.kind = STREAM_RAW;
    check(session_open(relay, slot, &open, span_text("raw"), false,
                       &s->streams[slot]) == ERR_OK,
          "session_open failed");
    session_set_owner(relay, s->streams[slot], s);
}

static void begin(struct scene *s, uint64_t trip_us, uint64_t seed)
{
    struct pair *p = &s->pair;

    *s = (struct scene){ .trip_us = trip_us, .silent = SLOTS_MAX };
    dice_init(&s->dice, seed);
    pair_init(p, WINDOW_FIRST);
    pair_bind(p, 1);
    session_link_up(p->relay.session, SLOT_BULK, p->now_us);
    session_link_up(p->client.session, SLOT_BULK, p->now_us);
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        s->lines[slot] = (struct line){ .pair = p,
                                        .slot = slot,
                                        .bytes_per_s = 2500000,
                                        .delay_us = trip_us / 2,
                                        .queue = 256 * KIB };
        for (unsigned end = 0; end < ENDS; end++) {
            s->views[slot][end] = (struct view){
                .end = end == 0 ? &p->relay : &p->client,
                .slot = slot,
                .heard_us = p->now_us,
                .write_us = p->now_us + 2 * trip_us + SLACK_US,
                .deadline_us = UINT64_MAX,
            };
        }
        open_stream(s, slot);
    }
}

/* A little, and then it rests, seldom for seconds. */
static void write_some(struct scene *s, struct view *v)
{
    struct session *session = v->end->session;
    uint32_t stream = s->streams[v->slot];
    struct chunk *c;

    if (s->pair.now_us < v->write_us || !session_has_stream(session, stream) ||
        session_room(session, stream) == 0) {
        return;
    }
    v->write_us = s->pair.now_us + TURN_US + dice_size(&s->dice, 8000000);
    c = chunk_new(LEN_MAX);
    check(c != NULL, "no memory");
    memset(chunk_tail(c), 'x', LEN_MAX);
    chunk_grow(c, 1 + dice_size(&s->dice, LEN_MAX - 1));
    check(session_write_take(session, stream, c) == ERR_OK, "a write failed");
    if (v->slot == s->silent && v->waiting_us == 0) {
        v->waiting_us = s->pair.now_us;
    }
}

static void receive_all(struct scene *s, struct view *v)
{
    struct pair_end *from =
        v->end == &s->pair.relay ? &s->pair.client : &s->pair.relay;
    size_t before = pair_slot_waiting(from, v->slot);
    struct session_event event;

    while (line_receive(&s->lines[v->slot], v->end, &event)) {
        if (event.kind == EVENT_OPEN) {
            session_set_owner(v->end->session, event.stream, s);
        } else if (event.kind == EVENT_DATA) {
            session_consumed(v->end->session, event.stream, event.bytes.len);
        }
    }
    if (pair_slot_waiting(from, v->slot) != before) {
        v->heard_us = s->pair.now_us;
        v->waiting_us = 0;
        v->asked_us = 0;
    }
}

/* What it may think, and has to. */
static void check_doubt(const struct scene *s, struct view *v)
{
    struct session *session = v->end->session;
    uint64_t now_us = s->pair.now_us;
    uint64_t trips_us = SUSPECT_RTTS * (s->trip_us + SLACK_US);
    bool is_suspect = session_is_suspect(session, v->slot, now_us);
    uint64_t least_us = v->heard_us + SUSPECT_US;

    check(session_is_asked(session, v->slot) == (v->asked_us != 0),
          "whether it was asked is wrong");
    if (v->asked_us != 0 && v->asked_us + SUSPECT_ASKED_US < least_us) {
        least_us = v->asked_us + SUSPECT_ASKED_US;
    }
    check(!is_suspect || v->slot == s->silent,
          "a link that delivers is in doubt");
    check(!is_suspect || now_us >= least_us, "a link is in doubt too soon");
    if (v->waiting_us != 0 && now_us >= later(v->heard_us, v->waiting_us) +
                                            SLACK_US +
                                            later(SUSPECT_US, trips_us)) {
        check(is_suspect, "a silent link is not in doubt");
    }
    if (v->slot == s->silent && v->asked_us != 0 &&
        now_us >= v->asked_us + SLACK_US + later(SUSPECT_ASKED_US, trips_us)) {
        check(is_suspect, "a link that does not answer is not in doubt");
    }
    check(!is_suspect || v->was_suspect || v->deadline_us <= now_us,
          "nobody looks when it falls into doubt");
    v->was_suspect = is_suspect;
    v->deadline_us = session_deadline(session, v->slot);
}

static void ask(struct scene *s, struct view *v)
{
    session_probe(v->end->session, v->slot, s->pair.now_us);
    if (v->asked_us == 0) {
        v->asked_us = s->pair.now_us;
    }
}

static void take_turn(struct scene *s)
{
    s->pair.now_us += TURN_US;
    for (unsigned i = 0; i < SLOTS_MAX * ENDS; i++) {
        struct view *v = &s->views[i / ENDS][i % ENDS];

        if (v->slot != s->silent) {
            receive_all(s, v);
        }
        check(session_tick(v->end->session, v->slot, s->pair.now_us) == ERR_OK,
              "a link is given up");
        write_some(s, v);
        line_send(&s->lines[v->slot], v->end);
    }
    for (unsigned i = 0; i < SLOTS_MAX * ENDS; i++) {
        check_doubt(s, &s->views[i / ENDS][i % ENDS]);
    }
}

/* Turns for |us|; now and then one end is asked once its round trip is known.*/
static void pass(struct scene *s, uint64_t us, bool is_asking)
{
    for (uint64_t passed = 0; passed < us; passed += TURN_US) {
        take_turn(s);
        if (is_asking && dice_roll(&s->dice, 400) == 0) {
            ask(s, &s->views[dice_roll(&s->dice, SLOTS_MAX)]
                            [dice_roll(&s->dice, ENDS)]);
        }
    }
}

static void play(uint64_t trip_us, unsigned slot, bool is_asking, uint64_t seed)
{
    struct scene *s = calloc(1, sizeof(*s));

    check(s != NULL, "no memory");
    begin(s, trip_us, seed);
    pass(s, 3 * US_PER_S, false);
    pass(s, HEALTHY_US, is_asking);
    s->silent = slot;
    /* Within a second both have something to say. */
    for (unsigned end = 0; end < ENDS; end++) {
        s->views[slot][end].write_us =
            s->pair.now_us + dice_roll(&s->dice, US_PER_S);
    }
    pass(s, SILENT_US, is_asking);
    for (unsigned end = 0; end < ENDS; end++) {
        check(s->views[slot][end].was_suspect, "a silent link passes for one");
    }
    s->silent = SLOTS_MAX; /* all of it comes: the doubt is over at once */
    pass(s, HEALTHY_US, is_asking);
    pair_deinit(&s->pair);
    free(s);
}

void doubt_check(void)
{
    static const unsigned trips_ms[] = { 2, 60, 400, 900 };

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned kind = 0; kind < 4; kind++) {
            play(trips_ms[i] * US_PER_MS, kind % 2, kind / 2 == 1,
                 10 * i + kind);
        }
    }
}
