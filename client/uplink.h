/*
 * Keep the session linked: dial, log in, bind the tunnels, redial for ever.
 * Owns the session, its link and what hangs off them.
 */
#ifndef CLIENT_UPLINK_H
#define CLIENT_UPLINK_H

#include "client/identity.h"
#include "client/tunnel.h"
#include "common/link_quality.h"

struct uplink;

enum uplink_event {
    UPLINK_UP,       /* logged in */
    UPLINK_URL,      /* |tunnel| is bound: tunnel->url */
    UPLINK_REFUSED,  /* |tunnel| is over: |error|, |why| */
    UPLINK_REPLACED, /* |tunnel| is over: another client took its name */
    UPLINK_LOST,     /* the link broke: |why|; it redials by itself */
    UPLINK_RETRY,    /* a dial failed: |why|; it goes on */
    UPLINK_DENIED, /* the relay will not have us: |error|, |why|; it is over */
    UPLINK_DRAINED /* after uplink_drain(): nothing is left */
};

struct uplink_news {
    enum uplink_event event;
    struct tunnel *tunnel;
    enum err error;
    const char *why;
};

struct uplink_options {
    const struct relay_pin *relay;
    const struct identity *identity;
    struct tunnel *tunnels; /* borrowed, outlive the uplink */
    size_t tunnel_count;
    bool is_single; /* never a second link */
    void (*on_news)(void *owner, const struct uplink_news *news);
    void (*on_exchange)(void *owner, const struct local_report *report);
    /* How the link is, now and then while there are streams, and when it came
     * or went; the session went on |resumes| times where one was lost. */
    void (*on_quality)(void *owner, const struct link_quality *q,
                       uint32_t resumes);
    void *owner;
};

/* NULL without memory. Dials at once. Tunnel ids are filled in. */
struct uplink *uplink_new(struct loop *l, const struct uplink_options *o);

/* No new exchanges; UPLINK_DRAINED when the live ones have ended, or after
 * DRAIN_CLIENT_US. */
void uplink_drain(struct uplink *u);

/* Ends everything at once. NULL is fine. */
void uplink_free(struct uplink *u);

#endif
