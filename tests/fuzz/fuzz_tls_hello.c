/*
 * Any bytes as the beginning of a TLS connection: the answer that comes first
 * when they arrive byte by byte is the answer for the whole, and what is told
 * of a hello is fit for routing. A hello cut into other records is the same.
 */
#include <stdlib.h>

#include "common/tls_hello.h"
#include "proto/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Longest input that is read byte by byte: that costs its square. */
#define SINGLE_MAX 4096u

static void check_hello(enum tls_hello_state state, const struct tls_hello *h)
{
    size_t name_len = strnlen(h->server_name, sizeof(h->server_name));

    assert(name_len < sizeof(h->server_name));
    if (state != TLS_HELLO_WHOLE) {
        return;
    }
    for (size_t i = 0; i < name_len; i++) {
        char c = h->server_name[i];

        assert((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.' || c == '_');
    }
    assert(name_len == 0 || h->server_name[name_len - 1] != '.');
}

static bool is_same(const struct tls_hello *a, const struct tls_hello *b)
{
    return strcmp(a->server_name, b->server_name) == 0 &&
           a->offers_link == b->offers_link &&
           a->offers_other == b->offers_other;
}

/* The first answer, in memory of just its size; |*len| is how much it took. */
static enum tls_hello_state read_single(struct span in, struct tls_hello *h,
                                        size_t *len)
{
    enum tls_hello_state state = TLS_HELLO_MORE;

    for (*len = 0; state == TLS_HELLO_MORE && *len < in.len; ++*len) {
        uint8_t *exact = malloc(*len + 1);

        assert(exact != NULL);
        memcpy(exact, in.data, *len + 1);
        state = tls_hello_read(span_of(exact, *len + 1), h);
        free(exact);
    }
    return state;
}

/* The hello in |in|, its records cut into records of |piece| bytes. */
static void check_recut(struct span in, size_t piece,
                        const struct tls_hello *expected)
{
    static uint8_t message[HELLO_MAX];
    static uint8_t out[6 * HELLO_MAX];
    struct tls_hello again;
    size_t len = 0, used = 0;

    while (in.len > 0) {
        size_t record = (size_t)in.data[3] << 8 | in.data[4];

        assert(in.len >= 5 + record && len + record <= sizeof(message));
        memcpy(message + len, in.data + 5, record);
        len += record;
        in = span_after(in, 5 + record);
    }
    for (size_t at = 0; at < len; at += piece) {
        size_t part = len - at < piece ? len - at : piece;
        const uint8_t head[] = { 22, 3, 1, (uint8_t)(part >> 8),
                                 (uint8_t)part };

        memcpy(out + used, head, sizeof(head));
        memcpy(out + used + sizeof(head), message + at, part);
        used += sizeof(head) + part;
    }
    assert(tls_hello_read(span_of(out, used), &again) == TLS_HELLO_WHOLE);
    assert(is_same(&again, expected));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct tls_hello whole, single;
    enum tls_hello_state state = tls_hello_read(in, &whole), first;
    size_t used;

    check_hello(state, &whole);
    if (len > SINGLE_MAX) {
        return 0;
    }
    first = read_single(in, &single, &used);
    if (first == TLS_HELLO_WHOLE) {
        /* What follows in records of its own changes nothing. */
        assert(state == TLS_HELLO_WHOLE && is_same(&whole, &single));
        check_recut(span_of(bytes, used), 1, &single);
        check_recut(span_of(bytes, used), 7, &single);
    } else {
        assert(first == state);
    }
    return 0;
}
