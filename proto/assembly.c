/*
 * The only place where received bytes may be copied before they are events
 * (PROTOCOL.md, "Frames": an event is made of a whole frame).
 */
#include "proto/assembly.h"

#include <stdlib.h>

/* Move bytes of |in| into the buffer till it holds |want|. */
static void assembly_fill(struct assembly *a, struct span in, size_t want,
                          size_t *used)
{
    size_t len = want - a->len;

    if (len > in.len - *used) {
        len = in.len - *used;
    }
    if (len > 0) {
        span_copy(a->bytes + a->len, span_of(in.data + *used, len));
        a->len += len;
        *used += len;
    }
}

/* |in| holds the beginning of a frame that is not whole, or its middle. */
static enum err assembly_join(struct assembly *a, struct span in,
                              bool from_relay, size_t *used,
                              struct assembly_frame *frame, const char **why)
{
    if (a->bytes == NULL) {
        a->bytes = malloc(FRAME_MAX);
        if (a->bytes == NULL) {
            *why = "no memory for a split frame";
            return ERR_NOMEM;
        }
    }
    if (a->len < FRAME_HEADER_LEN) {
        assembly_fill(a, in, FRAME_HEADER_LEN, used);
        if (a->len < FRAME_HEADER_LEN) {
            return ERR_OK;
        }
        frame_header_get(a->bytes, &frame->header);
        TRY(frame_check(&frame->header, from_relay, why));
    }
    frame_header_get(a->bytes, &frame->header);
    assembly_fill(a, in, FRAME_HEADER_LEN + frame->header.len, used);
    frame->is_whole = a->len == FRAME_HEADER_LEN + frame->header.len;
    frame->payload =
        span_of(a->bytes + FRAME_HEADER_LEN, a->len - FRAME_HEADER_LEN);
    a->is_handed = frame->is_whole;
    return ERR_OK;
}

enum err assembly_take(struct assembly *a, struct span in, bool from_relay,
                       size_t *used, struct assembly_frame *frame,
                       const char **why)
{
    *used = 0;
    *frame = (struct assembly_frame){ .is_whole = false };
    if (a->is_handed) {
        a->len = 0;
        a->is_handed = false;
    }
    if (a->len == 0 && in.len >= FRAME_HEADER_LEN) {
        frame_header_get(in.data, &frame->header);
        TRY(frame_check(&frame->header, from_relay, why));
        if (in.len >= FRAME_HEADER_LEN + (size_t)frame->header.len) {
            frame->payload =
                span_of(in.data + FRAME_HEADER_LEN, frame->header.len);
            frame->is_whole = true;
            *used = FRAME_HEADER_LEN + frame->payload.len;
            return ERR_OK;
        }
    }
    return assembly_join(a, in, from_relay, used, frame, why);
}

void assembly_deinit(struct assembly *a)
{
    free(a->bytes);
    *a = (struct assembly){ .bytes = NULL };
}
