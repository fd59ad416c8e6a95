/*
 * Any header and payload, from either side: nothing crashes, what the table
 * refuses has a reason, and what a decoder accepts is written again as it was.
 * Input: one byte (bit 0: from the relay), a frame header, a payload.
 */
#include <stdlib.h>

#include "proto/frame.h"
#include "proto/login.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Frames of streams, PING, PONG and ACK. */
static enum err again_on_stream(uint8_t type, struct span in,
                                struct wire_writer *w)
{
    struct frame_open open;
    struct span head;
    uint32_t u32;
    uint64_t u64;
    enum err code;

    if (type == FRAME_OPEN) {
        TRY(frame_get_open(in, &open, &head));
        frame_put_open(w, &open);
        wire_write_bytes(w, head);
    } else if (type == FRAME_WINDOW) {
        TRY(frame_get_u32(in, &u32));
        frame_put_u32(w, u32);
    } else if (type == FRAME_RESET) {
        TRY(frame_get_code(in, &code));
        frame_put_code(w, code);
    } else if (type == FRAME_HEAD || type == FRAME_DATA) {
        wire_write_bytes(w, in);
    } else {
        TRY(frame_get_u64(in, &u64));
        frame_put_u64(w, u64);
    }
    return ERR_OK;
}

static enum err again_tunnel(uint8_t type, struct span in,
                             struct wire_writer *w)
{
    struct frame_bind bind;
    struct frame_verdict verdict;
    struct span url;
    uint16_t tunnel;

    if (type == FRAME_BIND) {
        TRY(frame_get_bind(in, &bind));
        frame_put_bind(w, &bind);
    } else if (type == FRAME_BOUND) {
        TRY(frame_get_bound(in, &tunnel, &url));
        frame_put_bound(w, tunnel, url);
    } else if (type == FRAME_UNBIND) {
        TRY(frame_get_unbind(in, &tunnel));
        frame_put_unbind(w, tunnel);
    } else {
        TRY(frame_get_verdict(in, &verdict));
        frame_put_verdict(w, &verdict);
    }
    return ERR_OK;
}

static enum err again_login(uint8_t type, struct span in, struct wire_writer *w)
{
    struct login login;
    struct welcome welcome;
    struct denied denied;
    struct span body;

    if (type == FRAME_LOGIN) {
        TRY(login_get(in, &login, &body));
        login_put_body(w, &login);
        login_put_signatures(w, &login);
    } else if (type == FRAME_WELCOME) {
        TRY(welcome_get(in, &welcome, &body));
        welcome_put_body(w, &welcome);
        welcome_put_signature(w, &welcome);
    } else {
        TRY(denied_get(in, &denied, &body));
        denied_put_body(w, &denied);
        denied_put_signature(w, &denied);
    }
    assert(body.data == in.data && body.len < in.len);
    return ERR_OK;
}

/* Decode |in| as |type| and encode what was read into |w|. */
static enum err again(uint8_t type, struct span in, struct wire_writer *w)
{
    uint8_t key[KEY_LEN];
    uint8_t signature[SIGNATURE_LEN];
    struct span sentence;
    enum err code;

    if (type >= FRAME_LOGIN && type <= FRAME_DENIED) {
        return again_login(type, in, w);
    }
    if (type >= FRAME_BIND && type <= FRAME_UNBOUND) {
        return again_tunnel(type, in, w);
    }
    if (type == FRAME_GOAWAY) {
        TRY(frame_get_goaway(in, &code, &sentence));
        frame_put_goaway(w, code, sentence);
    } else if (type == FRAME_NEXT_KEY) {
        TRY(frame_get_next_key(in, key, signature));
        frame_put_next_key(w, key, signature);
    } else {
        return again_on_stream(type, in, w);
    }
    return ERR_OK;
}

#define NO_CODE SIZE_MAX

/* Where |type| has its code: an unknown one is written as PROTOCOL. */
static size_t code_at(uint8_t type)
{
    if (type == FRAME_RESET || type == FRAME_GOAWAY || type == FRAME_DENIED) {
        return 0;
    }
    return type == FRAME_REFUSED || type == FRAME_UNBOUND ? 2 : NO_CODE;
}

/* Whether |out| is |in|, but for two bytes of a code. */
static bool is_same(uint8_t type, struct span in, struct span out)
{
    size_t at = code_at(type);

    if (at == NO_CODE || in.len != out.len) {
        return span_equal(in, out);
    }
    return span_equal(span_of(in.data, at), span_of(out.data, at)) &&
           span_equal(span_after(in, at + 2), span_after(out, at + 2));
}

static void check_payload(uint8_t type, struct span in)
{
    static uint8_t once[FRAME_PAYLOAD_MAX];
    static uint8_t twice[FRAME_PAYLOAD_MAX];
    struct wire_writer w;
    struct wire_writer v;

    wire_writer_init(&w, once, sizeof(once));
    wire_writer_init(&v, twice, sizeof(twice));
    if (again(type, in, &w) != ERR_OK) {
        return;
    }
    assert(wire_writer_done(&w));
    assert(is_same(type, in, wire_written(&w)));
    if (again(type, wire_written(&w), &v) != ERR_OK) {
        abort();
    }
    assert(span_equal(wire_written(&w), wire_written(&v)));
}

static void check_header(const uint8_t *bytes, struct frame_header *h,
                         bool from_relay)
{
    uint8_t back[FRAME_HEADER_LEN];
    const char *why = NULL;
    const char *why_login = NULL;
    enum err e;

    frame_header_get(bytes, h);
    frame_header_put(back, h);
    assert(memcmp(back, bytes, sizeof(back)) == 0);

    e = frame_check(h, from_relay, &why);
    assert((e == ERR_OK) == (why == NULL));
    assert(e != ERR_OK || h->len <= FRAME_PAYLOAD_MAX);
    assert(e != ERR_OK || frame_is_known(h->type) ||
           h->type >= FRAME_OPTIONAL_FIRST);
    assert(e == ERR_OK || e == ERR_PROTOCOL);

    /* No frame is good both as a link's first and after it. */
    if (frame_check_login(h, from_relay, &why_login) == ERR_OK) {
        assert(e != ERR_OK && why_login == NULL && h->stream == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct frame_header h;
    struct span payload;

    if (len < 1 + FRAME_HEADER_LEN) {
        return 0;
    }
    check_header(bytes + 1, &h, (bytes[0] & 1) != 0);
    payload = span_after(span_of(bytes, len), 1 + FRAME_HEADER_LEN);
    if (payload.len <= FRAME_PAYLOAD_MAX && frame_is_known(h.type)) {
        check_payload(h.type, payload);
    }
    return 0;
}
