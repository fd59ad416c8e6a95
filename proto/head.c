/*
 * Heads as blocks of bytes and back. Decoding is as strict as if the peer were
 * a stranger: what it lets through can be written as an HTTP/1.1 head without
 * another look. It knows nothing of what fields mean: common/http does.
 */
#include "proto/head.h"

/* A block begins with what it is; PROTOCOL.md "Heads" draws the three. */
enum head_block { BLOCK_REQUEST = 1, BLOCK_RESPONSE = 2, BLOCK_TRAILERS = 3 };

enum head_block_flag { HEAD_UPGRADE = 0x01 };

#define STATUS_FIRST 100u
#define STATUS_LAST 599u
#define STATUS_UPGRADED 101u

/* What authority, framing and is_upgrade say, or what ends at each hop. */
static const char *const head_refused_names[] = {
    "host",    "content-length", "transfer-encoding", "connection",
    "upgrade", "keep-alive",     "proxy-connection",  "te",
};

#define HEAD_REFUSED_NAMES                                                     \
    (sizeof(head_refused_names) / sizeof(head_refused_names[0]))

static bool head_is_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool head_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static uint8_t head_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

bool head_is_token(struct span s)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];

        if (!head_is_alpha(c) && !head_is_digit(c) &&
            memchr(marks, c, sizeof(marks) - 1) == NULL) {
            return false;
        }
    }
    return s.len > 0;
}

bool head_is_value(struct span s)
{
    if (s.len == 0) {
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];

        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return s.data[0] != ' ' && s.data[0] != '\t' && s.data[s.len - 1] != ' ' &&
           s.data[s.len - 1] != '\t';
}

bool head_same(struct span a, const char *lower)
{
    size_t len = strlen(lower);

    if (a.len != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (head_lower(a.data[i]) != (uint8_t)lower[i]) {
            return false;
        }
    }
    return true;
}

struct span head_find(const struct head *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (head_same(h->fields[i].name, name)) {
            return h->fields[i].value;
        }
    }
    return span_of(NULL, 0);
}

enum err head_add(struct head *h, struct span name, struct span value)
{
    if (h->count >= HEAD_FIELDS_MAX) {
        return ERR_LIMIT;
    }
    h->fields[h->count++] = (struct head_field){ name, value };
    return ERR_OK;
}

size_t head_remove(struct head *h, const char *name)
{
    size_t kept = 0;
    size_t removed;

    for (size_t i = 0; i < h->count; i++) {
        if (!head_same(h->fields[i].name, name)) {
            h->fields[kept++] = h->fields[i];
        }
    }
    removed = h->count - kept;
    h->count = kept;
    return removed;
}

/* What the block of |h| begins with. */
static enum head_block head_block_of(const struct head *h)
{
    if (h->method.len > 0) {
        return BLOCK_REQUEST;
    }
    return h->status != 0 ? BLOCK_RESPONSE : BLOCK_TRAILERS;
}

/* The field's name is written in lower case, however it was received. */
static void head_encode_field(struct wire_writer *w, const struct head_field *f)
{
    size_t at = w->len + 1;

    wire_write_string8(w, f->name);
    if (wire_writer_done(w)) {
        for (size_t i = 0; i < f->name.len; i++) {
            w->data[at + i] = head_lower(w->data[at + i]);
        }
    }
    wire_write_string16(w, f->value);
}

void head_encode(struct wire_writer *w, const struct head *h)
{
    enum head_block block = head_block_of(h);

    assert(h->count <= HEAD_FIELDS_MAX);
    wire_write_u8(w, (uint8_t)block);
    if (block != BLOCK_TRAILERS) {
        wire_write_u8(w, h->is_upgrade ? HEAD_UPGRADE : 0);
        wire_write_u8(w, (uint8_t)h->framing);
        wire_write_u64(w, h->framing == BODY_LENGTH ? h->body_len : 0);
    }
    if (block == BLOCK_REQUEST) {
        wire_write_string8(w, h->method);
        wire_write_string16(w, h->target);
        wire_write_string8(w, h->authority);
    } else if (block == BLOCK_RESPONSE) {
        wire_write_u16(w, h->status);
    }

    wire_write_u16(w, (uint16_t)h->count);
    for (size_t i = 0; i < h->count; i++) {
        head_encode_field(w, &h->fields[i]);
    }
}

/* Origin form, or "*" with OPTIONS; no fragment, no blanks, only ASCII. */
static bool head_is_target(struct span s, struct span method)
{
    if (s.len == 1 && s.data[0] == '*') {
        return span_equal(method, span_text("OPTIONS"));
    }
    if (s.len == 0 || s.len > HEAD_TARGET_MAX || s.data[0] != '/') {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f || s.data[i] == '#') {
            return false;
        }
    }
    return true;
}

/* How many bytes at the begin of |s| are a host: a name or "[address]". */
static size_t head_host_len(struct span s)
{
    size_t i = 0;

    if (s.len > 0 && s.data[0] == '[') {
        for (i = 1; i < s.len && s.data[i] != ']'; i++) {
            uint8_t c = head_lower(s.data[i]);

            if (!head_is_digit(c) && !(c >= 'a' && c <= 'f') && c != ':' &&
                c != '.') {
                return 0;
            }
        }
        return i > 1 && i < s.len ? i + 1 : 0;
    }
    while (i < s.len && (head_is_alpha(s.data[i]) || head_is_digit(s.data[i]) ||
                         s.data[i] == '-' || s.data[i] == '.')) {
        i++;
    }
    return i;
}

/* host or host:port; never user info. */
static bool head_is_authority(struct span s)
{
    size_t len = head_host_len(s);

    if (len == 0) {
        return false;
    }
    s = span_after(s, len);
    if (s.len == 0) {
        return true;
    }
    if (s.data[0] != ':' || s.len < 2 || s.len > 6) {
        return false;
    }
    for (size_t i = 1; i < s.len; i++) {
        if (!head_is_digit(s.data[i])) {
            return false;
        }
    }
    return true;
}

/* NULL when |f| may stand in a block, else why not. */
static const char *head_field_fault(const struct head_field *f)
{
    if (!head_is_token(f->name)) {
        return "a field's name is no token";
    }
    for (size_t i = 0; i < f->name.len; i++) {
        if (f->name.data[i] != head_lower(f->name.data[i])) {
            return "a field's name has upper case";
        }
    }
    for (size_t i = 0; i < HEAD_REFUSED_NAMES; i++) {
        if (head_same(f->name, head_refused_names[i])) {
            return "a field stands in the block that the head itself says";
        }
    }
    if (!head_is_value(f->value)) {
        return "a field's value has bytes that may not stand there";
    }
    return NULL;
}

/* The fields, to the end of the block; NULL or why not. */
static const char *head_decode_fields(struct wire_reader *r, struct head *h)
{
    size_t count = wire_read_u16(r);

    if (count > HEAD_FIELDS_MAX) {
        return "too many fields";
    }
    for (size_t i = 0; i < count && !r->is_bad; i++) {
        struct head_field *f = &h->fields[i];
        const char *fault;

        f->name = wire_read_string8(r);
        f->value = wire_read_string16(r);
        fault = r->is_bad ? NULL : head_field_fault(f);
        if (fault != NULL) {
            return fault;
        }
        h->count = i + 1;
    }
    return wire_reader_done(r) ? NULL : "the block's length is wrong";
}

/* Flags and framing, which requests and responses share. */
static const char *head_decode_common(struct wire_reader *r, struct head *h)
{
    uint8_t flags = wire_read_u8(r);
    uint8_t framing = wire_read_u8(r);

    if ((flags & ~HEAD_UPGRADE) != 0) {
        return "unknown flags in a head";
    }
    h->is_upgrade = (flags & HEAD_UPGRADE) != 0;
    if (framing > BODY_UNKNOWN) {
        return "unknown framing in a head";
    }
    h->framing = (enum body_framing)framing;
    h->body_len = wire_read_u64(r);
    if (h->framing != BODY_LENGTH && h->body_len != 0) {
        return "a length without a body of that length";
    }
    return NULL;
}

static const char *head_decode_request(struct wire_reader *r, struct head *h)
{
    h->method = wire_read_string8(r);
    h->target = wire_read_string16(r);
    h->authority = wire_read_string8(r);
    if (r->is_bad) {
        return "the block's length is wrong";
    }
    if (!head_is_token(h->method)) {
        return "the method is no token";
    }
    if (!head_is_target(h->target, h->method)) {
        return "the target is not in origin form";
    }
    if (!head_is_authority(h->authority)) {
        return "the authority is no host and port";
    }
    if (h->is_upgrade && !span_equal(h->method, span_text("GET"))) {
        return "an upgrade with another method than GET";
    }
    return NULL;
}

static const char *head_decode_response(struct wire_reader *r, struct head *h)
{
    h->status = wire_read_u16(r);
    if (h->status < STATUS_FIRST || h->status > STATUS_LAST) {
        return "the status is not between 100 and 599";
    }
    if (h->is_upgrade != (h->status == STATUS_UPGRADED)) {
        return "only 101 answers an upgrade, and nothing else does";
    }
    return NULL;
}

/* All of a block; NULL or why not. */
static const char *head_decode_block(struct wire_reader *r, struct head *h)
{
    uint8_t block = wire_read_u8(r);
    const char *fault = NULL;

    if (block == BLOCK_REQUEST || block == BLOCK_RESPONSE) {
        fault = head_decode_common(r, h);
    } else if (block != BLOCK_TRAILERS) {
        return "an unknown kind of head";
    }
    if (fault == NULL && block == BLOCK_REQUEST) {
        fault = head_decode_request(r, h);
    } else if (fault == NULL && block == BLOCK_RESPONSE) {
        fault = head_decode_response(r, h);
    }
    return fault != NULL ? fault : head_decode_fields(r, h);
}

/* The scalars empty; the fields behind |count| are nobody's. */
static void head_clear(struct head *h)
{
    h->method = span_of(NULL, 0);
    h->target = span_of(NULL, 0);
    h->authority = span_of(NULL, 0);
    h->status = 0;
    h->is_upgrade = false;
    h->framing = BODY_NONE;
    h->body_len = 0;
    h->count = 0;
}

enum err head_decode(struct span block, struct head *h, const char **why)
{
    struct wire_reader r;
    const char *fault = "the head is too long";

    head_clear(h);
    if (block.len <= HEAD_MAX) {
        wire_reader_init(&r, block);
        fault = head_decode_block(&r, h);
    }
    if (fault != NULL) {
        head_clear(h);
        *why = fault;
        return ERR_HEAD;
    }
    return ERR_OK;
}
