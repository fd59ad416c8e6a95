/*
 * Small files read and written whole: signals that interrupt and moves that
 * come short are gone on from. What the files hold is their owners' matter.
 */
#ifndef COMMON_WHOLE_H
#define COMMON_WHOLE_H

#include "proto/error.h"
#include "proto/span.h"

/* Read |fd| to its end into |out| of |size| bytes; how many there were, |size|
 * if there may be more. -1 with errno. */
ptrdiff_t whole_read(int fd, uint8_t *out, size_t size);

/* Write all of |bytes| to |fd|; false with errno. */
MUST_CHECK bool whole_write(int fd, struct span bytes);

#endif
