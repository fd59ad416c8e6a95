/*
 * One place of the soak's visitor: a connection to the public name, and the
 * exchange that is on it. Exchanges follow each other till the swarm, all
 * places together, has had as many as it wants.
 */
#ifndef TESTS_SOAK_VISIT_H
#define TESTS_SOAK_VISIT_H

#include <netinet/in.h>

#include "tests/soak/body.h"
#include "tests/soak/channel.h"

#define VISIT_BLOCK (64u * 1024u)
#define VISIT_HEAD_SIZE (16u * 1024u)

struct swarm {
    uint64_t seed;
    uint64_t next;     /* number of the next exchange */
    uint64_t begun;    /* exchanges that are not cancelled */
    uint64_t wanted;   /* so many of them */
    uint64_t until_us; /* and so long */
    uint64_t done, wrong, failed;
    uint64_t sockets, left_down, left_up;
    uint64_t handshakes, bytes_up, bytes_down;
    unsigned busy;     /* places with an exchange */
    uint32_t *took_us; /* each exchange's time */
    size_t took_count, took_max;
    int poll;
    SSL_CTX *tls;
    const char *host;
    struct sockaddr_in relay;
    uint8_t in[VISIT_BLOCK];
    uint8_t pattern[PLAN_PATTERN_LEN];
};

enum visit_state { VISIT_IDLE, VISIT_HANDSHAKE, VISIT_EXCHANGE };

struct visit {
    struct swarm *swarm;
    unsigned index;
    struct channel ch;
    enum visit_state state;
    uint64_t number;
    struct plan plan;
    uint64_t begun_us;
    size_t head_len; /* of the answer's head, whole if |has_head| */
    bool has_head;
    char head[VISIT_HEAD_SIZE];
    char up_sum[BODY_SUM_LEN + 1];
    struct body_in in;
    struct body_out out;
    size_t out_len;
    size_t out_at;
    uint8_t out_bytes[VISIT_BLOCK];
};

/* Microseconds of the monotonic clock. */
uint64_t visit_now_us(void);

/* Take the next exchange, or none if there were enough. */
void visit_begin(struct visit *v);

/* The socket can be read or written: go on. */
void visit_turn(struct visit *v);

#endif
