/*
 * A request or response head as fields, not as bytes: what stands between the
 * two parsers. Encoded into HEAD blocks and decoded from them here. A head
 * borrows all its text: from the received head it was parsed from, or from
 * the block it was decoded from.
 */
#ifndef PROTO_HEAD_H
#define PROTO_HEAD_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/wire.h"

struct head_field {
    struct span name;
    struct span value;
};

/* How the body is framed (RFC 9112 section 6.3); the writer frames anew. */
enum body_framing {
    BODY_NONE = 0,   /* there is none, whatever the fields say */
    BODY_LENGTH = 1, /* |body_len| bytes */
    BODY_UNKNOWN = 2 /* till the stream's FIN */
};

struct head {
    struct span method;    /* request */
    struct span target;    /* request: origin form, or "*" */
    struct span authority; /* request: host[:port], without user info */
    uint16_t status;       /* response: 100 to 599; 0 in requests, trailers */
    bool is_upgrade;       /* request: GET with Upgrade: websocket;
                              response: 101 with it */
    enum body_framing framing;
    uint64_t body_len;
    size_t count;
    struct head_field fields[HEAD_FIELDS_MAX];
};

/*
 * Encode |h| into |w|: a request when it has a method, a response when it has
 * a status, trailers else. Names are written in lower case. Host,
 * Content-Length, Transfer-Encoding, Connection, Upgrade, Keep-Alive,
 * Proxy-Connection and TE do not stand among the fields, the decoder refuses
 * them: authority, framing and is_upgrade say it. Ask wire_writer_done()
 * whether it fitted.
 */
void head_encode(struct wire_writer *w, const struct head *h);

/*
 * Decode the whole of |block|; |h| borrows from it. ERR_HEAD when the block is
 * cut short or too long, or a name is no lower-case token, or a value, method,
 * target or authority has bytes that may not stand there: the receiver's own
 * strictness, whoever the peer is. |*why| is a constant sentence then. An
 * upgrade's response is 101 and every 101 is_upgrade. In the answer to HEAD and
 * in 304 BODY_LENGTH is what the service said; no body follows.
 */
MUST_CHECK enum err head_decode(struct span block, struct head *h,
                                const char **why);

/* The value of the first field called |name| (lower case); data NULL: none. */
struct span head_find(const struct head *h, const char *name);

/* Append a field; ERR_LIMIT when there are HEAD_FIELDS_MAX already. */
MUST_CHECK enum err head_add(struct head *h, struct span name,
                             struct span value);

/* Remove all fields called |name| (lower case); how many there were. */
size_t head_remove(struct head *h, const char *name);

/* Whether |s| is a token (RFC 9110 section 5.6.2), not empty. */
bool head_is_token(struct span s);

/* Whether |s| may stand in a field value (RFC 9110 section 5.5). */
bool head_is_value(struct span s);

/* Compare ASCII without case. */
bool head_same(struct span a, const char *lower);

#endif
