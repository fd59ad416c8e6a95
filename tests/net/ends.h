/*
 * Both ends of one exchange in one process, with one clock: the service's in
 * one network, the visitor's in another; plain or through a tunnel with TLS
 * 1.3, whose certificate is not verified. They are joined blocking, and read
 * and written without. What they say to each other is of voice.c and bulk.c.
 */
#ifndef TESTS_NET_ENDS_H
#define TESTS_NET_ENDS_H

#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#define ENDS_HEAD_MAX 4096u
#define ENDS_READ_MAX (256u * 1024u)

/* Where they are: |network| is a file such as /proc/1/ns/net. */
struct ends_place {
    const char *network; /* the service's */
    uint16_t port;       /* it listens there, on all addresses */
    const char *host;    /* what the visitor connects to, from our network */
    uint16_t host_port;
    const char *name;       /* for SNI and Host; NULL: plain, and direct */
    const char *congestion; /* control of both plain ends, or NULL */
};

/* The words NETWORK PORT HOST HOST_PORT NAME|- of a command line. */
#define ENDS_PLACE_WORDS 5
struct ends_place ends_place_of(char *const words[ENDS_PLACE_WORDS]);

struct end {
    int fd;
    SSL *ssl; /* or NULL */
};

/* Microseconds since whenever. */
uint64_t ends_now_us(void);

/*
 * Connect, have the visitor send |request| (a head but for its Host and the
 * empty line), accept it at the service, and, with |answer|, answer with this
 * head and wait until the visitor has it. Any failure ends the program with a
 * sentence.
 */
void ends_join(const struct ends_place *place, const char *request,
               const char *answer, struct end *visitor, struct end *service);

/* As read() and write(): -1 with EAGAIN when it must wait. */
ssize_t end_read(struct end *e, void *out, size_t size);
ssize_t end_write(struct end *e, const void *data, size_t len);

/* Close it, without a word to the other. */
void end_close(struct end *e);

/* A number of the command line; anything else ends the program. */
uint64_t ends_number(const char *text);

#endif
