/*
 * A checked cursor over bytes: integers big-endian, strings with a length in
 * front. Overruns stick: after one the reader yields zeros and the writer
 * drops, and wire_*_done() says so once at the end.
 */
#ifndef PROTO_WIRE_H
#define PROTO_WIRE_H

#include "proto/span.h"

struct wire_reader {
    struct span rest;
    bool is_bad;
};

struct wire_writer {
    uint8_t *data;
    size_t capacity;
    size_t len;
    bool is_bad;
};

void wire_reader_init(struct wire_reader *r, struct span in);
uint8_t wire_read_u8(struct wire_reader *r);
uint16_t wire_read_u16(struct wire_reader *r);
uint32_t wire_read_u32(struct wire_reader *r);
uint64_t wire_read_u64(struct wire_reader *r);
/* |len| bytes, borrowed from the input; empty and bad when there are fewer. */
struct span wire_read_bytes(struct wire_reader *r, size_t len);
/* Copies |len| bytes to |out|; zeros when there are fewer. */
void wire_read_copy(struct wire_reader *r, uint8_t *out, size_t len);
/* A string with a u8 or a u16 length before it. */
struct span wire_read_string8(struct wire_reader *r);
struct span wire_read_string16(struct wire_reader *r);
/* Everything was there, and nothing is left over. */
bool wire_reader_done(const struct wire_reader *r);

void wire_writer_init(struct wire_writer *w, void *data, size_t capacity);
void wire_write_u8(struct wire_writer *w, uint8_t v);
void wire_write_u16(struct wire_writer *w, uint16_t v);
void wire_write_u32(struct wire_writer *w, uint32_t v);
void wire_write_u64(struct wire_writer *w, uint64_t v);
void wire_write_bytes(struct wire_writer *w, struct span bytes);
/* The zero-terminated |text| without length or zero. */
void wire_write_text(struct wire_writer *w, const char *text);
/* With the length in front; bad when longer than the length can say. */
void wire_write_string8(struct wire_writer *w, struct span s);
void wire_write_string16(struct wire_writer *w, struct span s);
/* Everything fitted. */
bool wire_writer_done(const struct wire_writer *w);
/* What was written so far. */
struct span wire_written(const struct wire_writer *w);

#endif
