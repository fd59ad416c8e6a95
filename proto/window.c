/*
 * Credit arithmetic of both ends of one direction. Totals only rise, so every
 * rule is a difference of two of them (PROTOCOL.md, "Windows").
 */
#include "proto/window.h"

#include <assert.h>

static uint32_t at_most(uint32_t value, uint32_t max)
{
    return value < max ? value : max;
}

void window_credit_init(struct window_credit *w, uint32_t first)
{
    w->left = at_most(first, WINDOW_MAX);
}

enum err window_credit_add(struct window_credit *w, uint32_t len)
{
    if (len > WINDOW_MAX || w->left > WINDOW_MAX - len) {
        return ERR_FLOW;
    }
    w->left += len;
    return ERR_OK;
}

void window_credit_use(struct window_credit *w, size_t len)
{
    assert(len <= w->left);
    w->left -= len;
}

void window_grant_init(struct window_grant *w, uint32_t first)
{
    *w = (struct window_grant){ .size = at_most(first, WINDOW_MAX) };
    w->granted = w->size;
}

enum err window_grant_receive(struct window_grant *w, size_t len,
                              uint64_t now_us)
{
    if (len > w->granted - w->received) {
        return ERR_FLOW;
    }
    if (now_us != w->batch_us) {
        w->batch_us = now_us;
        w->batch_received = w->received;
    }
    w->received += len;
    return ERR_OK;
}

void window_grant_grow(struct window_grant *w)
{
    uint64_t behind = 0;

    /*
     * What came in this very turn of the loop cannot have been consumed yet:
     * a consumer is behind only with what came before.
     */
    if (w->batch_received > w->consumed) {
        behind = w->batch_received - w->consumed;
    }
    if (behind < w->size / 4) {
        w->size = w->size > WINDOW_MAX / 2 ? WINDOW_MAX : w->size * 2;
    }
}

void window_grant_consume(struct window_grant *w, size_t len)
{
    assert(len <= w->received - w->consumed);
    w->consumed += len;
}

bool window_grant_is_low(const struct window_grant *w)
{
    return w->granted - w->received < WINDOW_LOW_FRAMES * FRAME_PAYLOAD_MAX;
}

uint32_t window_grant_due(const struct window_grant *w)
{
    uint64_t due = w->consumed + w->size - w->granted;

    assert(w->consumed + w->size >= w->granted);
    if (due == 0 || due >= w->size / 4) {
        return (uint32_t)due;
    }
    if (window_grant_is_low(w) &&
        (due >= WINDOW_LOW_CONSUMED || w->consumed == w->received)) {
        return (uint32_t)due;
    }
    return 0;
}

void window_grant_promise(struct window_grant *w, uint32_t len)
{
    assert(w->granted + len <= w->consumed + w->size);
    w->granted += len;
}
