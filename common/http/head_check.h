/*
 * Our strict rules for the bytes of a received head, before any parser sees
 * them (libraries.md: llhttp alone is too lax). Pure.
 */
#ifndef COMMON_HTTP_HEAD_CHECK_H
#define COMMON_HTTP_HEAD_CHECK_H

#include "proto/error.h"
#include "proto/span.h"

enum head_check_kind { HEAD_CHECK_REQUEST, HEAD_CHECK_RESPONSE };

struct head_check {
    const char *why; /* constant sentence when refused */
    unsigned status; /* requests: what to answer: 400 414 431 501 505 */
};

/*
 * Where the head that begins |in| ends: the length up to and with its CRLF
 * CRLF, 0 when that has not come yet. |from| bytes were searched before.
 */
size_t head_check_end(struct span in, size_t from);

/* Check the whole |head| (with its CRLF CRLF). ERR_HEAD when refused. */
MUST_CHECK enum err head_check(struct span head, enum head_check_kind kind,
                               struct head_check *result);

#endif
