/*
 * A short conversation, cut after every byte of it, in either direction; then
 * once more after every byte of what the next link carries. And a frame as long
 * as any, cut after every byte. No dice: all there is.
 */
#include <stdio.h>
#include <stdlib.h>

#include "proto/session_state.h"
#include "tests/sim/watcher.h"

#define BODY 30u
#define WINDOW 24u /* WINDOW frames come back */
#define ROUNDS 64u
#define CUTS 2u
#define NEVER SIZE_MAX

/* Where a link breaks: after |at| bytes on their way to the relay, or to the
 * client. */
struct place {
    bool is_up;
    size_t at;
    bool is_answer_lost; /* of the first login after it */
};

/* One direction of the one stream. */
struct talk {
    size_t len; /* of the body */
    size_t written;
    size_t got;
    bool has_fin;
};

struct story {
    struct pair pair;
    struct watcher watcher;
    const struct place *places; /* CUTS; the next one is |cuts| */
    unsigned cuts;
    unsigned inside; /* of these, with half a frame there */
    size_t passed;   /* bytes on this link, in the direction of the next cut */
    uint32_t id;
    bool is_bound;
    bool has_head; /* the client's, at the relay */
    struct talk up, down;
};

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

/* Bytes that stand at |at| in every body: no two places look the same. */
static struct span body_part(size_t at, size_t len)
{
    static uint8_t bytes[FRAME_PAYLOAD_MAX];

    if (bytes[1] == 0) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)(i ^ i / 251);
        }
    }
    check(len <= sizeof(bytes) && at <= sizeof(bytes) - len, "a long body");
    return span_of(bytes + at, len);
}

/* --- what the ends do ----------------------------------------------------*/

static void write_body(struct talk *t, struct session *s, uint32_t id)
{
    size_t part = t->len / 2 + 1;

    while (t->written < t->len && session_room(s, id) > 0) {
        size_t len = t->len - t->written < part ? t->len - t->written : part;
        struct chunk *c = chunk_new(len);

        check(c != NULL, "no memory");
        memcpy(chunk_tail(c), body_part(t->written, len).data, len);
        chunk_grow(c, len);
        t->written += len;
        check(session_write_take(s, id, c) == ERR_OK, "a write failed");
    }
    if (t->written == t->len) {
        check(session_write_fin(s, id) == ERR_OK, "FIN failed");
    }
}

static void take_body(struct talk *t, struct session *s,
                      const struct session_event *event)
{
    check(span_equal(event->bytes, body_part(t->got, event->bytes.len)),
          "the bytes of a body are wrong");
    t->got += event->bytes.len;
    check(!t->has_fin, "DATA after FIN");
    t->has_fin = event->fin;
    session_consumed(s, event->stream, event->bytes.len);
}

static void relay_takes(struct story *t, const struct session_event *event)
{
    struct session *s = t->pair.relay.session;
    struct frame_open open = pair_open(1);

    if (event->kind == EVENT_BIND) {
        check(t->id == 0, "BIND twice");
        check(session_bound(s, 1, span_text("https://a.b")) == ERR_OK, "BOUND");
        check(session_open(s, 0, &open, span_text("GET"), false, &t->id) ==
                  ERR_OK,
              "OPEN");
        session_set_owner(s, t->id, t);
        write_body(&t->up, s, t->id);
    } else if (event->kind == EVENT_HEAD) {
        check(!t->has_head && span_equal(event->bytes, span_text("200")),
              "a wrong head");
        t->has_head = true;
    } else {
        check(event->kind == EVENT_DATA, "a strange event at the relay");
        take_body(&t->down, s, event);
    }
}

static void client_takes(struct story *t, const struct session_event *event)
{
    struct session *s = t->pair.client.session;

    if (event->kind == EVENT_BOUND) {
        check(!t->is_bound, "BOUND twice");
        t->is_bound = true;
    } else if (event->kind == EVENT_OPEN) {
        check(span_equal(event->bytes, span_text("GET")), "a wrong request");
        session_set_owner(s, event->stream, t);
        check(session_write_head(s, event->stream, HEAD_FINAL, span_text("200"),
                                 false) == ERR_OK,
              "HEAD");
        write_body(&t->down, s, event->stream);
    } else {
        check(event->kind == EVENT_DATA, "a strange event at the client");
        take_body(&t->up, s, event);
    }
}

/* --- what the network does -----------------------------------------------*/

static void lose(struct story *t, struct pair_end *end)
{
    const struct assembly *a = &end->session->slots[0].assembly;

    t->inside += a->len > 0 && !a->is_handed ? 1 : 0;
    if (session_has_link(end->session, 0)) {
        session_link_lost(end->session, 0, t->pair.now_us);
    }
}

static void resume(struct story *t, struct pair_end *end, uint64_t position)
{
    check(session_link_resume(end->session, 0, position, t->pair.now_us) ==
              ERR_OK,
          "the session cannot be resumed");
    watcher_resume(&t->watcher, end, SLOT_EXPRESS, position);
}

/* The link breaks here; the client is back at once, or with the second login.*/
static void cut(struct story *t)
{
    struct pair *p = &t->pair;
    const struct place *place = &t->places[t->cuts++];

    for (unsigned i = place->is_answer_lost ? 0 : 1; i < 2; i++) {
        lose(t, &p->client);
        lose(t, &p->relay);
        pair_cut(p);
        resume(t, &p->relay, session_received(p->client.session, 0));
        if (i == 0) {
            pair_send(p, &p->relay, SIZE_MAX);
        }
    }
    resume(t, &p->client, session_received(p->relay.session, 0));
    t->passed = 0;
}

static void carry(struct story *t, struct pair_end *from, struct pair_end *to)
{
    bool is_up = to == &t->pair.relay;
    size_t len;

    pair_send(&t->pair, from, SIZE_MAX);
    len = pair_waiting(from);
    while (len > 0 || (t->cuts < CUTS && t->places[t->cuts].is_up == is_up &&
                       t->places[t->cuts].at == t->passed)) {
        const struct place *place = t->cuts < CUTS ? &t->places[t->cuts] : NULL;
        struct session_event event = { .kind = EVENT_NONE };
        size_t rest = len;
        size_t before;

        if (place != NULL && place->is_up == is_up) {
            if (place->at == t->passed) {
                cut(t);
                return;
            }
            rest = len < place->at - t->passed ? len : place->at - t->passed;
        }
        before = pair_waiting(from);
        check(pair_step(&t->pair, from, to, &rest, &event) == ERR_OK,
              session_why(to->session));
        if (event.kind != EVENT_NONE && is_up) {
            relay_takes(t, &event);
        } else if (event.kind != EVENT_NONE) {
            client_takes(t, &event);
        }
        len -= before - pair_waiting(from);
        if (place != NULL && place->is_up == is_up) {
            t->passed += before - pair_waiting(from);
        }
    }
}

static bool is_over(const struct story *t)
{
    const struct session *relay = t->pair.relay.session;
    const struct session *client = t->pair.client.session;

    return t->is_bound && t->has_head && t->up.has_fin && t->down.has_fin &&
           relay->slots[0].log.frames.count == 0 &&
           client->slots[0].log.frames.count == 0;
}

/* Tell the story of |body| bytes each way, cut at |places|: how many of these
 * it reached; how often that was inside a frame is added to |*inside|. */
static unsigned tell(size_t body, uint32_t window,
                     const struct place places[CUTS], unsigned *inside)
{
    struct story *t = calloc(1, sizeof(*t));
    struct frame_bind bind = { .tunnel = 1 };
    unsigned cuts;

    check(t != NULL, "no memory");
    t->places = places;
    t->up.len = body;
    t->down.len = body;
    pair_init(&t->pair, window);
    watcher_init(&t->watcher, &t->pair, window);
    check(session_bind(t->pair.client.session, &bind) == ERR_OK, "BIND");
    for (unsigned round = 0; !is_over(t); round++) {
        check(round < ROUNDS, "the conversation does not end");
        carry(t, &t->pair.client, &t->pair.relay);
        carry(t, &t->pair.relay, &t->pair.client);
        t->pair.now_us += ACK_DELAY_US;
    }
    check(t->up.got == body && t->down.got == body, "a body is not whole");
    check(t->pair.relay.session->live == 0, "the stream is there still");
    check(t->pair.relay.sent.used == 0 && t->pair.client.sent.used == 0 &&
              t->pair.relay.receive.used == 0 &&
              t->pair.client.receive.used == 0,
          "a pool is not empty");
    cuts = t->cuts;
    *inside += t->inside;
    pair_deinit(&t->pair);
    watcher_deinit(&t->watcher);
    free(t);
    return cuts;
}

/* Each place of the first cut, and for each of them each of the second. */
static void twice(size_t body, unsigned *once, unsigned *again,
                  unsigned *inside)
{
    struct place places[CUTS];

    for (unsigned kind = 0; kind < 4; kind++) {
        places[0] = (struct place){ kind % 2 == 0, 0, kind >= 2 };
        places[1] = (struct place){ false, NEVER, false };
        for (; tell(body, WINDOW, places, inside) > 0; places[0].at++) {
            ++*once;
            for (unsigned second = 0; second < 2; second++) {
                places[1] = (struct place){ second == 0, 0, false };
                while (tell(body, WINDOW, places, inside) == CUTS) {
                    places[1].at++;
                    ++*again;
                }
            }
            places[1].at = NEVER;
        }
    }
}

/* Each place of a cut in a conversation of two frames as long as any. */
static void long_frames(unsigned *once, unsigned *inside)
{
    struct place places[CUTS] = { { true, 0, false }, { false, NEVER, false } };
    unsigned before = *once;

    for (unsigned kind = 0; kind < 2; kind++) {
        places[0].is_up = kind == 0;
        for (places[0].at = 0;
             tell(FRAME_PAYLOAD_MAX, WINDOW_FIRST, places, inside) > 0;
             places[0].at++) {
            ++*once;
        }
    }
    check(*once - before > 2 * FRAME_MAX, "a long frame was not cut all over");
}

int main(void)
{
    unsigned once = 0;
    unsigned again = 0;
    unsigned inside = 0;

    twice(BODY, &once, &again, &inside);
    long_frames(&once, &inside);
    check(again > 0 && inside > 0, "nothing was cut");
    printf("%u conversations cut once, %u twice, %u times inside a frame\n",
           once, again, inside);
    return 0;
}
