/*
 * Whole frames out of the pieces a link delivers. A frame that came whole is
 * handed out where it lies; only one that is split over reads is put together
 * in the one buffer of its slot, which is allocated at the first split.
 */
#ifndef PROTO_ASSEMBLY_H
#define PROTO_ASSEMBLY_H

#include "proto/frame.h"

struct assembly {
    uint8_t *bytes; /* FRAME_MAX, or NULL */
    size_t len;
    bool is_handed; /* what |bytes| holds was handed out */
};

struct assembly_frame {
    struct frame_header header;
    struct span payload;
    bool is_whole; /* false: more bytes are needed */
};

/*
 * Read from |in| what belongs to one frame, |*used| bytes, and say in |frame|
 * whether it is whole now; its payload is good till the next call. A header
 * that frame_check() refuses is refused as soon as it is there, with its |why|.
 */
MUST_CHECK enum err assembly_take(struct assembly *a, struct span in,
                                  bool from_relay, size_t *used,
                                  struct assembly_frame *frame,
                                  const char **why);

/* Drop what is there and the buffer. */
void assembly_deinit(struct assembly *a);

#endif
