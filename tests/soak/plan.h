/*
 * What each exchange of the soak is: made from a seed and the exchange's
 * number alone, so that the visitor and the service agree on every byte
 * without telling each other.
 */
#ifndef TESTS_SOAK_PLAN_H
#define TESTS_SOAK_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Prime: bytes that are moved by a chunk, a page or a record are others. */
#define PLAN_PATTERN_LEN 1048573u
/* What a cancelled exchange would move if nobody cancelled it. */
#define PLAN_CANCEL_LEN (1ull << 30)

enum plan_kind {
    PLAN_EXCHANGE,
    PLAN_SOCKET,      /* a WebSocket: a message each way at once */
    PLAN_CANCEL_DOWN, /* the visitor leaves within the answer */
    PLAN_CANCEL_UP    /* and within its own body */
};

struct plan {
    enum plan_kind kind;
    const char *method;
    uint64_t up;   /* bytes of the request's body */
    uint64_t down; /* of the answer's; HEAD: what its head says */
    bool up_chunked;
    bool down_chunked;
    bool visitor_closes; /* the request says Connection: close */
    bool service_closes; /* the answer does */
    uint64_t leave_at;   /* the bytes after which a visitor leaves */
};

/* Exchange |number| of |seed|. */
struct plan plan_of(uint64_t seed, uint64_t number);

/* Some number made of |seed| and |number|: splitmix64. */
uint64_t plan_dice(uint64_t seed, uint64_t number);

/* Fill |pattern|, PLAN_PATTERN_LEN bytes, which all bodies are cut from. */
void plan_pattern(uint64_t seed, uint8_t *pattern);

/* Where in the pattern a body of |number| begins; |is_up|: the request's. */
size_t plan_start(uint64_t number, bool is_up);

#endif
