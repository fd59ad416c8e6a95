/*
 * The control queue of a slot: whole frames, each in a chunk of its own that
 * moves into the sent log as it is.
 */
#include "proto/control.h"

#include "proto/unsent.h"

enum err control_put(struct session *s, struct slot *slot, uint32_t stream,
                     enum frame_type type, struct span payload)
{
    struct frame_header header = { .stream = stream,
                                   .len = (uint16_t)payload.len,
                                   .type = (uint8_t)type };
    struct chunk *c;

    assert(payload.len <= FRAME_PAYLOAD_MAX);
    if (slot->control.count >= CONTROL_QUEUED_MAX(s->own.streams_max)) {
        s->why = "too many control frames wait for the peer to read";
        return ERR_LIMIT;
    }
    c = chunk_copy(payload);
    if (c == NULL) {
        s->why = "no memory for a control frame";
        return ERR_NOMEM;
    }
    c->stream = stream;
    frame_header_put(chunk_prepend(c, FRAME_HEADER_LEN), &header);
    unsent_adopt(s, c);
    chunk_queue_put(&slot->control, c);
    return ERR_OK;
}

void control_reset(struct session *s, struct slot *slot, uint32_t stream,
                   enum err code)
{
    uint8_t payload[2];
    struct wire_writer w;
    enum err error;

    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_code(&w, error_is_wire(code) ? code : ERR_CANCEL);
    error = control_put(s, slot, stream, FRAME_RESET, wire_written(&w));
    if (error != ERR_OK) {
        /* A stream that cannot be ended would live on at the peer. */
        (void)session_fail(s, error, s->why);
    }
}

enum err control_goaway(struct session *s, enum err code, struct span sentence)
{
    uint8_t payload[3 + SENTENCE_MAX_LEN];
    struct wire_writer w;

    wire_writer_init(&w, payload, sizeof(payload));
    frame_put_goaway(&w, code, sentence);
    assert(wire_writer_done(&w));
    return control_put(s, &s->slots[0], 0, FRAME_GOAWAY, wire_written(&w));
}
