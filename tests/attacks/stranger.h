/*
 * One stranger of tests/attacks/run: what it is, and what the crowd that it
 * belongs to knows. Not part of any other program.
 */
#ifndef ATTACKS_STRANGER_H
#define ATTACKS_STRANGER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/ssl.h>

#define BLOCK 16384u
#define HELLO_MAX 20000u
#define REQUEST_MAX 512u

enum ability {
    CAN_HELLO = 1,  /* sends the bytes of a hello */
    CAN_TLS = 2,    /* finishes its handshake */
    CAN_ASK = 4,    /* sends |request| then */
    CAN_READ = 8,   /* reads what comes */
    CAN_DRIP = 16,  /* sends a byte each DRIP_US */
    CAN_HALF = 32,  /* stops in the middle of the hello */
    CAN_STALL = 64, /* takes nothing of its answer */
    CAN_ODD = 128,  /* a long hello, in small pieces */
    CAN_MUTE = 256  /* not a byte of it */
};

struct kind {
    const char *name;
    unsigned abilities;
    const char *line; /* of a request, up to the host's name */
    const char *rest;
};

enum phase { CLOSED, CONNECTING, SHAKING, UP };

struct stranger {
    int fd;
    enum phase phase;
    SSL *ssl; /* or NULL */
    uint32_t watched;
    size_t sent;      /* of the hello or the request */
    size_t head_len;  /* of an answer, while it is read */
    uint64_t left;    /* of an answer's body */
    uint64_t next_us; /* drip, or give up */
    size_t piece;     /* of an odd hello, at a time */
};

struct crowd {
    const struct kind *kind;
    struct sockaddr_in to;
    uint32_t address; /* the first, in host order */
    uint32_t addresses;
    uint32_t turn; /* which address is next */
    const char *name;
    SSL_CTX *tls;
    int poll;
    uint8_t hello[HELLO_MAX];
    size_t hello_len;
    char request[REQUEST_MAX];
    size_t request_len;
    size_t count;
    size_t shaking;
    struct stranger *all;
    /* What is told. */
    uint64_t opened;   /* connections tried */
    uint64_t refused;  /* ended without a byte */
    uint64_t flights;  /* hellos that TLS answered */
    uint64_t alerts;   /* hellos that got an alert */
    uint64_t settled;  /* handshakes done */
    uint64_t answered; /* requests */
    uint64_t ended;    /* by the relay, after the handshake */
    uint64_t gap_us;   /* the longest without any answer */
    uint64_t last_us;
    size_t held; /* settled ones now; for TCP alone, connected ones */
};

/* Bytes that are read and of no more interest. */
extern uint8_t stranger_block[BLOCK];

/* Microseconds since some fixed moment. */
uint64_t stranger_now_us(void);

bool stranger_can(const struct crowd *c, enum ability ability);

/* Connect |s|, which is CLOSED. */
void stranger_begin(struct crowd *c, struct stranger *s);

/* The socket of |s| has |events|. */
void stranger_turn(struct crowd *c, struct stranger *s, uint32_t events);

/* A byte is due, or its time is up. */
void stranger_drip(struct crowd *c, struct stranger *s, uint64_t now_us);

#endif
