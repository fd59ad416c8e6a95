/*
 * One byte, one state. No blank is taken before ';' or CR, no bare LF ends a
 * line, no size is longer than 15 digits, so that nothing can overflow and no
 * two readers can disagree.
 */
#include "common/http/h1_chunks.h"

/* 60 bits: larger than any body there will be. */
#define CHUNKS_DIGITS_MAX 15u

static int h1_chunks_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20u;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A byte of the size line before its CR. */
static const char *h1_chunks_size(struct h1_chunks *c, uint8_t byte)
{
    int digit = h1_chunks_digit(byte);

    if (digit >= 0) {
        c->left = c->left * 16 + (uint64_t)digit;
        c->digits++;
        return c->digits > CHUNKS_DIGITS_MAX ? "a chunk's size is too long"
                                             : NULL;
    }
    if (c->digits == 0 || (byte != ';' && byte != '\r')) {
        return "a chunk's size is no number";
    }
    c->state = byte == ';' ? CHUNKS_EXTENSION : CHUNKS_SIZE_LF;
    return NULL;
}

static const char *h1_chunks_extension(struct h1_chunks *c, uint8_t byte)
{
    if (byte == '\r') {
        c->state = CHUNKS_SIZE_LF;
        return NULL;
    }
    return (byte < ' ' && byte != '\t') || byte == 0x7f
               ? "a control byte in a chunk's extension"
               : NULL;
}

static void h1_chunks_begin(struct h1_chunks *c)
{
    c->state = c->left == 0 ? CHUNKS_LAST : CHUNKS_DATA;
    c->digits = 0;
    c->line_len = 0;
}

/* One byte that is not data. NULL or why it cannot be. */
static const char *h1_chunks_byte(struct h1_chunks *c, uint8_t byte)
{
    switch (c->state) {
    case CHUNKS_SIZE:
    case CHUNKS_EXTENSION:
        c->line_len++;
        if (c->line_len > CHUNK_LINE_MAX) {
            return "a chunk's size line is too long";
        }
        return c->state == CHUNKS_SIZE ? h1_chunks_size(c, byte)
                                       : h1_chunks_extension(c, byte);
    case CHUNKS_SIZE_LF:
        h1_chunks_begin(c);
        return byte == '\n' ? NULL : "a CR without LF after a chunk's size";
    case CHUNKS_DATA_CR:
        c->state = CHUNKS_DATA_LF;
        return byte == '\r' ? NULL : "a chunk is longer than its size";
    case CHUNKS_DATA_LF:
        c->state = CHUNKS_SIZE;
        c->left = 0;
        return byte == '\n' ? NULL : "a CR without LF after a chunk";
    case CHUNKS_DATA:
    case CHUNKS_LAST:
        break;
    }
    assert(!"data and trailers are read elsewhere");
    return NULL;
}

enum err h1_chunks_step(struct h1_chunks *c, struct span in, size_t *used,
                        struct span *data, const char **why)
{
    *data = span_of(NULL, 0);
    for (*used = 0; *used < in.len && c->state != CHUNKS_LAST;) {
        if (c->state == CHUNKS_DATA) {
            size_t rest = in.len - *used;
            size_t len = c->left < rest ? (size_t)c->left : rest;

            *data = span_of(in.data + *used, len);
            *used += len;
            c->left -= len;
            if (c->left == 0) {
                c->state = CHUNKS_DATA_CR;
            }
            return ERR_OK;
        }
        *why = h1_chunks_byte(c, in.data[*used]);
        if (*why != NULL) {
            return ERR_HEAD;
        }
        *used += 1;
    }
    return ERR_OK;
}
