/*
 * A borrowed run of bytes. Whoever hands one out says how long it is good;
 * nothing here allocates or owns.
 */
#ifndef PROTO_SPAN_H
#define PROTO_SPAN_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *data;
    size_t len;
};

/* The |len| bytes at |data|. */
static inline struct span span_of(const void *data, size_t len)
{
    return (struct span){ .data = data, .len = len };
}

/* The bytes of the zero-terminated |text|, without the zero. */
static inline struct span span_text(const char *text)
{
    return span_of(text, strlen(text));
}

/* What is left of |s| after its first |used| bytes. */
static inline struct span span_after(struct span s, size_t used)
{
    assert(used <= s.len);
    return used == 0 ? s : span_of(s.data + used, s.len - used);
}

/*
 * Copy all of |s| to |to|; they do not overlap. In pieces: glibc copies more
 * than 2 KiB by `rep movsb`, which AMD's processors do at 2 GB/s instead of
 * 20 where |to| lies a few bytes further in its page than |s| in its own.
 */
#define SPAN_COPY_PIECE 2048u
static inline void span_copy(uint8_t *to, struct span s)
{
    while (s.len > SPAN_COPY_PIECE) {
        memcpy(to, s.data, SPAN_COPY_PIECE);
        to += SPAN_COPY_PIECE;
        s = span_after(s, SPAN_COPY_PIECE);
    }
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
}

/* Whether |a| and |b| hold the same bytes. Not for secrets. */
static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
