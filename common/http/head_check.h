/*
 * Our strict rules for the bytes of a received head, before any parser sees
 * them (libraries.md: llhttp alone is too lax), and what they found: the start
 * line's parts and the framing. Pure; borrows from the head it is given.
 */
#ifndef COMMON_HTTP_HEAD_CHECK_H
#define COMMON_HTTP_HEAD_CHECK_H

#include "proto/head.h"

enum head_check_kind { HEAD_CHECK_REQUEST, HEAD_CHECK_RESPONSE };

struct head_check {
    const char *why; /* constant sentence when refused */
    unsigned status; /* refused: 400 414 431 501 505; 502 for responses */

    /* When accepted; the spans lie in the head. */
    unsigned version; /* 10 or 11 */
    unsigned answer;  /* responses: the status code */
    struct span method;
    struct span target; /* as received */
    struct span origin; /* the target without scheme and authority; may be
                           empty, or begin with '?' */
    struct span host;   /* empty: none (HTTP/1.0) */
    struct span fields; /* the field lines, from which head_check_field() */
    size_t count;       /* of fields */
    bool is_chunked;
    bool has_length;
    uint64_t length;
};

/*
 * Where the head that begins |in| ends: the length up to and with its CRLF
 * CRLF, 0 when that has not come yet. |from| bytes were searched before. Only
 * the first HEAD_MAX bytes are looked at.
 */
size_t head_check_end(struct span in, size_t from);

/*
 * Whether more bytes can still make a head of the incomplete |part|, of which
 * |from| bytes were looked at before. ERR_HEAD at bytes that no head may have,
 * at a response that does not begin as one, and when HEAD_MAX is reached: the
 * same sentence that head_check() has for the whole.
 */
MUST_CHECK enum err head_check_part(struct span part, size_t from,
                                    enum head_check_kind kind,
                                    struct head_check *result);

/* Check the whole |head| (with its CRLF CRLF). ERR_HEAD when refused. */
MUST_CHECK enum err head_check(struct span head, enum head_check_kind kind,
                               struct head_check *result);

/* Check a trailer section (field lines and the empty line), which no framing
 * or routing rule applies to: ERR_HEAD when refused. */
MUST_CHECK enum err head_check_trailers(struct span section,
                                        struct head_check *result);

/*
 * Take the next field off |*lines|, which head_check() or
 * head_check_trailers() accepted: name as received, value without the blanks
 * around it. False at the end.
 */
bool head_check_field(struct span *lines, struct head_field *field);

#endif
