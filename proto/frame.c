/*
 * The frames: one table of what is allowed, one encoder and one decoder for
 * each payload. What a frame means for a stream or a session is not known
 * here; PROTOCOL.md "Frames" prints the same table.
 */
#include "proto/frame.h"

#include "proto/login.h"

enum frame_sender { BY_CLIENT = 1, BY_RELAY = 2, BY_BOTH = 3 };

/* Where a frame stands: alone, on stream 0, or on a stream. */
enum frame_place { ON_LOGIN = 1, ON_SESSION, ON_STREAM };

struct frame_rule {
    uint16_t shortest; /* payload */
    uint16_t longest;
    uint8_t flags;
    uint8_t senders; /* enum frame_sender; 0: no such frame */
    uint8_t place;   /* enum frame_place */
    bool is_sequenced;
};

#define OPEN_SHORTEST 19u
#define KIND_BITS (3u << FRAME_HEAD_KIND_SHIFT)
#define HEAD_FLAGS (FRAME_FIN | FRAME_END_HEAD | KIND_BITS)
#define VERDICT_LONGEST (5u + SENTENCE_MAX_LEN)

/* clang-format off */
static const struct frame_rule frame_rules[UINT8_MAX + 1] = {
    /*                 shortest longest flags senders place sequenced */
    [FRAME_LOGIN]    = { LOGIN_SHORTEST, LOGIN_LONGEST,
                         0, BY_CLIENT, ON_LOGIN, false },
    [FRAME_WELCOME]  = { WELCOME_SHORTEST, WELCOME_LONGEST,
                         0, BY_RELAY, ON_LOGIN, false },
    [FRAME_DENIED]   = { DENIED_SHORTEST, DENIED_LONGEST,
                         0, BY_RELAY, ON_LOGIN, false },
    [FRAME_PING]     = { 8, 8, 0, BY_BOTH, ON_SESSION, false },
    [FRAME_PONG]     = { 8, 8, 0, BY_BOTH, ON_SESSION, false },
    [FRAME_ACK]      = { 8, 8, 0, BY_BOTH, ON_SESSION, false },
    [FRAME_OPEN]     = { OPEN_SHORTEST, FRAME_PAYLOAD_MAX,
                         FRAME_FIN | FRAME_END_HEAD,
                         BY_RELAY, ON_STREAM, true },
    [FRAME_HEAD]     = { 1, FRAME_PAYLOAD_MAX, HEAD_FLAGS,
                         BY_BOTH, ON_STREAM, true },
    [FRAME_DATA]     = { 0, FRAME_PAYLOAD_MAX, FRAME_FIN | FRAME_BLOCKED,
                         BY_BOTH, ON_STREAM, true },
    [FRAME_WINDOW]   = { 4, 4, 0, BY_BOTH, ON_STREAM, true },
    [FRAME_RESET]    = { 2, 2, 0, BY_BOTH, ON_STREAM, true },
    [FRAME_STOP]     = { 0, 0, 0, BY_CLIENT, ON_STREAM, true },
    [FRAME_BIND]     = { 3 + TARGET_TAG_LEN, 3 + TARGET_TAG_LEN + NAME_MAX_LEN,
                         0, BY_CLIENT, ON_SESSION, true },
    [FRAME_BOUND]    = { 5, 4 + URL_MAX_LEN, 0, BY_RELAY, ON_SESSION, true },
    [FRAME_REFUSED]  = { 5, VERDICT_LONGEST, 0, BY_RELAY, ON_SESSION, true },
    [FRAME_UNBIND]   = { 2, 2, 0, BY_CLIENT, ON_SESSION, true },
    [FRAME_UNBOUND]  = { 5, VERDICT_LONGEST, 0, BY_RELAY, ON_SESSION, true },
    [FRAME_GOAWAY]   = { 3, 3 + SENTENCE_MAX_LEN,
                         0, BY_BOTH, ON_SESSION, true },
    [FRAME_NEXT_KEY] = { KEY_LEN + SIGNATURE_LEN, KEY_LEN + SIGNATURE_LEN,
                         0, BY_RELAY, ON_SESSION, true },
};
/* clang-format on */

void frame_header_put(uint8_t *out, const struct frame_header *h)
{
    struct wire_writer w;

    wire_writer_init(&w, out, FRAME_HEADER_LEN);
    wire_write_u32(&w, h->stream);
    wire_write_u16(&w, h->len);
    wire_write_u8(&w, h->type);
    wire_write_u8(&w, h->flags);
    assert(wire_writer_done(&w) && w.len == FRAME_HEADER_LEN);
}

void frame_header_get(const uint8_t *in, struct frame_header *h)
{
    struct wire_reader r;

    wire_reader_init(&r, span_of(in, FRAME_HEADER_LEN));
    h->stream = wire_read_u32(&r);
    h->len = wire_read_u16(&r);
    h->type = wire_read_u8(&r);
    h->flags = wire_read_u8(&r);
    assert(wire_reader_done(&r));
}

bool frame_is_known(uint8_t type)
{
    return frame_rules[type].senders != 0;
}

bool frame_is_sequenced(uint8_t type)
{
    /* An unknown optional frame counts, or positions would drift apart. */
    return frame_is_known(type) ? frame_rules[type].is_sequenced
                                : type >= FRAME_OPTIONAL_FIRST;
}

/* What the table says of |h|; NULL or the sentence for its breach. */
static const char *frame_table_fault(const struct frame_header *h,
                                     enum frame_sender sender)
{
    const struct frame_rule *rule = &frame_rules[h->type];

    if ((rule->senders & sender) == 0) {
        return "a frame that only the other side may send";
    }
    if (h->len < rule->shortest || h->len > rule->longest) {
        return "a frame of a length its type cannot have";
    }
    if ((h->flags & ~rule->flags) != 0) {
        return "a flag that its frame cannot carry";
    }
    if (rule->place != ON_STREAM) {
        return h->stream == 0 ? NULL : "a session's frame on a stream";
    }
    if (h->stream == 0) {
        return "a stream's frame on stream 0";
    }
    return h->stream % 2 == 0 ? NULL : "an odd stream id";
}

/* The rules of HEAD's kind and FIN, which stand in no column. */
static const char *frame_head_fault(const struct frame_header *h,
                                    enum frame_sender sender)
{
    enum head_kind kind =
        (enum head_kind)((h->flags & KIND_BITS) >> FRAME_HEAD_KIND_SHIFT);
    bool has_fin = (h->flags & FRAME_FIN) != 0;

    if (has_fin && (h->flags & FRAME_END_HEAD) == 0) {
        return "FIN inside a head";
    }
    switch (kind) {
    case HEAD_REQUEST:
        return sender == BY_RELAY ? NULL : "a request's head from the client";
    case HEAD_INFORMATIONAL:
        if (has_fin) {
            return "FIN on an informational head";
        }
        return sender == BY_CLIENT ? NULL : "a response's head from the relay";
    case HEAD_FINAL:
        return sender == BY_CLIENT ? NULL : "a response's head from the relay";
    case HEAD_TRAILERS:
        break;
    }
    return NULL;
}

/* All rules for a frame of known type; NULL or the sentence for its breach. */
static const char *frame_fault(const struct frame_header *h,
                               enum frame_sender sender)
{
    const char *fault = frame_table_fault(h, sender);

    if (fault != NULL) {
        return fault;
    }
    if (h->type == FRAME_HEAD || h->type == FRAME_OPEN) {
        return frame_head_fault(h, sender);
    }
    if (h->type == FRAME_DATA && h->len == 0 && (h->flags & FRAME_FIN) == 0) {
        return "empty DATA without FIN";
    }
    return NULL;
}

enum err frame_check(const struct frame_header *h, bool from_relay,
                     const char **why)
{
    const char *fault = NULL;

    if (h->len > FRAME_PAYLOAD_MAX) {
        fault = "a frame longer than any may be";
    } else if (!frame_is_known(h->type)) {
        fault = h->type < FRAME_OPTIONAL_FIRST ? "an unknown frame" : NULL;
    } else if (frame_rules[h->type].place == ON_LOGIN) {
        fault = "a login frame after the login";
    } else {
        fault = frame_fault(h, from_relay ? BY_RELAY : BY_CLIENT);
    }
    if (fault != NULL) {
        *why = fault;
        return ERR_PROTOCOL;
    }
    return ERR_OK;
}

enum err frame_check_login(const struct frame_header *h, bool from_relay,
                           const char **why)
{
    const char *fault;

    if (frame_rules[h->type].place != ON_LOGIN) {
        fault = "another frame before the login";
    } else {
        fault = frame_fault(h, from_relay ? BY_RELAY : BY_CLIENT);
    }
    if (fault != NULL) {
        *why = fault;
        return ERR_PROTOCOL;
    }
    return ERR_OK;
}

/* ERR_OK when |r| took exactly the payload and |is_good| of its values. */
static enum err frame_end(const struct wire_reader *r, bool is_good)
{
    return wire_reader_done(r) && is_good ? ERR_OK : ERR_PROTOCOL;
}

static void frame_put_err(struct wire_writer *w, enum err code)
{
    assert(error_is_wire(code));
    wire_write_u16(w, (uint16_t)code);
}

/* A sentence is for people: cut when too long, '?' for what is not ASCII. */
void frame_put_sentence(struct wire_writer *w, struct span sentence)
{
    size_t len =
        sentence.len < SENTENCE_MAX_LEN ? sentence.len : SENTENCE_MAX_LEN;

    wire_write_u8(w, (uint8_t)len);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = sentence.data[i];

        wire_write_u8(w, c < ' ' || c > '~' ? '?' : c);
    }
}

bool frame_is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static void frame_put_address(struct wire_writer *w,
                              const struct visitor_address *a)
{
    assert(a->family == 4 || a->family == 6);
    wire_write_u8(w, a->family);
    wire_write_bytes(w, span_of(a->bytes, a->family == 4 ? 4 : 16));
    wire_write_u16(w, a->port);
}

static bool frame_get_address(struct wire_reader *r, struct visitor_address *a)
{
    *a = (struct visitor_address){ .family = wire_read_u8(r) };
    if (a->family != 4 && a->family != 6) {
        return false;
    }
    wire_read_copy(r, a->bytes, a->family == 4 ? 4 : 16);
    a->port = wire_read_u16(r);
    return true;
}

static bool frame_is_http_version(uint8_t version)
{
    return version == 10 || version == 11 || version == 20;
}

void frame_put_open(struct wire_writer *w, const struct frame_open *f)
{
    assert(f->tunnel != 0 && f->window <= WINDOW_MAX);
    assert(frame_is_http_version(f->http_version));
    wire_write_u16(w, f->tunnel);
    wire_write_u32(w, f->window);
    wire_write_u8(w, (uint8_t)f->kind);
    wire_write_u32(w, f->visitor_conn);
    frame_put_address(w, &f->address);
    wire_write_u8(w, f->http_version);
}

enum err frame_get_open(struct span in, struct frame_open *f, struct span *head)
{
    struct wire_reader r;
    uint8_t kind;
    bool is_good;

    wire_reader_init(&r, in);
    f->tunnel = wire_read_u16(&r);
    f->window = wire_read_u32(&r);
    kind = wire_read_u8(&r);
    f->visitor_conn = wire_read_u32(&r);
    is_good = frame_get_address(&r, &f->address);
    f->http_version = wire_read_u8(&r);
    *head = wire_read_bytes(&r, r.rest.len);

    is_good = is_good && f->tunnel != 0 && f->window <= WINDOW_MAX &&
              (kind == STREAM_HTTP || kind == STREAM_RAW) &&
              frame_is_http_version(f->http_version);
    f->kind = is_good ? (enum stream_kind)kind : STREAM_HTTP;
    return frame_end(&r, is_good);
}

void frame_put_u32(struct wire_writer *w, uint32_t v)
{
    assert(v != 0);
    wire_write_u32(w, v);
}

enum err frame_get_u32(struct span in, uint32_t *v)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    *v = wire_read_u32(&r);
    return frame_end(&r, *v != 0);
}

void frame_put_u64(struct wire_writer *w, uint64_t v)
{
    wire_write_u64(w, v);
}

enum err frame_get_u64(struct span in, uint64_t *v)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    *v = wire_read_u64(&r);
    return frame_end(&r, true);
}

void frame_put_code(struct wire_writer *w, enum err code)
{
    frame_put_err(w, code);
}

enum err frame_get_code(struct span in, enum err *code)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    *code = error_from_wire(wire_read_u16(&r));
    return frame_end(&r, true);
}

void frame_put_bind(struct wire_writer *w, const struct frame_bind *f)
{
    assert(f->tunnel != 0 && f->name.len <= NAME_MAX_LEN);
    wire_write_u16(w, f->tunnel);
    wire_write_string8(w, f->name);
    wire_write_bytes(w, span_of(f->tag, TARGET_TAG_LEN));
}

enum err frame_get_bind(struct span in, struct frame_bind *f)
{
    struct wire_reader r;

    /* Whether the name is a good one is asked by who answers: REFUSED. */
    wire_reader_init(&r, in);
    f->tunnel = wire_read_u16(&r);
    f->name = wire_read_string8(&r);
    wire_read_copy(&r, f->tag, TARGET_TAG_LEN);
    return frame_end(&r, f->tunnel != 0 && f->name.len <= NAME_MAX_LEN &&
                             frame_is_printable(f->name));
}

/* A URL is printed as it is: printable ASCII without blanks. */
static bool frame_is_url(struct span url)
{
    return url.len > 0 && url.len <= URL_MAX_LEN && frame_is_printable(url) &&
           memchr(url.data, ' ', url.len) == NULL;
}

void frame_put_bound(struct wire_writer *w, uint16_t tunnel, struct span url)
{
    assert(tunnel != 0 && frame_is_url(url));
    wire_write_u16(w, tunnel);
    wire_write_string16(w, url);
}

enum err frame_get_bound(struct span in, uint16_t *tunnel, struct span *url)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    *tunnel = wire_read_u16(&r);
    *url = wire_read_string16(&r);
    return frame_end(&r, *tunnel != 0 && frame_is_url(*url));
}

void frame_put_verdict(struct wire_writer *w, const struct frame_verdict *f)
{
    assert(f->tunnel != 0);
    wire_write_u16(w, f->tunnel);
    frame_put_err(w, f->code);
    frame_put_sentence(w, f->sentence);
}

enum err frame_get_verdict(struct span in, struct frame_verdict *f)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    f->tunnel = wire_read_u16(&r);
    f->code = error_from_wire(wire_read_u16(&r));
    f->sentence = wire_read_string8(&r);
    return frame_end(&r, f->tunnel != 0 && frame_is_printable(f->sentence));
}

void frame_put_unbind(struct wire_writer *w, uint16_t tunnel)
{
    assert(tunnel != 0);
    wire_write_u16(w, tunnel);
}

enum err frame_get_unbind(struct span in, uint16_t *tunnel)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    *tunnel = wire_read_u16(&r);
    return frame_end(&r, *tunnel != 0);
}

void frame_put_goaway(struct wire_writer *w, enum err code,
                      struct span sentence)
{
    frame_put_err(w, code);
    frame_put_sentence(w, sentence);
}

enum err frame_get_goaway(struct span in, enum err *code, struct span *sentence)
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    *code = error_from_wire(wire_read_u16(&r));
    *sentence = wire_read_string8(&r);
    return frame_end(&r, frame_is_printable(*sentence));
}

void frame_put_next_key(struct wire_writer *w, const uint8_t key[KEY_LEN],
                        const uint8_t signature[SIGNATURE_LEN])
{
    wire_write_bytes(w, span_of(key, KEY_LEN));
    wire_write_bytes(w, span_of(signature, SIGNATURE_LEN));
}

enum err frame_get_next_key(struct span in, uint8_t key[KEY_LEN],
                            uint8_t signature[SIGNATURE_LEN])
{
    struct wire_reader r;

    wire_reader_init(&r, in);
    wire_read_copy(&r, key, KEY_LEN);
    wire_read_copy(&r, signature, SIGNATURE_LEN);
    return frame_end(&r, true);
}
