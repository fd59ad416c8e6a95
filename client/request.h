/*
 * What the exchange has to know of a request's head, and the head as the
 * service is to see it. No connection, no stream.
 */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include "client/target.h"
#include "common/http/h1_parser.h"

#define REQUEST_METHOD_MAX 16u
#define REQUEST_PATH_MAX 256u

struct request {
    char method[REQUEST_METHOD_MAX]; /* cut to what a screen shows */
    char path[REQUEST_PATH_MAX];     /* without its query */
    bool is_repeatable; /* idempotent and without a body: may be sent twice */
    struct h1_expect expect; /* of the response */
};

/* Read the encoded |block|. ERR_HEAD when it is malformed. */
MUST_CHECK enum err request_read(struct request *r, struct span block);

/*
 * Decode |block| into |h| as |target| gets it: our rules for fields once more,
 * and Host as |host_header| says ("": the public name; "rewrite": the target's
 * own, written to |authority| of TARGET_TEXT_MAX bytes; else as it stands).
 */
MUST_CHECK enum err request_head(struct span block, const struct target *t,
                                 const char *host_header, char *authority,
                                 struct head *h);

#endif
