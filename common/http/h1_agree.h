/*
 * The second opinion: llhttp reads the bytes of a head that our check has
 * accepted, and must see the same head. Where two parsers differ there is an
 * attack or a bug, and the head is refused.
 */
#ifndef COMMON_HTTP_H1_AGREE_H
#define COMMON_HTTP_H1_AGREE_H

#include "common/http/head_check.h"

enum h1_verdict {
    H1_AGREES,
    H1_NO_METHOD, /* a method that llhttp does not know */
    H1_DIFFERS
};

/*
 * Let llhttp read |head|, which |c| was found in and |h| was split from: same
 * length, start line, version, every field's name and value, framing.
 */
enum h1_verdict h1_agree(struct span head, enum head_check_kind kind,
                         const struct head_check *c, const struct head *h);

#endif
