/*
 * Differential: where the head check accepts a head, llhttp, read here without
 * our own h1_agree, must find the same length, method, target, version, Host
 * and body framing, whether it gets the head whole or byte by byte. Heads that
 * llhttp has no method for are left out. Input as for fuzz_h1_parser.
 */
#include <llhttp.h>
#include <stdlib.h>
#include <strings.h>

#include "common/http/head_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define HOST_MAX 1024u

/* What llhttp has told, as bytes: it may tell a run in pieces. */
struct witness {
    char target[HEAD_MAX];
    char name[HEAD_MAX];
    char value[HEAD_MAX];
    char host[HOST_MAX];
    size_t target_len, name_len, value_len, host_len;
    size_t hosts, fields, lengths, codings;
    bool in_value, is_complete;
};

static void add(char *out, size_t *len, const char *at, size_t count)
{
    assert(count <= HEAD_MAX - *len);
    memcpy(out + *len, at, count);
    *len += count;
}

static bool is_name(const struct witness *w, const char *name)
{
    return w->name_len == strlen(name) &&
           strncasecmp(w->name, name, w->name_len) == 0;
}

/* The field that was told is over. */
static void end_field(struct witness *w)
{
    while (w->value_len > 0 && (w->value[w->value_len - 1] == ' ' ||
                                w->value[w->value_len - 1] == '\t')) {
        w->value_len--;
    }
    if (w->name_len > 0) {
        w->fields++;
        w->lengths += is_name(w, "content-length");
        w->codings += is_name(w, "transfer-encoding");
    }
    if (is_name(w, "host")) {
        assert(w->value_len <= sizeof(w->host));
        memcpy(w->host, w->value, w->value_len);
        w->host_len = w->value_len;
        w->hosts++;
    }
    w->name_len = 0;
    w->value_len = 0;
    w->in_value = false;
}

static int on_url(llhttp_t *p, const char *at, size_t len)
{
    struct witness *w = p->data;

    add(w->target, &w->target_len, at, len);
    return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t len)
{
    struct witness *w = p->data;

    if (w->in_value) {
        end_field(w);
    }
    add(w->name, &w->name_len, at, len);
    return 0;
}

static int on_name_end(llhttp_t *p)
{
    struct witness *w = p->data;

    w->in_value = true;
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t len)
{
    struct witness *w = p->data;

    add(w->value, &w->value_len, at, len);
    return 0;
}

static int on_complete(llhttp_t *p)
{
    struct witness *w = p->data;

    end_field(w);
    w->is_complete = true;
    return HPE_PAUSED;
}

/* Give |head| to |p| in pieces; whether it ends just at the head's end. */
static bool run(llhttp_t *p, struct witness *w, struct span head, size_t piece)
{
    while (head.len > 0) {
        const char *at = (const char *)head.data;
        size_t len = piece < head.len ? piece : head.len;
        llhttp_errno_t status = llhttp_execute(p, at, len);

        if (status != HPE_OK) {
            return status == HPE_PAUSED && w->is_complete &&
                   llhttp_get_error_pos(p) == at + len && len == head.len;
        }
        head = span_after(head, len);
    }
    return false;
}

static bool knows_method(const llhttp_t *p)
{
    return llhttp_get_errno(p) != HPE_INVALID_METHOD && p->method != HTTP_PRI &&
           p->method != HTTP_SOURCE &&
           (p->method < HTTP_DESCRIBE || p->method > HTTP_FLUSH);
}

static void check_request(const llhttp_t *p, const struct head_check *c,
                          const struct witness *w)
{
    const char *method = llhttp_method_name((llhttp_method_t)p->method);

    assert(span_equal(c->method, span_text(method)));
    assert(span_equal(c->target, span_of(w->target, w->target_len)));
    assert(w->hosts == (c->host.len > 0 || c->version == 11 ? 1u : w->hosts));
    assert(w->hosts <= 1);
    /* An absolute target's authority may stand in for Host: never another. */
    assert(
        w->hosts == 0 || c->host.len == 0 ||
        (c->host.len == w->host_len &&
         strncasecmp((const char *)c->host.data, w->host, w->host_len) == 0));
    /* No framing a request cannot have: not both, none that needs an end. */
    assert(!(c->is_chunked && c->has_length));
    assert(llhttp_message_needs_eof(p) == 0);
}

static void compare(struct span head, enum head_check_kind kind,
                    const struct head_check *c, size_t piece)
{
    static struct witness w;
    llhttp_settings_t settings;
    llhttp_t p;
    bool is_whole;

    memset(&w, 0, sizeof(w));
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_header_field = on_name;
    settings.on_header_field_complete = on_name_end;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_complete;
    llhttp_init(&p, kind == HEAD_CHECK_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
                &settings);
    p.data = &w;
    is_whole = run(&p, &w, head, piece);
    if (kind == HEAD_CHECK_REQUEST && !knows_method(&p)) {
        return;
    }
    assert(is_whole && w.fields == c->count);
    assert(p.http_major * 10u + p.http_minor == c->version);
    assert(((p.flags & F_CHUNKED) != 0) == c->is_chunked);
    assert(((p.flags & F_CONTENT_LENGTH) != 0) == c->has_length);
    assert(c->has_length == (w.lengths > 0));
    assert(c->is_chunked == (w.codings > 0));
    assert(!c->has_length || p.content_length == c->length);
    if (kind == HEAD_CHECK_REQUEST) {
        check_request(&p, c, &w);
    } else {
        assert(p.status_code == c->answer);
    }
}

/* A head that comes byte by byte: no beginning of a good one is refused. */
static void check_parts(struct span head, enum head_check_kind kind)
{
    for (size_t len = 0; len < head.len; len++) {
        struct head_check c;

        assert(head_check_end(span_of(head.data, len), 0) == 0);
        if (head_check_part(span_of(head.data, len), len > 0 ? len - 1 : 0,
                            kind, &c) != ERR_OK) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum head_check_kind kind = len > 0 && (bytes[0] & 1) != 0
                                    ? HEAD_CHECK_RESPONSE
                                    : HEAD_CHECK_REQUEST;
    struct span in = span_of(bytes + 1, len > 0 ? len - 1 : 0);
    struct head_check c;
    size_t end;
    uint8_t *head;

    if (len == 0 || (end = head_check_end(in, 0)) == 0) {
        return 0;
    }
    head = malloc(end); /* a read past its end is seen */
    assert(head != NULL);
    memcpy(head, in.data, end);
    if (head_check(span_of(head, end), kind, &c) == ERR_OK) {
        compare(span_of(head, end), kind, &c, end);
        compare(span_of(head, end), kind, &c, 1);
        check_parts(span_of(head, end), kind);
    }
    free(head);
    return 0;
}
