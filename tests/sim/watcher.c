/* The rules of the wire, written down a second time. */
#include "tests/sim/watcher.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/session_state.h"

_Noreturn void watcher_fail(const char *why)
{
    fprintf(stderr, "sim: %s\n", why);
    abort();
}

static void check(bool is_good, const char *why)
{
    if (!is_good) {
        watcher_fail(why);
    }
}

static uint64_t number(struct span payload, size_t at, size_t len)
{
    uint64_t value = 0;

    check(payload.len >= at + len, "a payload is too short");
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | payload.data[at + i];
    }
    return value;
}

static void see_payload(struct watcher_half *half, size_t len)
{
    check(len <= half->credit, "payload past the window");
    half->credit -= len;
    half->used += len;
}

static void see_head(struct watcher_half *half, const struct frame_header *h,
                     size_t len)
{
    unsigned kind = (unsigned)h->flags >> 4;

    check(kind == 0 || half->in_head || !half->has_trailers,
          "a head after the trailers");
    check(kind != 2 || half->in_head || !half->has_final, "two final heads");
    see_payload(half, len);
    half->in_head = (h->flags & FRAME_END_HEAD) == 0;
    half->has_final = half->has_final || kind == 2;
    half->has_trailers = half->has_trailers || kind == 3;
}

static void see_data(struct watcher_half *half, const struct frame_header *h)
{
    bool is_blocked = (h->flags & FRAME_BLOCKED) != 0;

    check(!half->in_head, "DATA inside a head");
    check(!half->has_trailers || h->len == 0, "DATA after the trailers");
    see_payload(half, h->len);
    /* Credit that is still on its way makes BLOCKED more likely, not less. */
    check(half->credit > 0 || h->len == 0 || is_blocked, "BLOCKED is missing");
}

static void see_open(struct watcher *w, unsigned slot,
                     const struct frame_header *h, struct span payload)
{
    struct watcher_stream *st = &w->streams[h->stream / 2 % WATCHER_STREAMS];
    size_t fixed = payload.data[11] == 4 ? 19 : 31;

    check(h->stream > w->relay[slot].last_open, "OPENs out of order");
    check(!st->is_open, "OPEN twice");
    w->relay[slot].last_open = h->stream;
    st->is_open = true;
    st->slot = slot;
    st->relay.credit = w->window;
    st->client.credit = number(payload, 2, 4);
    see_payload(&st->relay, payload.len - fixed);
    st->relay.in_head = (h->flags & FRAME_END_HEAD) == 0;
}

static void see_stream(struct watcher *w, bool from_relay, unsigned slot,
                       const struct frame_header *h, struct span payload)
{
    struct watcher_stream *st = &w->streams[h->stream / 2 % WATCHER_STREAMS];
    struct watcher_half *near = from_relay ? &st->relay : &st->client;
    struct watcher_half *far = from_relay ? &st->client : &st->relay;

    check(h->stream % 2 == 0 && h->stream / 2 < WATCHER_STREAMS, "a wrong id");
    check(!near->has_reset, "a frame after RESET");
    if (h->type == FRAME_OPEN) {
        see_open(w, slot, h, payload);
    }
    check(st->is_open, "a frame before OPEN");
    check(st->slot == slot, "a frame on the wrong slot");
    if (h->type == FRAME_HEAD || h->type == FRAME_DATA) {
        check(!near->has_fin, "a frame after FIN");
    }
    if (h->type == FRAME_HEAD) {
        see_head(near, h, payload.len);
    } else if (h->type == FRAME_DATA) {
        see_data(near, h);
    } else if (h->type == FRAME_WINDOW) {
        check(!far->has_reset || far->has_fin || number(payload, 0, 4) > 0,
              "an empty WINDOW");
        far->credit += number(payload, 0, 4);
    } else if (h->type == FRAME_RESET) {
        near->has_reset = true;
    } else if (h->type == FRAME_STOP) {
        check(!near->has_stop, "STOP twice");
        near->has_stop = true;
    }
    if (h->type != FRAME_WINDOW && h->type != FRAME_RESET) {
        near->has_fin = near->has_fin || (h->flags & FRAME_FIN) != 0;
    }
}

/* A frame from the sent log, after a resume: byte by byte what it was. */
static void see_again(struct watcher_side *near, struct span frame)
{
    check(near->again + frame.len <= near->position,
          "more again than there is");
    check(memcmp(near->history + near->again, frame.data, frame.len) == 0,
          "a frame came again, and differs");
    near->again += frame.len;
}

static void remember(struct watcher_side *near, struct span frame)
{
    if (near->position + frame.len > near->capacity) {
        near->capacity = 2 * (near->position + frame.len);
        near->history = realloc(near->history, near->capacity);
        check(near->history != NULL, "no memory");
    }
    memcpy(near->history + near->position, frame.data, frame.len);
    near->position += frame.len;
    near->again = near->position;
}

static struct watcher_side *side_of(struct watcher *w, bool is_relay,
                                    unsigned slot)
{
    return is_relay ? &w->relay[slot] : &w->client[slot];
}

static void see_frame(void *arg, const struct pair_end *from, unsigned slot,
                      struct span frame)
{
    struct watcher *w = arg;
    bool from_relay = from == &w->pair->relay;
    struct watcher_side *near = side_of(w, from_relay, slot);
    struct watcher_side *far = side_of(w, !from_relay, slot);
    struct span payload = span_after(frame, FRAME_HEADER_LEN);
    struct frame_header h;

    frame_header_get(frame.data, &h);
    check(payload.len == h.len, "the length in a header is wrong");
    near->frames++;
    if (h.type == FRAME_ACK) {
        uint64_t position = number(payload, 0, 8);

        check(w->is_torn[slot] || position <= far->position,
              "ACK for what was not sent");
        check(position >= near->acked, "ACK goes back");
        near->acked = position;
        return;
    }
    if (h.type == FRAME_PING || h.type == FRAME_PONG) {
        return;
    }
    if (near->again < near->position) {
        see_again(near, frame);
        return;
    }
    remember(near, frame);
    w->bytes += frame.len;
    check(from->session->slots[slot].log.end == near->position,
          "the position is wrong");
    check(h.stream != 0 || slot == SLOT_EXPRESS,
          "a frame of the session on the bulk link");
    if (h.stream != 0) {
        see_stream(w, from_relay, slot, &h, payload);
    }
}

void watcher_init(struct watcher *w, struct pair *p, uint32_t window)
{
    *w = (struct watcher){ .pair = p, .window = window };
    p->watch = see_frame;
    p->watch_arg = w;
}

void watcher_deinit(struct watcher *w)
{
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        free(w->relay[slot].history);
        free(w->client[slot].history);
    }
}

void watcher_resume(struct watcher *w, const struct pair_end *end,
                    unsigned slot, uint64_t position)
{
    struct watcher_side *near = side_of(w, end == &w->pair->relay, slot);

    check(position <= near->position, "resumed past what was sent");
    near->again = position;
}

void watcher_clear(struct watcher *w, const struct pair_end *end, unsigned slot)
{
    bool is_relay = end == &w->pair->relay;
    struct watcher_side *near = side_of(w, is_relay, slot);

    near->position = 0;
    near->again = 0;
    near->acked = 0;
    for (unsigned i = 0; i < WATCHER_STREAMS; i++) {
        struct watcher_stream *st = &w->streams[i];

        if (st->is_open && st->slot == slot) {
            (is_relay ? &st->relay : &st->client)->has_reset = true;
        }
    }
}
