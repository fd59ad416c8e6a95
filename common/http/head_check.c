/*
 * Strict rules for received heads: RFC 9112 without its leniencies. A head
 * that passes here means one thing only, to every parser. What fields mean for
 * the exchange is h1_head's; chunks are h1_chunks'.
 */
#include "common/http/head_check.h"

#define NAME_MAX 255u         /* a name's and method's length on the wire */
#define LENGTH_DIGITS_MAX 18u /* of a Content-Length: far under 2^63 */

static enum err head_check_refuse(struct head_check *r, unsigned status,
                                  const char *why)
{
    r->status = status;
    r->why = why;
    return ERR_HEAD;
}

size_t head_check_end(struct span in, size_t from)
{
    size_t len = in.len < HEAD_MAX ? in.len : HEAD_MAX;
    size_t start = from < 3 ? 0 : from - 3;
    const uint8_t *found = NULL;

    if (start < len) {
        found = memmem(in.data + start, len - start, "\r\n\r\n", 4);
    }
    return found == NULL ? 0 : (size_t)(found - in.data) + 4;
}

/* No bare CR or LF, and no control bytes but HTAB, from |from| on. */
static enum err head_check_bytes(struct span s, size_t from,
                                 struct head_check *r)
{
    for (size_t i = from; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool after_cr = i > 0 && s.data[i - 1] == '\r';

        if (after_cr && c != '\n') {
            return head_check_refuse(r, 400, "a CR without LF in the head");
        }
        if (c == '\n' && !after_cr) {
            return head_check_refuse(r, 400, "an LF without CR in the head");
        }
        if (c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n')) {
            return head_check_refuse(r, 400, "a control byte in the head");
        }
    }
    return ERR_OK;
}

/* A response that is none is known by its first bytes: a service that speaks
 * something else would keep us waiting for the head's end for ever. */
static enum err head_check_prefix(struct span s, struct head_check *r)
{
    static const char prefix[] = "HTTP/";
    size_t len = s.len < sizeof(prefix) - 1 ? s.len : sizeof(prefix) - 1;

    if (memcmp(s.data, prefix, len) != 0) {
        return head_check_refuse(r, 502, "the answer is not HTTP");
    }
    return ERR_OK;
}

static enum err head_check_start(struct span s, size_t from,
                                 enum head_check_kind kind,
                                 struct head_check *r)
{
    if (kind == HEAD_CHECK_RESPONSE && s.len > 0) {
        TRY(head_check_prefix(s, r));
    }
    return head_check_bytes(s, from, r);
}

/* A service's bad answer is 502 to the visitor, whatever is wrong with it. */
static enum err head_check_status(enum err err, enum head_check_kind kind,
                                  struct head_check *r)
{
    if (err != ERR_OK && kind == HEAD_CHECK_RESPONSE) {
        r->status = 502;
    }
    return err;
}

enum err head_check_part(struct span part, size_t from,
                         enum head_check_kind kind, struct head_check *result)
{
    size_t len = part.len < HEAD_MAX ? part.len : HEAD_MAX;
    enum err err;

    memset(result, 0, sizeof(*result));
    err = head_check_start(span_of(part.data, len), from < len ? from : len,
                           kind, result);
    if (err == ERR_OK && part.len >= HEAD_MAX) {
        err = head_check_refuse(result, 431, "the head is too long");
    }
    return head_check_status(err, kind, result);
}

/* The next line without its CRLF. All of it was seen to end so. */
static struct span head_check_line(struct span *rest)
{
    const uint8_t *cr = memchr(rest->data, '\r', rest->len);
    struct span line;

    assert(cr != NULL);
    line = span_of(rest->data, (size_t)(cr - rest->data));
    *rest = span_after(*rest, line.len + 2);
    return line;
}

static bool head_check_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.0" and "HTTP/1.1" only; 0 for what is no version at all. */
static unsigned head_check_version(struct span s)
{
    if (s.len != 8 || memcmp(s.data, "HTTP/", 5) != 0 ||
        !head_check_is_digit(s.data[5]) || s.data[6] != '.' ||
        !head_check_is_digit(s.data[7])) {
        return 0;
    }
    return (s.data[5] - (unsigned)'0') * 10u + (s.data[7] - (unsigned)'0');
}

static enum err head_check_request_line(struct span line, struct head_check *r)
{
    const uint8_t *first = memchr(line.data, ' ', line.len);
    const uint8_t *second;

    if (first == NULL) {
        return head_check_refuse(r, 400, "the request line is malformed");
    }
    r->method = span_of(line.data, (size_t)(first - line.data));
    line = span_after(line, r->method.len + 1);
    second = memchr(line.data, ' ', line.len);
    if (second == NULL) {
        if (line.len > HEAD_TARGET_MAX) {
            return head_check_refuse(r, 414, "the target is too long");
        }
        return head_check_refuse(r, 400, "the request line is malformed");
    }
    r->target = span_of(line.data, (size_t)(second - line.data));
    r->version = head_check_version(span_after(line, r->target.len + 1));

    if (!head_is_token(r->method) || r->method.len > NAME_MAX) {
        return head_check_refuse(r, 400, "the method is no token");
    }
    if (r->version == 0) {
        return head_check_refuse(r, 400, "the HTTP version is malformed");
    }
    if (r->version != 10 && r->version != 11) {
        return head_check_refuse(r, 505, "the HTTP version is not 1.0 or 1.1");
    }
    if (r->target.len > HEAD_TARGET_MAX) {
        return head_check_refuse(r, 414, "the target is too long");
    }
    for (size_t i = 0; i < r->target.len; i++) {
        uint8_t c = r->target.data[i];

        if (c <= ' ' || c >= 0x7f || c == '#') {
            return head_check_refuse(r, 400, "a bad byte in the target");
        }
    }
    return ERR_OK;
}

/* "HTTP/1.1 200 OK"; the reason, and the blank before it, may be missing. */
static enum err head_check_status_line(struct span line, struct head_check *r)
{
    const uint8_t *digits;

    r->version = line.len < 8 ? 0 : head_check_version(span_of(line.data, 8));
    if (r->version != 10 && r->version != 11) {
        return head_check_refuse(r, 502, "the HTTP version is not 1.0 or 1.1");
    }
    if (line.len < 12) {
        return head_check_refuse(r, 502, "the status line is malformed");
    }
    digits = line.data + 9;
    if (line.data[8] != ' ' || !head_check_is_digit(digits[0]) ||
        !head_check_is_digit(digits[1]) || !head_check_is_digit(digits[2]) ||
        (line.len > 12 && line.data[12] != ' ')) {
        return head_check_refuse(r, 502, "the status line is malformed");
    }
    r->answer = (digits[0] - (unsigned)'0') * 100u +
                (digits[1] - (unsigned)'0') * 10u + (digits[2] - (unsigned)'0');
    if (r->answer < 100 || r->answer > 599) {
        return head_check_refuse(r, 502, "the status is not 100 to 599");
    }
    return ERR_OK;
}

static struct span head_check_trim(struct span s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s = span_after(s, 1);
    }
    while (s.len > 0 &&
           (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    return s;
}

bool head_check_field(struct span *lines, struct head_field *field)
{
    struct span line;
    const uint8_t *colon;

    if (lines->len == 0) {
        return false;
    }
    line = head_check_line(lines);
    colon = memchr(line.data, ':', line.len);
    assert(colon != NULL);
    field->name = span_of(line.data, (size_t)(colon - line.data));
    field->value = head_check_trim(span_after(line, field->name.len + 1));
    return true;
}

/* One field line's form: "name:value", never folded. */
static enum err head_check_field_line(struct span line, struct head_check *r)
{
    const uint8_t *colon;
    struct span name;

    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return head_check_refuse(r, 400, "a folded field line");
    }
    colon = memchr(line.data, ':', line.len);
    if (colon == NULL) {
        return head_check_refuse(r, 400, "a field line without a colon");
    }
    name = span_of(line.data, (size_t)(colon - line.data));
    if (name.len == 0) {
        return head_check_refuse(r, 400, "an empty field name");
    }
    if (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '\t') {
        return head_check_refuse(r, 400, "a blank before a field's colon");
    }
    if (!head_is_token(name)) {
        return head_check_refuse(r, 400, "a field name is no token");
    }
    if (name.len > NAME_MAX) {
        return head_check_refuse(r, 431, "a field name is too long");
    }
    return ERR_OK;
}

/* All field lines up to the empty line, which must be the last. */
static enum err head_check_lines(struct span rest, struct head_check *r)
{
    struct span begin = rest;

    for (;;) {
        size_t before = rest.len;
        struct span line = head_check_line(&rest);

        if (line.len == 0) {
            r->fields = span_of(begin.data, begin.len - before);
            assert(rest.len == 0);
            return ERR_OK;
        }
        TRY(head_check_field_line(line, r));
        r->count++;
        if (r->count > HEAD_FIELDS_MAX) {
            return head_check_refuse(r, 431, "too many fields");
        }
    }
}

static enum err head_check_length(struct span value, struct head_check *r)
{
    if (r->has_length) {
        return head_check_refuse(r, 400, "more than one Content-Length");
    }
    if (value.len == 0 || value.len > LENGTH_DIGITS_MAX) {
        return head_check_refuse(r, 400, "Content-Length is no plain number");
    }
    r->has_length = true;
    for (size_t i = 0; i < value.len; i++) {
        if (!head_check_is_digit(value.data[i])) {
            return head_check_refuse(r, 400,
                                     "Content-Length is no plain number");
        }
        r->length = r->length * 10 + (uint64_t)(value.data[i] - '0');
    }
    return ERR_OK;
}

static enum err head_check_coding(struct span value, struct head_check *r)
{
    if (r->is_chunked) {
        return head_check_refuse(r, 400, "more than one Transfer-Encoding");
    }
    if (!head_same(value, "chunked")) {
        return head_check_refuse(r, 501, "an unknown transfer coding");
    }
    r->is_chunked = true;
    return ERR_OK;
}

/*
 * A tab behind a framing value, before |rest|: allowed (RFC 9110 5.5), but
 * llhttp is not alone in reading another value then, so it is not passed by.
 */
static enum err head_check_tab(struct span value, struct span rest,
                               struct head_check *r)
{
    const uint8_t *end = value.data + value.len;

    return memchr(end, '\t', (size_t)(rest.data - end)) == NULL
               ? ERR_OK
               : head_check_refuse(r, 400, "a tab behind a framing value");
}

/* The fields that frame and route, each with its rule. */
static enum err head_check_framing(struct head_check *r, size_t *hosts)
{
    struct span lines = r->fields;
    struct head_field f;

    while (head_check_field(&lines, &f)) {
        if (head_same(f.name, "content-length")) {
            TRY(head_check_length(f.value, r));
            TRY(head_check_tab(f.value, lines, r));
        } else if (head_same(f.name, "transfer-encoding")) {
            TRY(head_check_coding(f.value, r));
            TRY(head_check_tab(f.value, lines, r));
        } else if (head_same(f.name, "host")) {
            r->host = f.value;
            *hosts += 1;
        }
    }
    if (r->is_chunked && r->version == 10) {
        return head_check_refuse(r, 400, "Transfer-Encoding in HTTP/1.0");
    }
    if (r->is_chunked && r->has_length) {
        return head_check_refuse(r, 400,
                                 "Content-Length beside Transfer-Encoding");
    }
    return ERR_OK;
}

/* host or host:port: letters, digits, '-', '.', or a bracketed IPv6. */
static bool head_check_is_host(struct span s)
{
    size_t i = 0;
    bool is_literal = s.len > 0 && s.data[0] == '[';

    for (i = is_literal ? 1 : 0; i < s.len; i++) {
        uint8_t c = (uint8_t)(s.data[i] | 0x20u); /* letters in lower case */
        bool is_dot = s.data[i] == '.';
        bool is_hex = head_check_is_digit(s.data[i]) || (c >= 'a' && c <= 'f');

        if (is_literal ? !is_hex && !is_dot && s.data[i] != ':'
                       : !is_hex && !is_dot && !(c >= 'a' && c <= 'z') &&
                             s.data[i] != '-') {
            break;
        }
    }
    if (is_literal) {
        if (i == 1 || i == s.len || s.data[i] != ']') {
            return false;
        }
        i++;
    }
    if (i == 0 || i > NAME_MAX - 6) {
        return false;
    }
    s = span_after(s, i);
    if (s.len == 0) {
        return true;
    }
    for (i = 1; i < s.len; i++) {
        if (!head_check_is_digit(s.data[i])) {
            return false;
        }
    }
    return s.data[0] == ':' && s.len >= 2 && s.len <= 6;
}

static bool head_check_equal_fold(struct span a, struct span b)
{
    for (size_t i = 0; i < a.len && a.len == b.len; i++) {
        uint8_t x = a.data[i];
        uint8_t y = b.data[i];

        x = x >= 'A' && x <= 'Z' ? (uint8_t)(x | 0x20u) : x;
        y = y >= 'A' && y <= 'Z' ? (uint8_t)(y | 0x20u) : y;
        if (x != y) {
            return false;
        }
    }
    return a.len == b.len;
}

/* "http://host/path": the authority must be the Host field's value. */
static enum err head_check_absolute(struct head_check *r)
{
    struct span s = r->target;
    size_t scheme = s.len > 7 && head_same(span_of(s.data, 7), "http://") ? 7
                    : s.len > 8 && head_same(span_of(s.data, 8), "https://")
                        ? 8
                        : 0;
    size_t len = 0;

    if (scheme == 0) {
        return head_check_refuse(r, 400,
                                 "the target is neither a path nor "
                                 "an http address");
    }
    s = span_after(s, scheme);
    while (len < s.len && s.data[len] != '/' && s.data[len] != '?') {
        len++;
    }
    if (len == 0 || !head_check_equal_fold(span_of(s.data, len), r->host)) {
        return head_check_refuse(r, 400, "the target's host is not Host");
    }
    r->origin = span_after(s, len);
    return ERR_OK;
}

static enum err head_check_target(struct head_check *r)
{
    r->origin = r->target;
    if (span_equal(r->method, span_text("CONNECT"))) {
        return head_check_refuse(r, 501, "CONNECT is not for this server");
    }
    if (r->target.len > 0 && r->target.data[0] == '/') {
        return ERR_OK;
    }
    if (span_equal(r->target, span_text("*"))) {
        if (span_equal(r->method, span_text("OPTIONS"))) {
            return ERR_OK;
        }
        return head_check_refuse(r, 400, "the target * without OPTIONS");
    }
    return head_check_absolute(r);
}

static enum err head_check_routing(struct head_check *r, size_t hosts)
{
    if (hosts > 1) {
        return head_check_refuse(r, 400, "more than one Host");
    }
    if (hosts == 0 && r->version == 11) {
        return head_check_refuse(r, 400, "no Host in HTTP/1.1");
    }
    if (hosts == 1 && !head_check_is_host(r->host)) {
        return head_check_refuse(r, 400, "Host is no host name and port");
    }
    return head_check_target(r);
}

/* The whole of it, in the order in which it is read. */
static enum err head_check_all(struct span head, enum head_check_kind kind,
                               struct head_check *r)
{
    struct span rest = head;
    struct span line;
    size_t hosts = 0;

    TRY(head_check_start(head, 0, kind, r));
    if (head.len > HEAD_MAX) {
        return head_check_refuse(r, 431, "the head is too long");
    }
    line = head_check_line(&rest);
    TRY(kind == HEAD_CHECK_REQUEST ? head_check_request_line(line, r)
                                   : head_check_status_line(line, r));
    TRY(head_check_lines(rest, r));
    TRY(head_check_framing(r, &hosts));
    return kind == HEAD_CHECK_REQUEST ? head_check_routing(r, hosts) : ERR_OK;
}

enum err head_check(struct span head, enum head_check_kind kind,
                    struct head_check *result)
{
    assert(head.len >= 4 &&
           memcmp(head.data + head.len - 4, "\r\n\r\n", 4) == 0);
    memset(result, 0, sizeof(*result));
    return head_check_status(head_check_all(head, kind, result), kind, result);
}

enum err head_check_trailers(struct span section, struct head_check *result)
{
    memset(result, 0, sizeof(*result));
    TRY(head_check_bytes(section, 0, result));
    return head_check_lines(section, result);
}
