/*
 * Any payload as LOGIN, WELCOME or DENIED: what is accepted is written again
 * as it was, fits its bounds, is refused when a byte is missing or too many,
 * and only its body goes into the hash. Input: one byte (which), a payload.
 */
#include <stdlib.h>

#include "proto/frame.h"
#include "proto/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_printable(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        assert(s.data[i] >= 0x20 && s.data[i] < 0x7f);
    }
}

static enum err again_login(struct span in, struct wire_writer *w,
                            struct span *body)
{
    struct login l;

    TRY(login_get(in, &l, body));
    assert(in.len >= LOGIN_SHORTEST && in.len <= LOGIN_LONGEST);
    assert(l.slot < SLOTS_MAX && l.minor_min <= l.minor_max);
    assert(l.is_resuming || l.received == 0);
    check_printable(l.software);
    login_put_body(w, &l);
    assert(w->len == body->len && body->len <= LOGIN_BODY_MAX);
    login_put_signatures(w, &l);
    return ERR_OK;
}

static enum err again_welcome(struct span in, struct wire_writer *w,
                              struct span *body)
{
    struct welcome m;

    TRY(welcome_get(in, &m, body));
    assert(in.len >= WELCOME_SHORTEST && in.len <= WELCOME_LONGEST);
    assert(m.slot < SLOTS_MAX && (m.is_resumed || m.received == 0));
    check_printable(m.software);
    welcome_put_body(w, &m);
    assert(w->len == body->len && body->len <= LOGIN_BODY_MAX);
    welcome_put_signature(w, &m);
    return ERR_OK;
}

/* A code that we do not know is written as PROTOCOL, so it is put back. */
static enum err again_denied(struct span in, struct wire_writer *w,
                             struct span *body)
{
    struct denied d;

    TRY(denied_get(in, &d, body));
    assert(in.len >= DENIED_SHORTEST && in.len <= DENIED_LONGEST);
    assert(d.code != ERR_OK);
    check_printable(d.sentence);
    denied_put_body(w, &d);
    assert(w->len == body->len && body->len <= LOGIN_BODY_MAX);
    memcpy(w->data, in.data, 2);
    denied_put_signature(w, &d);
    return ERR_OK;
}

static enum err again(uint8_t type, struct span in, struct wire_writer *w,
                      struct span *body)
{
    if (type == FRAME_LOGIN) {
        return again_login(in, w, body);
    }
    return type == FRAME_WELCOME ? again_welcome(in, w, body)
                                 : again_denied(in, w, body);
}

/* |in| as it comes byte by byte: nothing short of the whole is accepted. */
static void check_parts(uint8_t type, struct span in)
{
    static uint8_t out[FRAME_PAYLOAD_MAX];
    struct wire_writer w;
    struct span body;

    for (size_t len = 0; len < in.len; len++) {
        wire_writer_init(&w, out, sizeof(out));
        if (again(type, span_of(in.data, len), &w, &body) == ERR_OK) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint8_t out[FRAME_PAYLOAD_MAX];
    uint8_t type = (uint8_t)(FRAME_LOGIN + (len > 0 ? bytes[0] % 3 : 0));
    struct span in = span_of(bytes + 1, len > 0 ? len - 1 : 0);
    struct frame_header h = { .type = type, .len = (uint16_t)in.len };
    struct wire_writer w;
    struct span body = { 0 };
    const char *why = NULL;

    if (len == 0 || in.len > FRAME_PAYLOAD_MAX) {
        return 0;
    }
    wire_writer_init(&w, out, sizeof(out));
    if (again(type, in, &w, &body) != ERR_OK) {
        return 0;
    }
    assert(wire_writer_done(&w) && span_equal(wire_written(&w), in));
    assert(body.data == in.data && body.len + SIGNATURE_LEN <= in.len);
    /* What the decoder takes must have passed the frame's own check. */
    if (frame_check_login(&h, type != FRAME_LOGIN, &why) != ERR_OK) {
        abort();
    }
    check_parts(type, in);
    return 0;
}
