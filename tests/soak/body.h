/*
 * Bodies of the soak on their way out and in: framing, and the comparison of
 * every byte with the pattern it must be cut from.
 */
#ifndef TESTS_SOAK_BODY_H
#define TESTS_SOAK_BODY_H

#include <openssl/sha.h>

#include "tests/soak/plan.h"

#define BODY_SUM_LEN (2 * SHA256_DIGEST_LENGTH)
/* A body_out_fill() with less room than this adds nothing. */
#define BODY_ROOM_MIN 64u

enum body_framing {
    BODY_LENGTH,
    BODY_CHUNKED,
    BODY_SOCKET,       /* one WebSocket message, then Close */
    BODY_SOCKET_MASKED /* as visitors send them, with a mask of zeros */
};

/* The bytes of a body: |len| of |pattern| from |start| on, over its end. */
struct body_cut {
    const uint8_t *pattern;
    size_t start;
    uint64_t len;
    enum body_framing framing;
};

struct body_out {
    struct body_cut cut;
    uint64_t sent;
    bool is_begun;
    bool is_done;
};

enum body_status { BODY_MORE, BODY_DONE, BODY_WRONG };

struct body_in {
    struct body_cut cut;
    uint64_t got;
    enum body_status status;
    const char *why; /* of BODY_WRONG */
    SHA256_CTX sum;
    uint8_t edge[16]; /* of the message: what must come before and behind */
    size_t edge_len;
    size_t edge_at;
    int chunk_state;
    uint64_t chunk_left;
};

/* The SHA-256 of |cut|'s bytes in hexadecimal, with a 0 behind. */
void body_sum(const struct body_cut *cut, char out[BODY_SUM_LEN + 1]);

void body_out_begin(struct body_out *b, const struct body_cut *cut);

/* Append what fits into |room| bytes; how many it was. 0 when done. */
size_t body_out_fill(struct body_out *b, uint8_t *to, size_t room);

void body_in_begin(struct body_in *b, const struct body_cut *cut);

/*
 * Take from |bytes| what belongs to the body; how many it was. Look at
 * |b->status| after it.
 */
size_t body_in_take(struct body_in *b, const uint8_t *bytes, size_t len);

/* The SHA-256 of what came; once. */
void body_in_sum(struct body_in *b, char out[BODY_SUM_LEN + 1]);

#endif
