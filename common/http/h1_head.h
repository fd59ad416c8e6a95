/*
 * From the lines of a checked head to a structured one: names in lower case,
 * what ends at this hop taken out and put into the head's members. What may
 * pass between visitor and service is decided in fields.
 */
#ifndef COMMON_HTTP_H1_HEAD_H
#define COMMON_HTTP_H1_HEAD_H

#include "common/http/head_check.h"

/* How the bytes after the head are framed: not always what it declares. */
enum h1_body_kind {
    H1_NO_BODY,
    H1_PLAIN,      /* |length| bytes */
    H1_CHUNKS,     /* RFC 9112 section 7.1 */
    H1_UNTIL_CLOSE /* responses */
};

/* What the head says about its message and connection. */
struct h1_message {
    unsigned version;
    bool keeps_alive;
    bool expects_continue;
    enum h1_body_kind body;
    uint64_t length;
};

/* Responses: what the request was. */
struct h1_expect {
    bool is_head;    /* HEAD: no body whatever the fields say */
    bool is_upgrade; /* websocket was asked for: 101 is allowed */
};

/*
 * Fill the empty |h| with all fields of the checked head, in the order they
 * came; names are turned to lower case where they stand, so the bytes that
 * |c| lies in are changed.
 */
void h1_head_split(struct head *h, const struct head_check *c);

/*
 * Take out of |h|, split from |c|, what ends here: Host, framing, Connection,
 * what it names, other hop-by-hop fields; set the members and |*m|. ERR_HEAD
 * with |*why| when the fields contradict each other.
 */
MUST_CHECK enum err h1_head_request(struct head *h, const struct head_check *c,
                                    struct h1_message *m, const char **why);
MUST_CHECK enum err h1_head_response(struct head *h, const struct head_check *c,
                                     const struct h1_expect *e,
                                     struct h1_message *m, const char **why);

#endif
