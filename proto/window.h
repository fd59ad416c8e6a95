/*
 * Credit arithmetic of one direction of a stream, for both of its ends: what
 * the sender may still send, and what the receiver has promised, received and
 * consumed. Credit counts payload bytes. Who may have credit at all when
 * memory is short is not decided here but by the session.
 */
#ifndef PROTO_WINDOW_H
#define PROTO_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/error.h"
#include "proto/limits.h"

/* The sender's end: what is left of the peer's promise. */
struct window_credit {
    uint64_t left; /* at most WINDOW_MAX */
};

/* Begin with |first| bytes (more than WINDOW_MAX count as WINDOW_MAX). */
void window_credit_init(struct window_credit *w, uint32_t first);

/* The peer grants |len| more. ERR_FLOW past WINDOW_MAX. */
MUST_CHECK enum err window_credit_add(struct window_credit *w, uint32_t len);

/* |len| bytes are being sent; there was credit for them. */
void window_credit_use(struct window_credit *w, size_t len);

/*
 * The receiver's end. Totals since the stream began:
 * consumed <= received <= granted <= consumed + size.
 */
struct window_grant {
    uint32_t size; /* how much may be on its way or unconsumed */
    uint64_t granted;
    uint64_t received;
    uint64_t consumed;
    uint64_t batch_us;       /* when the last bytes came */
    uint64_t batch_received; /* what had come before that moment */
};

/* Begin with a promise of |first| bytes (at most WINDOW_MAX). */
void window_grant_init(struct window_grant *w, uint32_t first);

/* |len| bytes came. ERR_FLOW when they were not granted. */
MUST_CHECK enum err window_grant_receive(struct window_grant *w, size_t len,
                                         uint64_t now_us);

/*
 * The sender says it used the last of the window with what just came. Doubles
 * the window, up to WINDOW_MAX, if the consumer has kept up: of what came
 * before this moment less than a quarter of the window is unconsumed.
 */
void window_grant_grow(struct window_grant *w);

/* |len| received bytes were consumed. */
void window_grant_consume(struct window_grant *w, size_t len);

/* Whether the sender has less than WINDOW_LOW_FRAMES frames of credit left. */
bool window_grant_is_low(const struct window_grant *w);

/* The grant that is due now: a quarter of the window, or earlier when low. */
uint32_t window_grant_due(const struct window_grant *w);

/* |len| bytes of a due grant are being promised. */
void window_grant_promise(struct window_grant *w, uint32_t len);

#endif
