/* Frames lie in the sender's wire; here stands when they are there. */
#include "tests/sim/line.h"

#include "tests/sim/watcher.h"

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

void line_send(struct line *l, struct pair_end *from)
{
    struct pair *p = l->pair;
    struct line_way *way = from == &p->relay ? &l->to_client : &l->to_relay;
    uint64_t queue_us = l->queue * US_PER_S / l->bytes_per_s;

    if (way->free_us < p->now_us) {
        way->free_us = p->now_us;
    }
    while (way->free_us - p->now_us <= queue_us) {
        size_t before = pair_slot_waiting(from, l->slot);
        size_t len;

        pair_slot_send(p, from, l->slot, 1);
        len = pair_slot_waiting(from, l->slot) - before;
        if (len == 0) {
            return;
        }
        check(way->count < LINE_FRAMES, "too many frames on a line");
        way->free_us += len * US_PER_S / l->bytes_per_s;
        way->frames[(way->first + way->count) % LINE_FRAMES] =
            (struct line_frame){ way->free_us + l->delay_us, len };
        way->count++;
    }
}

bool line_receive(struct line *l, struct pair_end *to,
                  struct session_event *event)
{
    struct pair *p = l->pair;
    struct line_way *way = to == &p->relay ? &l->to_relay : &l->to_client;

    while (way->count > 0) {
        struct line_frame *f = &way->frames[way->first];
        size_t left = f->len;

        if (f->at_us > p->now_us) {
            return false;
        }
        check(pair_slot_step(p, to, l->slot, &left, event) == ERR_OK,
              session_why(to->session));
        f->len = left;
        if (left == 0) {
            way->first = (way->first + 1) % LINE_FRAMES;
            way->count--;
        }
        if (event->kind != EVENT_NONE) {
            return true;
        }
    }
    return false;
}
