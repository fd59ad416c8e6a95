/*
 * One connection of the measuring visitor: it asks, reads the answer, and asks
 * again, as its load says. What all connections of a run share, and what they
 * count, is the load. No TLS policy, no clock of the run, no report: probe.c.
 */
#ifndef TESTS_BENCH_VISITOR_H
#define TESTS_BENCH_VISITOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#define VISITOR_HEAD_MAX 4096u

enum mode {
    MODE_GET,
    MODE_PUT,
    MODE_NEW,
    MODE_AGAIN,
    MODE_TOKENS,
    MODE_IDLE,
    MODE_SOCKET,
    MODES
};

struct load {
    struct sockaddr_in to;
    const char *name; /* for SNI and Host; NULL when plain */
    enum mode mode;
    uint64_t size;
    SSL_CTX *tls;
    SSL_SESSION *session; /* the newest that was given, for MODE_AGAIN */
    int poll;
    char request[512];
    size_t request_len;
    uint64_t bytes;
    uint64_t failed;
    uint64_t resumed;
    uint32_t *samples; /* microseconds of each answer, or of each event */
    size_t count;
    size_t samples_max;
    size_t waiting; /* idle connections that have not their answer yet */
};

struct visitor {
    int fd;
    SSL *ssl; /* or NULL */
    uint32_t watched;
    bool is_connecting;
    bool is_done;
    size_t request_sent;
    uint64_t up_left;
    size_t head_len;
    bool has_head;
    uint64_t down_left;
    uint64_t asked_us;
    unsigned stamp_digits; /* of the event's stamp: 0 before its '@' */
    uint64_t stamp_us;
    char head[VISITOR_HEAD_MAX + 1];
};

/* Microseconds since whenever: the same for all programs of a machine. */
uint64_t visitor_now_us(void);

/* Connect |v|, and have |l|'s epoll say when it can go on. */
void visitor_open(struct load *l, struct visitor *v);

/* Its socket is ready: go on as far as it can. Failures are counted. */
void visitor_turn(struct load *l, struct visitor *v);

/* Ask to be woken for |events| of |v|'s socket. */
void visitor_watch(struct load *l, struct visitor *v, uint32_t events);

#endif
