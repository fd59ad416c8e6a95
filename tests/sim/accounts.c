/* Read from the inside of both sessions. */
#include "tests/sim/accounts.h"

#include "proto/session_state.h"
#include "tests/sim/watcher.h"

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

/* Recount what the accounts say. */
static void check_books(const struct pair_end *end)
{
    const struct session *s = end->session;
    uint64_t sent = 0;
    uint64_t unsent = 0;
    uint64_t held = 0;
    size_t live = 0;

    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        const struct slot *slot = &s->slots[i];

        sent += slot->log.cost;
        for (struct chunk *c = slot->control.head; c != NULL; c = c->next) {
            sent += chunk_cost(c);
        }
    }
    for (size_t i = 0; i < s->streams.used; i++) {
        const struct stream *st = s->streams.at[i];

        if (st == NULL) {
            continue;
        }
        for (struct chunk *c = st->unsent.head; c != NULL; c = c->next) {
            sent += chunk_cost(c);
            unsent += c->len;
        }
        held += stream_held(st);
        live += st->is_over ? 0 : 1;
        check(st->window.granted <= st->window.consumed + st->window.size,
              "more was granted than the window has");
        check(st->unsent.bytes <=
                  AWAY_STREAM_MAX + FRAME_PAYLOAD_MAX + 3 * HEAD_MAX,
              "a queue is too long");
    }
    check(s->sent.used == sent && end->sent.used == sent, "sent account");
    check(s->receive.used == held && end->receive.used == held,
          "receive account");
    check(s->unsent_bytes == unsent, "unsent account");
    check(s->live == live, "count of live streams");
}

static void check_log(const struct pair_end *from, const struct pair_end *to,
                      unsigned slot)
{
    const struct sent_log *log = &from->session->slots[slot].log;
    uint64_t received = to->session->slots[slot].received;
    uint64_t position = log->acked;
    uint64_t cost = 0;

    for (const struct chunk *c = log->frames.head; c != NULL; c = c->next) {
        position += c->len;
        cost += chunk_cost(c);
        check(c->position == position, "a frame's position is wrong");
    }
    check(position == log->end, "log's end");
    check(log->handed == (log->again == NULL
                              ? log->end
                              : log->again->position - log->again->len),
          "log's place");
    check(cost == log->cost, "log's cost");
    check(received <= log->end, "received too much");
    check(log->acked <= received, "freed before it was received");
}

static void check_credit(const struct session *near, const struct session *far)
{
    for (size_t i = 0; i < near->streams.used; i++) {
        const struct stream *st = near->streams.at[i];
        const struct stream *peer;

        if (st == NULL || st->state == STREAM_DONE) {
            continue;
        }
        peer = streams_find(&far->streams, st->id);
        check(peer != NULL && !peer->is_over, "one end alone has a stream");
        check(peer->slot == st->slot, "a stream has two slots");
        if (st->is_fin_queued) {
            continue;
        }
        check(st->credit.left == peer->window.granted - peer->window.received,
              "credit was lost or doubled");
        check(st->unsent.count == 0 || st->credit.left == 0,
              "a stream is forgotten");
        check(st->unsent.count == 0 || stream_held(peer) > 0,
              "a stream has stalled");
    }
}

void accounts_check_logs(const struct pair *p, unsigned slot)
{
    check_log(&p->relay, &p->client, slot);
    check_log(&p->client, &p->relay, slot);
}

void accounts_check(const struct pair *p)
{
    check_books(&p->relay);
    check_books(&p->client);
}

void accounts_check_credit(const struct pair *p)
{
    check_credit(p->relay.session, p->client.session);
    check_credit(p->client.session, p->relay.session);
}

void accounts_check_end(const struct pair *p)
{
    const struct pair_end *ends[] = { &p->relay, &p->client };

    accounts_check(p);
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        accounts_check_logs(p, slot);
    }
    for (unsigned i = 0; i < 2; i++) {
        const struct session *s = ends[i]->session;

        check(s->streams.count == 0 && s->live == 0, "a stream is left over");
        for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
            check(s->slots[slot].log.frames.count == 0,
                  "not all is acknowledged");
            check(session_deadline(s, slot) > p->now_us,
                  "a deadline in the past");
        }
        check(ends[i]->sent.used == 0, "sent bytes are left over");
        check(ends[i]->receive.used == 0, "received bytes are left over");
    }
}
