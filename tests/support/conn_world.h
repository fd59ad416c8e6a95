/*
 * A listener and a connection through it, both ends watched: what tests of
 * connections are written with. Bytes follow a pattern, so that order and
 * completeness are checked as they come.
 */
#ifndef TESTS_SUPPORT_CONN_WORLD_H
#define TESTS_SUPPORT_CONN_WORLD_H

#include "common/conn.h"
#include "common/listener.h"
#include "common/timer.h"

/* So long that only what hangs reaches it, under valgrind too. */
#define TEST_US (60 * US_PER_S)

/* One end of a connection and what happened to it. */
struct end {
    struct conn *conn;
    struct world *world;
    unsigned up, data, sent, eof, down;
    bool is_clean;     /* the end that came */
    uint64_t received; /* bytes, each checked against the pattern */
    size_t largest;    /* CONN_DATA */
    uint64_t to_send;  /* bytes still to write, as room allows */
    uint64_t written;
    size_t burst;        /* as many at a time; 0: WRITE_BATCH */
    bool shuts;          /* after the last byte */
    bool pauses;         /* after each CONN_DATA */
    bool leaves;         /* all but a byte, once, and resumes */
    unsigned adds;       /* so often: leaves a byte, and conn_more() */
    bool takes;          /* chunks instead of consuming */
    size_t asks_for;     /* conn_more() until so many are there */
    bool closes_on_data; /* within the event */
    bool starts_tls;     /* server: with the first byte */
    bool stays_dumb;     /* server: pauses before the first byte */
    enum err error;      /* CONN_DOWN's */
};

/* After so many bytes the pattern begins anew. */
#define WORLD_PATTERN_LEN 65536u

struct world {
    struct loop loop;
    struct listener *listener;
    struct timer *watchdog;
    struct tls_context *server_tls;
    struct tls_context *client_tls;
    struct end server, client;
    bool timed_out;
    uint8_t pattern[WORLD_PATTERN_LEN];
};

void world_open(struct world *w);
void world_tls(struct world *w); /* TLS from here on, both ends */
/* |e|'s callbacks, nothing else. */
struct conn_options world_options(struct end *e);
void world_connect(struct world *w, uint64_t deadline_us);
/* One round of the loop; fails when the test takes too long. */
void world_step(struct world *w);
/* The same, but it does not wait: for what a flush before waiting may do. */
void world_poll(struct world *w);
void world_until(struct world *w, const unsigned *count);
void world_close(struct world *w);

/* Write what |e| has to, as far as there is room. */
void end_write(struct end *e);

#endif
