/* A download of 8 MiB, 50 ms there and back. */
#include "tests/sim/growth.h"

#include "proto/session_state.h"
#include "tests/sim/watcher.h"

#define DOWNLOAD (8u * MIB)
#define ROUNDS 200u

struct download {
    struct pair pair;
    uint32_t id;
    size_t written;
    size_t got;
    size_t held;
};

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static void begin(struct download *d)
{
    struct frame_open open = pair_open(1);
    struct session_event event;
    enum err error;

    *d = (struct download){ .id = 0 };
    pair_init(&d->pair, WINDOW_FIRST);
    pair_bind(&d->pair, 1);
    open.kind = STREAM_RAW;
    error = session_open(d->pair.relay.session, 0, &open, span_text("raw"),
                         false, &d->id);
    check(error == ERR_OK, "session_open failed");
    check(pair_next(&d->pair, &d->pair.relay, &d->pair.client, &event) &&
              event.kind == EVENT_OPEN,
          "no OPEN");
    session_set_owner(d->pair.client.session, d->id, d);
}

/* Write and send what goes; what is sent lies on the wire then. */
static void write_all(struct download *d)
{
    struct session *client = d->pair.client.session;
    bool has_more = true;

    while (has_more) {
        has_more = false;
        while (d->written < DOWNLOAD && session_room(client, d->id) > 0) {
            struct chunk *c = chunk_new(FRAME_PAYLOAD_MAX);

            check(c != NULL, "no memory");
            memset(chunk_tail(c), 'x', FRAME_PAYLOAD_MAX);
            chunk_grow(c, FRAME_PAYLOAD_MAX);
            d->written += FRAME_PAYLOAD_MAX;
            check(session_write_take(client, d->id, c) == ERR_OK, "a write");
        }
        while (session_has_output(client, 0)) {
            pair_send(&d->pair, &d->pair.client, 1);
            has_more = true;
        }
    }
}

/* Half a round trip later: read it, and consume one part in |share|. */
static void read_all(struct download *d, size_t share)
{
    struct session_event event;
    size_t len = pair_waiting(&d->pair.client);
    enum err error;

    d->pair.now_us += 25 * US_PER_MS;
    while (len > 0) {
        error =
            pair_step(&d->pair, &d->pair.client, &d->pair.relay, &len, &event);

        check(error == ERR_OK, session_why(d->pair.relay.session));
        if (event.kind == EVENT_DATA) {
            d->got += event.bytes.len;
            d->held += event.bytes.len;
        }
    }
    session_consumed(d->pair.relay.session, d->id, d->held / share);
    d->held -= d->held / share;
    pair_send(&d->pair, &d->pair.relay, SIZE_MAX);
    d->pair.now_us += 25 * US_PER_MS;
    len = pair_waiting(&d->pair.relay);
    error = pair_step(&d->pair, &d->pair.relay, &d->pair.client, &len, &event);
    check(error == ERR_OK, session_why(d->pair.client.session));
}

static void fast_consumer(void)
{
    struct download d;
    unsigned rounds = 0;

    begin(&d);
    for (; d.got < DOWNLOAD; rounds++) {
        check(rounds < ROUNDS, "a download has stalled");
        write_all(&d);
        read_all(&d, 1);
    }
    check(rounds <= 10, "a window did not grow");
    pair_deinit(&d.pair);
}

static void slow_consumer(void)
{
    const struct stream *st;
    struct download d;

    begin(&d);
    for (unsigned rounds = 0; rounds < ROUNDS; rounds++) {
        write_all(&d);
        read_all(&d, 8);
    }
    st = streams_find(&d.pair.relay.session->streams, d.id);
    check(st != NULL && st->window.size <= 2 * WINDOW_FIRST,
          "a window grew though its consumer is slow");
    pair_deinit(&d.pair);
}

void growth_check(void)
{
    fast_consumer();
    slow_consumer();
}
