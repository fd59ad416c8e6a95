/*
 * Any bytes as HTTP/1 messages. Demands: fed whole and byte by byte they give
 * the same events; a head that the check accepts is the same head to llhttp;
 * what is told of it can be encoded, decoded and written again.
 * Input: one byte (bit 0: responses, 1: to HEAD, 2: to an upgrade), messages.
 */
#include <stdlib.h>

#include "common/http/h1_agree.h"
#include "common/http/h1_parser.h"
#include "common/http/h1_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define NOTES_MAX (1u * MIB)

/* What was told, as bytes to compare. */
struct notes {
    uint8_t *data;
    size_t len;
    bool in_body;
};

static void note(struct notes *n, const void *data, size_t len)
{
    if (len > NOTES_MAX - n->len) {
        len = NOTES_MAX - n->len;
    }
    if (len > 0) {
        memcpy(n->data + n->len, data, len);
        n->len += len;
    }
}

/* Through the wire's codec and our writer: neither may refuse it. */
static void pass_on(const struct head *h)
{
    static uint8_t block[2 * HEAD_MAX];
    static uint8_t text[4 * HEAD_MAX];
    static struct head again;
    struct h1_response_to to = { .version = 11 };
    struct h1_body body;
    struct wire_writer w;
    const char *why;

    wire_writer_init(&w, block, sizeof(block));
    head_encode(&w, h);
    assert(wire_writer_done(&w));
    if (w.len > HEAD_MAX || (h->status == 0 && h->authority.len == 0)) {
        return;
    }
    if (head_decode(wire_written(&w), &again, &why) != ERR_OK) {
        abort();
    }
    wire_writer_init(&w, text, sizeof(text));
    if (again.status == 0 && again.method.len > 0) {
        h1_write_request(&w, &again, &body);
    } else if (again.status != 0) {
        h1_write_response(&w, &again, &to, &body);
    }
    assert(wire_writer_done(&w));
}

static void note_event(struct notes *n, struct h1_parser *p,
                       enum h1_event event)
{
    struct span body = h1_parser_body(p);

    if (event == H1_MORE) {
        return;
    }
    if (event != H1_BODY || !n->in_body) {
        note(n, &event, sizeof(event));
    }
    n->in_body = event == H1_BODY;
    if (event == H1_BODY) {
        note(n, body.data, body.len);
    } else if (event == H1_HEAD || event == H1_TRAILERS) {
        const struct head *h = h1_parser_head(p);

        pass_on(h);
        note(n, h->method.data, h->method.len);
        note(n, h->target.data, h->target.len);
        note(n, &h->status, sizeof(h->status));
        note(n, &h->framing, sizeof(h->framing));
        note(n, &h->body_len, sizeof(h->body_len));
        for (size_t i = 0; i < h->count; i++) {
            note(n, h->fields[i].name.data, h->fields[i].name.len);
            note(n, h->fields[i].value.data, h->fields[i].value.len);
        }
    }
}

static void feed(struct notes *n, uint8_t kind, struct span in, size_t each)
{
    struct h1_expect expect = { .is_head = (kind & 2) != 0,
                                .is_upgrade = (kind & 4) != 0 };
    struct h1_parser *p =
        h1_parser_new((kind & 1) != 0 ? H1_RESPONSES : H1_REQUESTS);
    enum err err = ERR_OK;
    enum h1_event event = H1_MORE;

    assert(p != NULL);
    h1_parser_expect(p, &expect);
    while (err == ERR_OK && event != H1_RAW && in.len > 0) {
        struct span piece = span_of(in.data, each < in.len ? each : in.len);
        size_t used;

        in = span_after(in, piece.len);
        do {
            err = h1_parser_step(p, piece, &used, &event);
            if (err == ERR_OK) {
                piece = span_after(piece, used);
                note_event(n, p, event);
            }
        } while (err == ERR_OK && event != H1_MORE && event != H1_RAW);
    }
    if (err == ERR_OK && event != H1_RAW) {
        err = h1_parser_eof(p, &event);
        if (err == ERR_OK) {
            note_event(n, p, event);
        }
    }
    if (err != ERR_OK) {
        note(n, h1_parser_why(p), strlen(h1_parser_why(p)));
    }
    h1_parser_free(p);
}

/* The differential: two readers of the same head. */
static void compare_with_llhttp(uint8_t kind, struct span in)
{
    static struct head h;
    enum head_check_kind what =
        (kind & 1) != 0 ? HEAD_CHECK_RESPONSE : HEAD_CHECK_REQUEST;
    size_t end = head_check_end(in, 0);
    struct head_check c;
    uint8_t *copy;

    if (end == 0) {
        return;
    }
    copy = malloc(end);
    assert(copy != NULL);
    memcpy(copy, in.data, end);
    if (head_check(span_of(copy, end), what, &c) == ERR_OK) {
        h.count = 0;
        h1_head_split(&h, &c);
        assert(h1_agree(span_of(copy, end), what, &c, &h) != H1_DIFFERS);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint8_t whole[NOTES_MAX];
    static uint8_t single[NOTES_MAX];
    struct notes a = { .data = whole };
    struct notes b = { .data = single };
    struct span in;

    if (len < 2) {
        return 0;
    }
    in = span_of(bytes + 1, len - 1);
    feed(&a, bytes[0], in, in.len);
    feed(&b, bytes[0], in, 1);
    assert(a.len == b.len && memcmp(a.data, b.data, a.len) == 0);
    compare_with_llhttp(bytes[0], in);
    return 0;
}
