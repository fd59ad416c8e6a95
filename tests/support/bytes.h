/* Frames built by hand, good and bad ones. */
#ifndef TESTS_SUPPORT_BYTES_H
#define TESTS_SUPPORT_BYTES_H

#include "proto/session.h"

/*
 * A frame with |payload|, whatever it is; good till the next call. Its header
 * says what it is told to say.
 */
struct span bytes_frame(uint32_t stream, uint8_t type, uint8_t flags,
                        struct span payload);

/* The same with a big-endian number of |len| bytes as payload. */
struct span bytes_number(uint32_t stream, uint8_t type, uint64_t value,
                         size_t len);

/* OPEN for |tunnel| with |window| and |head|. */
struct span bytes_open(uint32_t stream, uint8_t flags, uint16_t tunnel,
                       uint32_t window, struct span head);

/* Feed |bytes| to |s| in pieces of |piece|; the last event that came. */
MUST_CHECK enum err bytes_feed(struct session *s, struct span bytes,
                               size_t piece, struct session_event *event);

#endif
