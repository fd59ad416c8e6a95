/* Frames built by hand. */
#include "tests/support/bytes.h"

#include "tests/support/pair.h"

static uint8_t frame[FRAME_HEADER_LEN + UINT16_MAX];

struct span bytes_frame(uint32_t stream, uint8_t type, uint8_t flags,
                        struct span payload)
{
    struct frame_header header = { .stream = stream,
                                   .len = (uint16_t)payload.len,
                                   .type = type,
                                   .flags = flags };

    assert(payload.len <= UINT16_MAX);
    frame_header_put(frame, &header);
    if (payload.len > 0) {
        memmove(frame + FRAME_HEADER_LEN, payload.data, payload.len);
    }
    return span_of(frame, FRAME_HEADER_LEN + payload.len);
}

struct span bytes_number(uint32_t stream, uint8_t type, uint64_t value,
                         size_t len)
{
    uint8_t payload[8];

    for (size_t i = len; i > 0; i--) {
        payload[i - 1] = (uint8_t)value;
        value >>= 8;
    }
    return bytes_frame(stream, type, 0, span_of(payload, len));
}

struct span bytes_open(uint32_t stream, uint8_t flags, uint16_t tunnel,
                       uint32_t window, struct span head)
{
    uint8_t payload[FRAME_PAYLOAD_MAX];
    struct frame_open open = pair_open(tunnel);
    struct wire_writer w;

    open.window = window;
    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_open(&w, &open);
    wire_write_bytes(&w, head);
    assert(wire_writer_done(&w));
    return bytes_frame(stream, FRAME_OPEN, flags, wire_written(&w));
}

enum err bytes_feed(struct session *s, struct span bytes, size_t piece,
                    struct session_event *event)
{
    *event = (struct session_event){ .kind = EVENT_NONE };
    while (bytes.len > 0) {
        struct span in =
            span_of(bytes.data, bytes.len < piece ? bytes.len : piece);

        while (in.len > 0) {
            struct session_event one;
            size_t used;

            TRY(session_step(s, 0, 2000, in, &used, &one));
            in = span_after(in, used);
            bytes = span_after(bytes, used);
            if (one.kind != EVENT_NONE) {
                *event = one;
            }
        }
    }
    return ERR_OK;
}
