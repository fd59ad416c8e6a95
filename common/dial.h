/*
 * Resolve a host and connect to its addresses in turn (next one after 250 ms
 * or a failure, as RFC 8305 does), with one deadline for all.
 */
#ifndef COMMON_DIAL_H
#define COMMON_DIAL_H

#include "common/conn.h"

struct dial;

/*
 * |c| is connected (handshake done) and the callee's: it calls conn_set_owner()
 * or conn_close() before it returns. Or NULL: |error| and |why| (good for the
 * call) say what failed first. The dial is over either way.
 */
typedef void dial_fn(struct conn *c, enum err error, const char *why,
                     void *owner);

struct dial_options {
    const char *host; /* name or address; "localhost": 127.0.0.1, then ::1 */
    uint16_t port;
    struct tls_context *tls;
    const char *tls_host; /* SNI; NULL: |host| */
    uint64_t deadline_us; /* from now, for all of it */
    dial_fn *on_done;
    void *owner;
};

/* ERR_NOMEM; else |on_done| is called once, never from within this call. */
MUST_CHECK enum err dial_start(struct loop *l, const struct dial_options *o,
                               struct dial **out);

/* No call follows. NULL is fine; not after |on_done|. */
void dial_cancel(struct dial *d);

#endif
