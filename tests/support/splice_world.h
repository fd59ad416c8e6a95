/*
 * A visitor and a service on raw sockets, and between them two splices over
 * two sessions in memory: what the edge and the client's local side do with a
 * splice, as small as can be.
 */
#ifndef TESTS_SUPPORT_SPLICE_WORLD_H
#define TESTS_SUPPORT_SPLICE_WORLD_H

#include "common/splice.h"
#include "tests/support/pair.h"

/* One raw end: the visitor or the service. */
struct splice_peer {
    int fd;
    bool is_deaf; /* does not read */
    bool has_eof;
    bool was_reset;
    char *got; /* zero-terminated */
    size_t got_len;
    const char *to_send;
    size_t to_send_len;
};

/* One of ours: the relay's edge, or the client's local side. */
struct splice_side {
    struct splice_world *world;
    struct pair_end *end;
    struct carrier carrier;
    struct conn *conn;
    struct h1_parser *parser;
    struct splice *splice;
    uint32_t stream;
    bool is_upgrade;
    bool is_head;
    bool frees_at_once; /* its splice, at every event */
    enum err reset;
    unsigned in_end, out_end, raw_end, bad, cut, heads;
};

struct splice_world {
    struct loop loop;
    uv_timer_t alive; /* a loop without handles would not turn */
    struct pair pair;
    struct splice_peer visitor, service;
    struct splice_side edge, local;
};

void splice_world_open(struct splice_world *w);
void splice_world_close(struct splice_world *w);

/* Let everything run till |*what| is not 0; fails after some seconds. */
void splice_world_until(struct splice_world *w, const unsigned *what);
/* Till |peer| has got |len| bytes. */
void splice_world_until_got(struct splice_world *w, struct splice_peer *peer,
                            size_t len);
/* Till |peer| has been told the end. */
void splice_world_until_eof(struct splice_world *w, struct splice_peer *peer);
/* Till nothing moves any more. */
void splice_world_settle(struct splice_world *w);

/* Queue |text| to be sent by |peer| as the kernel takes it; lives on. */
void splice_world_send(struct splice_peer *peer, const char *text, size_t len);
void splice_world_say(struct splice_peer *peer, const char *text);

/* |side|'s exchange is over: the splice is freed, the conn left as it is. */
void splice_world_finish(struct splice_side *side);

#endif
