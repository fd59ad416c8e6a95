/*
 * The service's side of one stream: take the request head from the relay,
 * connect to the target (or reuse this visitor's idle connection), write the
 * request anew, and send the response back.
 */
#ifndef CLIENT_LOCAL_H
#define CLIENT_LOCAL_H

#include "client/conn_pool.h"
#include "client/local_set.h"
#include "client/request.h"
#include "common/link.h"

struct local;

/* What a finished exchange was, for the screen. No query strings. */
struct local_report {
    uint16_t tunnel;
    struct request request;
    unsigned status;    /* 0: no response head came */
    enum err error;     /* ERR_OK, or how it broke off */
    uint64_t us;        /* from OPEN to the end */
    uint64_t bytes_in;  /* request body, bytes to the service */
    uint64_t bytes_out; /* response body, bytes from the service */
    struct visitor_address visitor;
};

/* What a tunnel tells its exchanges; borrowed while they live. */
struct local_tunnel {
    struct target target;
    struct tls_context *tls; /* for https targets */
    const char *host_header; /* what Host says; "" keeps the public name */
    char public_host[TARGET_HOST_MAX]; /* the tunnel's own name, no port */
};

/* What all exchanges of a session share. */
struct local_world {
    struct loop *loop;
    struct carrier *carrier;
    struct conn_pool *pool;
    struct local_set locals;
    uint8_t *scratch; /* 2 * HEAD_MAX, borrowed for a call */
    void (*on_end)(void *owner, const struct local_report *report);
    void *owner;
    uint64_t told_us; /* when it was last said that descriptors are out */
};

/*
 * Begin the exchange of |open| (EVENT_OPEN). It is the stream's owner from
 * here on, and frees itself when it has ended, telling world->on_end once.
 * On failure the stream is reset.
 */
void local_open(struct local_world *world, const struct local_tunnel *tunnel,
                const struct session_event *open);

/* A session event of a stream whose owner is |l|; |l| may be gone after. */
void local_event(struct local *l, const struct session_event *event);
void local_writable(struct local *l);

/* The session is gone: end without telling it. */
void local_abandon(struct local *l);

/* Whether its stream is on the link in |slot|. */
bool local_is_on(const struct local *l, unsigned slot);

/* Its stream was reset because memory is short: end as well. */
void local_shed(struct local *l);

/* Break |l| off if bytes for the service have not moved for |limit_us|. */
void local_look_at_stall(struct local *l, uint64_t limit_us);

#endif
