/*
 * The checked cursor: every byte that is read from or written to the wire
 * passes one of the two functions here that compare with what is left.
 */
#include "proto/wire.h"

void wire_reader_init(struct wire_reader *r, struct span in)
{
    *r = (struct wire_reader){ .rest = in };
}

struct span wire_read_bytes(struct wire_reader *r, size_t len)
{
    struct span bytes;

    if (r->is_bad || len > r->rest.len) {
        r->is_bad = true;
        r->rest = span_of(NULL, 0);
        return r->rest;
    }
    bytes = span_of(r->rest.data, len);
    r->rest = span_after(r->rest, len);
    return bytes;
}

/* An integer of |len| bytes, big-endian. */
static uint64_t wire_read_uint(struct wire_reader *r, size_t len)
{
    struct span bytes = wire_read_bytes(r, len);
    uint64_t v = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        v = v << 8 | bytes.data[i];
    }
    return v;
}

uint8_t wire_read_u8(struct wire_reader *r)
{
    return (uint8_t)wire_read_uint(r, 1);
}

uint16_t wire_read_u16(struct wire_reader *r)
{
    return (uint16_t)wire_read_uint(r, 2);
}

uint32_t wire_read_u32(struct wire_reader *r)
{
    return (uint32_t)wire_read_uint(r, 4);
}

uint64_t wire_read_u64(struct wire_reader *r)
{
    return wire_read_uint(r, 8);
}

void wire_read_copy(struct wire_reader *r, uint8_t *out, size_t len)
{
    struct span bytes = wire_read_bytes(r, len);

    if (r->is_bad) {
        memset(out, 0, len);
    } else if (len > 0) {
        memcpy(out, bytes.data, len);
    }
}

struct span wire_read_string8(struct wire_reader *r)
{
    return wire_read_bytes(r, wire_read_u8(r));
}

struct span wire_read_string16(struct wire_reader *r)
{
    return wire_read_bytes(r, wire_read_u16(r));
}

bool wire_reader_done(const struct wire_reader *r)
{
    return !r->is_bad && r->rest.len == 0;
}

void wire_writer_init(struct wire_writer *w, void *data, size_t capacity)
{
    *w = (struct wire_writer){ .data = data, .capacity = capacity };
}

void wire_write_bytes(struct wire_writer *w, struct span bytes)
{
    if (w->is_bad || bytes.len > w->capacity - w->len) {
        w->is_bad = true;
        return;
    }
    if (bytes.len > 0) {
        span_copy(w->data + w->len, bytes);
        w->len += bytes.len;
    }
}

/* The low |len| bytes of |v|, big-endian. */
static void wire_write_uint(struct wire_writer *w, uint64_t v, size_t len)
{
    uint8_t bytes[8];

    assert(len <= sizeof(bytes));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
    }
    wire_write_bytes(w, span_of(bytes, len));
}

void wire_write_u8(struct wire_writer *w, uint8_t v)
{
    wire_write_uint(w, v, 1);
}

void wire_write_u16(struct wire_writer *w, uint16_t v)
{
    wire_write_uint(w, v, 2);
}

void wire_write_u32(struct wire_writer *w, uint32_t v)
{
    wire_write_uint(w, v, 4);
}

void wire_write_u64(struct wire_writer *w, uint64_t v)
{
    wire_write_uint(w, v, 8);
}

void wire_write_text(struct wire_writer *w, const char *text)
{
    wire_write_bytes(w, span_text(text));
}

void wire_write_string8(struct wire_writer *w, struct span s)
{
    if (s.len > UINT8_MAX) {
        w->is_bad = true;
        return;
    }
    wire_write_u8(w, (uint8_t)s.len);
    wire_write_bytes(w, s);
}

void wire_write_string16(struct wire_writer *w, struct span s)
{
    if (s.len > UINT16_MAX) {
        w->is_bad = true;
        return;
    }
    wire_write_u16(w, (uint16_t)s.len);
    wire_write_bytes(w, s);
}

bool wire_writer_done(const struct wire_writer *w)
{
    return !w->is_bad;
}

struct span wire_written(const struct wire_writer *w)
{
    return span_of(w->data, w->len);
}
