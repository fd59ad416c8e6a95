/*
 * All use of llhttp: a parser on the stack for the one head, callbacks that
 * compare what llhttp saw with what we saw, span by span. The subset of its
 * interface that versions 8 and 9 share.
 */
#include "common/http/h1_agree.h"

#include <llhttp.h>

struct h1_witness {
    const struct head_check *check;
    const struct head *head;
    struct span target; /* what llhttp has seen so far */
    struct head_field field;
    size_t count;
    bool is_open;  /* a field was begun */
    bool in_value; /* and its name is over */
    bool differs;
    bool is_complete;
};

static struct h1_witness *h1_agree_witness(llhttp_t *parser)
{
    return parser->data;
}

/* llhttp may tell a run in several pieces, but they must join. */
static void h1_agree_join(struct h1_witness *w, struct span *run,
                          const char *at, size_t len)
{
    if (run->len == 0) {
        *run = span_of(at, len);
        return;
    }
    w->differs |= run->data + run->len != (const uint8_t *)at;
    run->len += len;
}

/* The field that llhttp has just left, against ours of the same number. Its
 * value may still have the blanks at the end that ours has not. */
static void h1_agree_field(struct h1_witness *w)
{
    const struct head_field *ours = &w->head->fields[w->count];
    struct span value = w->field.value;

    if (!w->is_open) {
        return;
    }
    if (w->count >= w->head->count) {
        w->differs = true;
        return;
    }
    while (value.len > 0 && (value.data[value.len - 1] == ' ' ||
                             value.data[value.len - 1] == '\t')) {
        value.len--;
    }
    w->differs |= w->field.name.data != ours->name.data ||
                  w->field.name.len != ours->name.len ||
                  value.len != ours->value.len ||
                  (value.len > 0 && value.data != ours->value.data);
    w->count++;
    w->is_open = false;
}

static int on_agree_url(llhttp_t *parser, const char *at, size_t len)
{
    struct h1_witness *w = h1_agree_witness(parser);

    h1_agree_join(w, &w->target, at, len);
    return 0;
}

static int on_agree_name(llhttp_t *parser, const char *at, size_t len)
{
    struct h1_witness *w = h1_agree_witness(parser);

    if (!w->is_open || w->in_value) {
        h1_agree_field(w);
        memset(&w->field, 0, sizeof(w->field));
        w->is_open = true;
        w->in_value = false;
    }
    h1_agree_join(w, &w->field.name, at, len);
    return 0;
}

static int on_agree_value(llhttp_t *parser, const char *at, size_t len)
{
    struct h1_witness *w = h1_agree_witness(parser);

    w->in_value = true;
    h1_agree_join(w, &w->field.value, at, len);
    return 0;
}

static int on_agree_complete(llhttp_t *parser)
{
    struct h1_witness *w = h1_agree_witness(parser);

    h1_agree_field(w);
    w->is_complete = true;
    return HPE_PAUSED;
}

/* An empty value is not told, so the name's end must be known otherwise. */
static int on_agree_name_end(llhttp_t *parser)
{
    h1_agree_witness(parser)->in_value = true;
    return 0;
}

static bool h1_agree_start(const llhttp_t *parser, enum head_check_kind kind,
                           const struct h1_witness *w)
{
    const struct head_check *c = w->check;

    if (parser->http_major * 10u + parser->http_minor != c->version) {
        return false;
    }
    if (kind == HEAD_CHECK_RESPONSE) {
        return parser->status_code == c->answer;
    }
    return w->target.data == c->target.data && w->target.len == c->target.len &&
           span_equal(c->method, span_text(llhttp_method_name(
                                     (llhttp_method_t)parser->method)));
}

static bool h1_agree_framing(const llhttp_t *parser, const struct head_check *c)
{
    bool is_chunked = (parser->flags & F_CHUNKED) != 0;
    bool has_length = (parser->flags & F_CONTENT_LENGTH) != 0;

    return is_chunked == c->is_chunked && has_length == c->has_length &&
           (!has_length || parser->content_length == c->length);
}

/* llhttp speaks RTSP and ICE too; their methods, and HTTP/2's preface, are not
 * HTTP/1's. */
static bool h1_agree_knows_method(const llhttp_t *parser, llhttp_errno_t status)
{
    return status != HPE_INVALID_METHOD && parser->method != HTTP_PRI &&
           parser->method != HTTP_SOURCE &&
           (parser->method < HTTP_DESCRIBE || parser->method > HTTP_FLUSH);
}

enum h1_verdict h1_agree(struct span head, enum head_check_kind kind,
                         const struct head_check *c, const struct head *h)
{
    struct h1_witness w = { .check = c, .head = h };
    llhttp_settings_t settings;
    llhttp_t parser;
    llhttp_errno_t status;

    llhttp_settings_init(&settings);
    settings.on_url = on_agree_url;
    settings.on_header_field = on_agree_name;
    settings.on_header_field_complete = on_agree_name_end;
    settings.on_header_value = on_agree_value;
    settings.on_headers_complete = on_agree_complete;
    llhttp_init(&parser,
                kind == HEAD_CHECK_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
                &settings);
    parser.data = &w;

    status = llhttp_execute(&parser, (const char *)head.data, head.len);
    if (kind == HEAD_CHECK_REQUEST && !h1_agree_knows_method(&parser, status)) {
        return H1_NO_METHOD;
    }
    if (status != HPE_PAUSED || !w.is_complete || w.differs ||
        w.count != h->count ||
        llhttp_get_error_pos(&parser) != (const char *)head.data + head.len ||
        !h1_agree_start(&parser, kind, &w) || !h1_agree_framing(&parser, c)) {
        return H1_DIFFERS;
    }
    return H1_AGREES;
}
