/*
 * Any block: nothing crashes, what the decoder lets through has nothing that
 * could end a line of an HTTP/1.1 head, and is written again as it was.
 */
#include "proto/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        assert(s.data[i] == '\t' || s.data[i] >= ' ');
        assert(s.data[i] != 0x7f);
    }
}

/* What stands in a request's line or its Host has no blanks either. */
static void check_word(struct span s)
{
    check_text(s);
    assert(s.len > 0);
    assert(memchr(s.data, ' ', s.len) == NULL);
    assert(memchr(s.data, '\t', s.len) == NULL);
}

static void check_fields(const struct head *h)
{
    assert(h->count <= HEAD_FIELDS_MAX);
    for (size_t i = 0; i < h->count; i++) {
        struct span name = h->fields[i].name;

        assert(head_is_token(name));
        assert(head_is_value(h->fields[i].value));
        check_word(name);
        check_text(h->fields[i].value);
        for (size_t at = 0; at < name.len; at++) {
            assert(name.data[at] < 'A' || name.data[at] > 'Z');
        }
    }
    assert(head_find(h, "transfer-encoding").data == NULL);
    assert(head_find(h, "content-length").data == NULL);
    assert(head_find(h, "host").data == NULL);
}

static void check_head(const struct head *h)
{
    if (h->method.len > 0) {
        check_word(h->method);
        check_word(h->target);
        check_word(h->authority);
        assert(h->status == 0);
    } else {
        assert(h->target.len == 0 && h->authority.len == 0);
        assert(h->status == 0 || (h->status >= 100 && h->status <= 599));
    }
    assert(h->framing == BODY_LENGTH || h->body_len == 0);
    check_fields(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint8_t out[HEAD_MAX];
    static struct head h;
    struct span block = span_of(bytes, len);
    struct wire_writer w;
    const char *why = NULL;
    enum err e = head_decode(block, &h, &why);

    assert((e == ERR_OK) == (why == NULL));
    if (e != ERR_OK) {
        assert(e == ERR_HEAD && h.count == 0 && h.method.len == 0);
        return 0;
    }
    check_head(&h);
    wire_writer_init(&w, out, sizeof(out));
    head_encode(&w, &h);
    assert(wire_writer_done(&w) && span_equal(wire_written(&w), block));
    return 0;
}
