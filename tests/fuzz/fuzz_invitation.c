/*
 * Any text as an invitation: what is accepted is written again as it was but
 * for white space, which never changes the answer; what is refused leaves no
 * secret behind. Input: one byte (bit 0: what follows is the packed part, put
 * into text with its checksum here, else it is the text), then that.
 */
#include <stdlib.h>

#include "common/invitation.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define CHECK_LEN 4u
#define PACKED_MAX 340u

/* |packed| as an invitation's text, with a checksum that is right. */
static size_t to_text(struct span packed, char *out, size_t size)
{
    static const char head[] = "sallyport:";
    uint8_t whole[PACKED_MAX + CHECK_LEN];
    uint8_t hash[HASH_LEN];

    keys_hash(packed, NULL, hash);
    if (packed.len > 0) {
        memcpy(whole, packed.data, packed.len);
    }
    memcpy(whole + packed.len, hash, CHECK_LEN);
    memcpy(out, head, sizeof(head));
    keys_to_text(whole, packed.len + CHECK_LEN, out + sizeof(head) - 1,
                 size - sizeof(head) + 1);
    return strlen(out);
}

static size_t without_blanks(struct span text, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (memchr(" \t\n\v\f\r", text.data[i], 6) == NULL) {
            out[len++] = (char)text.data[i];
        }
    }
    return len;
}

/* As a terminal wraps it, at the worst: a newline after each byte. */
static void check_wrapped(struct span text, enum err expected,
                          const struct invitation *i)
{
    char *wrapped = malloc(2 * text.len + 1);
    struct invitation again;
    const char *why;

    assert(wrapped != NULL);
    for (size_t at = 0; at < text.len; at++) {
        wrapped[2 * at] = (char)text.data[at];
        wrapped[2 * at + 1] = at % 2 == 0 ? '\n' : ' ';
    }
    if (invitation_decode(span_of(wrapped, 2 * text.len), &again, &why) !=
        expected) {
        abort();
    }
    assert(memcmp(&again, i, sizeof(again)) == 0);
    free(wrapped);
}

static void check_accepted(struct span text, const struct invitation *i)
{
    char out[INVITATION_TEXT_MAX];
    char *plain = malloc(text.len);
    size_t host_len = strnlen(i->host, sizeof(i->host));

    assert(i->port != 0 && host_len > 0 && host_len < sizeof(i->host));
    for (size_t at = 0; at < host_len; at++) {
        assert(i->host[at] > 0x20 && i->host[at] < 0x7f);
    }
    invitation_encode(i, out, sizeof(out));
    assert(plain != NULL);
    assert(span_equal(span_text(out),
                      span_of(plain, without_blanks(text, plain))));
    free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const struct invitation nothing;
    struct invitation i;
    const char *why = NULL;
    char text[INVITATION_TEXT_MAX];
    struct span in;
    enum err error;

    if (len == 0) {
        return 0;
    }
    in = span_of(bytes + 1, len - 1);
    if ((bytes[0] & 1) != 0 && in.len <= PACKED_MAX) {
        in = span_of(text, to_text(in, text, sizeof(text)));
    }
    error = invitation_decode(in, &i, &why);
    if (error == ERR_OK) {
        check_accepted(in, &i);
    } else {
        assert(error == ERR_SETTINGS && why != NULL);
        assert(memcmp(&i, &nothing, sizeof(i)) == 0);
    }
    check_wrapped(in, error, &i);
    return 0;
}
