/* A call and an upload: both from the relay to the client. */
#include "tests/sim/voice.h"

#include <stdlib.h>

#include "proto/session_state.h"
#include "tests/sim/line.h"
#include "tests/sim/watcher.h"

#define MESSAGE 1000u
#define MESSAGE_EACH_US (20 * US_PER_MS)
#define MESSAGES 4000u
#define TURN_US 250u

struct call {
    struct pair pair;
    struct line line;
    uint32_t voice;
    uint32_t upload;
    bool is_quiet;    /* nobody speaks */
    bool is_resting;  /* nothing is uploaded */
    uint64_t next_us; /* when the next message is said */
    uint64_t said_us[MESSAGES];
    unsigned said;
    size_t heard_bytes;
    uint64_t late_us[MESSAGES]; /* of those heard since measuring began */
    unsigned heard;
    uint64_t uploaded; /* likewise */
    uint64_t began_us;
};

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static uint32_t open_raw(struct call *c, enum stream_class class)
{
    struct frame_open open = pair_open(1);
    uint32_t id = 0;

    open.kind = STREAM_RAW;
    check(session_open(c->pair.relay.session, 0, &open, span_text("raw"), false,
                       &id) == ERR_OK,
          "session_open failed");
    session_set_class(c->pair.relay.session, id, class);
    session_set_owner(c->pair.relay.session, id, c);
    return id;
}

static struct call *begin(unsigned mbit, unsigned delay_ms, unsigned queue_kb)
{
    struct call *c = calloc(1, sizeof(*c));

    check(c != NULL, "no memory");
    pair_init(&c->pair, WINDOW_FIRST);
    pair_bind(&c->pair, 1);
    c->line.pair = &c->pair;
    c->line.bytes_per_s = mbit * 125000ull;
    c->line.delay_us = delay_ms * US_PER_MS;
    c->line.queue = queue_kb * (size_t)KIB;
    c->voice = open_raw(c, CLASS_INTERACTIVE);
    c->upload = open_raw(c, CLASS_BULK);
    return c;
}

static void end(struct call *c)
{
    pair_deinit(&c->pair);
    free(c);
}

static void write_bytes(struct call *c, uint32_t id, size_t len)
{
    struct chunk *chunk = chunk_new(len);

    check(chunk != NULL, "no memory");
    memset(chunk_tail(chunk), 'x', len);
    chunk_grow(chunk, len);
    check(session_write_take(c->pair.relay.session, id, chunk) == ERR_OK,
          session_why(c->pair.relay.session));
}

static void speak(struct call *c)
{
    struct session *relay = c->pair.relay.session;

    if (c->pair.now_us >= c->next_us) {
        c->next_us = c->pair.now_us + MESSAGE_EACH_US;
        if (!c->is_quiet) {
            check(c->said < MESSAGES, "too many messages");
            c->said_us[c->said++] = c->pair.now_us;
            write_bytes(c, c->voice, MESSAGE);
        }
    }
    while (!c->is_resting &&
           session_room(relay, c->upload) >= FRAME_PAYLOAD_MAX) {
        write_bytes(c, c->upload, FRAME_PAYLOAD_MAX);
    }
}

static void hear(struct call *c, const struct session_event *event)
{
    if (event->kind == EVENT_OPEN) {
        session_set_owner(c->pair.client.session, event->stream, c);
    }
    if (event->kind != EVENT_DATA) {
        return;
    }
    if (event->stream == c->upload) {
        c->uploaded += event->bytes.len;
    } else {
        size_t whole = c->heard_bytes / MESSAGE;

        c->heard_bytes += event->bytes.len;
        for (; whole < c->heard_bytes / MESSAGE; whole++) {
            c->late_us[c->heard++] =
                c->pair.now_us - c->said_us[whole] - c->line.delay_us;
        }
    }
    session_consumed(c->pair.client.session, event->stream, event->bytes.len);
}

static void run(struct call *c, uint64_t len_us)
{
    struct pair *p = &c->pair;
    struct pair_end *ends[] = { &p->relay, &p->client };
    uint64_t end_us = p->now_us + len_us;
    struct session_event event;

    c->began_us = p->now_us;
    c->heard = 0;
    c->uploaded = 0;
    while (p->now_us < end_us) {
        p->now_us += TURN_US;
        while (line_receive(&c->line, &p->client, &event)) {
            hear(c, &event);
        }
        while (line_receive(&c->line, &p->relay, &event)) {
        }
        speak(c);
        for (unsigned i = 0; i < 2; i++) {
            if (p->now_us >= session_deadline(ends[i]->session, 0)) {
                check(session_tick(ends[i]->session, 0, p->now_us) == ERR_OK,
                      session_why(ends[i]->session));
            }
            line_send(&c->line, ends[i]);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

static unsigned p99_ms(struct call *c)
{
    check(c->heard > 0, "no message was heard");
    qsort(c->late_us, c->heard, sizeof(c->late_us[0]), compare);
    return (unsigned)(c->late_us[c->heard - 1 - c->heard / 100] / US_PER_MS);
}

/* How much of the line, without the talk, the upload had. */
static unsigned percent(const struct call *c)
{
    uint64_t len_us = c->pair.now_us - c->began_us;
    uint64_t talk = c->is_quiet ? 0 : MESSAGE * US_PER_S / MESSAGE_EACH_US;

    check(len_us > 0, "nothing was talked");
    return (unsigned)(c->uploaded * 100 * US_PER_S /
                      ((c->line.bytes_per_s - talk) * len_us));
}

/* What is asked of a line: at most so late, at least so much of it. */
static void expect(struct call *c, unsigned late_ms, unsigned share)
{
    check(c->is_quiet || p99_ms(c) <= late_ms, "voice is late");
    check(percent(c) >= share, "an upload beside voice is too slow");
}

/* Both at once, from the first byte on. */
static void talk_and_upload(struct call *c, unsigned late_ms)
{
    run(c, 1 * US_PER_S);
    expect(c, late_ms, 50);
    run(c, 3 * US_PER_S);
    expect(c, late_ms, 95);
}

/* Nobody talks for so long that the upload has filled all queues. */
static void be_quiet(struct call *c, unsigned late_ms)
{
    c->is_quiet = true;
    run(c, 13 * US_PER_S);
    expect(c, late_ms, 95);
    c->is_quiet = false;
    run(c, 1 * US_PER_S);
    run(c, 2 * US_PER_S);
    expect(c, late_ms * 2 / 3, 95);
}

/* The upload rests: then the line is not full, and that tells nothing. */
static void only_talk(struct call *c, unsigned late_ms)
{
    c->is_resting = true;
    run(c, 4 * US_PER_S);
    expect(c, late_ms, 0);
    c->is_resting = false;
    run(c, 1 * US_PER_S);
    expect(c, late_ms, 80);
}

/* The line became longer, by so many percent; |found_s| later that is known. */
static void move_away(struct call *c, unsigned percent, unsigned found_s,
                      unsigned late_ms)
{
    c->line.delay_us += c->line.delay_us * percent / 100;
    run(c, found_s * US_PER_S);
    run(c, 2 * US_PER_S);
    expect(c, late_ms, 95);
}

void voice_check(void)
{
    /* A line is not known to be slow, and so has a queue, at first. */
    static const struct {
        unsigned mbit, delay_ms, queue_kb, first_ms, late_ms;
        unsigned longer, found_s; /* as move_away() has it */
    } lines[] = {
        { 20, 20, 500, 20, 20, 20, 33 },   { 20, 20, 500, 20, 20, 100, 13 },
        { 100, 25, 625, 20, 20, 100, 13 }, { 300, 10, 400, 10, 10, 100, 13 },
        { 100, 5, 625, 10, 10, 0, 0 },     { 100, 1, 625, 10, 10, 0, 0 },
        { 5, 20, 250, 90, 48, 100, 13 },
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct call *c =
            begin(lines[i].mbit, lines[i].delay_ms, lines[i].queue_kb);

        talk_and_upload(c, lines[i].first_ms);
        if (lines[i].longer > 0) {
            be_quiet(c, lines[i].late_ms);
            only_talk(c, lines[i].late_ms);
            move_away(c, lines[i].longer, lines[i].found_s,
                      2 * lines[i].late_ms);
        }
        end(c);
    }
}
