/*
 * Heads and bodies as HTTP/1.1 text. One framing a message, chosen from what
 * the head declares, the visitor's version and the kind of answer; received
 * framing fields are not among the fields by then.
 */
#include "common/http/h1_writer.h"

#include <inttypes.h>
#include <stdio.h>

struct h1_reason {
    uint16_t status;
    const char *text;
};

/* clang-format off */
static const struct h1_reason h1_reasons[] = {
    { 100, "Continue" },              { 101, "Switching Protocols" },
    { 102, "Processing" },            { 103, "Early Hints" },
    { 200, "OK" },                    { 201, "Created" },
    { 202, "Accepted" },              { 203, "Non-Authoritative Information" },
    { 204, "No Content" },            { 205, "Reset Content" },
    { 206, "Partial Content" },       { 207, "Multi-Status" },
    { 300, "Multiple Choices" },      { 301, "Moved Permanently" },
    { 302, "Found" },                 { 303, "See Other" },
    { 304, "Not Modified" },          { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },    { 400, "Bad Request" },
    { 401, "Unauthorized" },          { 402, "Payment Required" },
    { 403, "Forbidden" },             { 404, "Not Found" },
    { 405, "Method Not Allowed" },    { 406, "Not Acceptable" },
    { 407, "Proxy Authentication Required" },
    { 408, "Request Timeout" },       { 409, "Conflict" },
    { 410, "Gone" },                  { 411, "Length Required" },
    { 412, "Precondition Failed" },   { 413, "Content Too Large" },
    { 414, "URI Too Long" },          { 415, "Unsupported Media Type" },
    { 416, "Range Not Satisfiable" }, { 417, "Expectation Failed" },
    { 418, "I'm a teapot" },          { 421, "Misdirected Request" },
    { 422, "Unprocessable Content" }, { 423, "Locked" },
    { 424, "Failed Dependency" },     { 425, "Too Early" },
    { 426, "Upgrade Required" },      { 428, "Precondition Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 451, "Unavailable For Legal Reasons" },
    { 500, "Internal Server Error" }, { 501, "Not Implemented" },
    { 502, "Bad Gateway" },           { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },       { 505, "HTTP Version Not Supported" },
    { 507, "Insufficient Storage" },
};
/* clang-format on */

#define H1_REASONS (sizeof(h1_reasons) / sizeof(h1_reasons[0]))

/* RFC 9112 section 4: the reason may be empty, its blank may not. */
static const char *h1_reason(unsigned status)
{
    for (size_t i = 0; i < H1_REASONS; i++) {
        if (h1_reasons[i].status == status) {
            return h1_reasons[i].text;
        }
    }
    return "";
}

static void h1_write_field(struct wire_writer *w, struct span name,
                           struct span value)
{
    wire_write_bytes(w, name);
    wire_write_text(w, ": ");
    wire_write_bytes(w, value);
    wire_write_text(w, "\r\n");
}

static void h1_write_fields(struct wire_writer *w, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        h1_write_field(w, h->fields[i].name, h->fields[i].value);
    }
}

static void h1_write_number(struct wire_writer *w, const char *before,
                            uint64_t number)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%s%" PRIu64 "\r\n", before, number);
    wire_write_text(w, text);
}

static void h1_write_framing(struct wire_writer *w, enum body_framing framing,
                             uint64_t len)
{
    switch (framing) {
    case BODY_NONE:
        break;
    case BODY_LENGTH:
        h1_write_number(w, "content-length: ", len);
        break;
    case BODY_UNKNOWN:
        wire_write_text(w, "transfer-encoding: chunked\r\n");
        break;
    }
}

static void h1_write_upgrade(struct wire_writer *w)
{
    wire_write_text(w, "connection: Upgrade\r\nupgrade: websocket\r\n");
}

static struct h1_body h1_body_of(enum body_framing framing, uint64_t len)
{
    switch (framing) {
    case BODY_LENGTH:
        return (struct h1_body){ .mode = H1_BODY_LENGTH, .left = len };
    case BODY_UNKNOWN:
        return (struct h1_body){ .mode = H1_BODY_CHUNKED };
    case BODY_NONE:
        break;
    }
    return (struct h1_body){ .mode = H1_BODY_NONE };
}

void h1_write_request(struct wire_writer *w, const struct head *h,
                      struct h1_body *body)
{
    wire_write_bytes(w, h->method);
    wire_write_text(w, " ");
    wire_write_bytes(w, h->target);
    wire_write_text(w, " HTTP/1.1\r\n");
    h1_write_field(w, span_text("host"), h->authority);
    h1_write_fields(w, h);
    if (h->is_upgrade) {
        h1_write_upgrade(w);
    } else {
        h1_write_framing(w, h->framing, h->body_len);
    }
    wire_write_text(w, "\r\n");
    *body = h1_body_of(h->is_upgrade ? BODY_NONE : h->framing, h->body_len);
}

static void h1_write_status(struct wire_writer *w, unsigned status)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "HTTP/1.1 %u %s\r\n", status,
                   h1_reason(status));
    wire_write_text(w, text);
}

/* The final answer's framing and persistence. */
static void h1_write_final(struct wire_writer *w, const struct head *h,
                           const struct h1_response_to *to,
                           struct h1_body *body)
{
    bool has_none = to->request_is_head || h->status == 304;
    enum body_framing framing = h->status == 204 ? BODY_NONE : h->framing;
    bool closes = to->close;

    if (h->status != 204 && !has_none && framing == BODY_NONE) {
        /* None is said by the absence of fields only where the status says
         * it; elsewhere that would mean: until the connection ends. */
        framing = BODY_LENGTH;
    }
    if (framing == BODY_UNKNOWN && to->version == 10) {
        *body = (struct h1_body){ .mode = H1_BODY_CLOSE };
        closes |= !has_none;
    } else {
        *body =
            h1_body_of(framing, h->framing == BODY_LENGTH ? h->body_len : 0);
        h1_write_framing(w, framing, body->left);
    }
    if (has_none) {
        *body = (struct h1_body){ .mode = H1_BODY_NONE };
    }
    if (closes) {
        wire_write_text(w, "connection: close\r\n");
    } else if (to->version == 10) {
        wire_write_text(w, "connection: keep-alive\r\n");
    }
}

void h1_write_response(struct wire_writer *w, const struct head *h,
                       const struct h1_response_to *to, struct h1_body *body)
{
    bool is_final = h->status >= 200 || h->status == 101;

    if (!is_final && to->version == 10) {
        return;
    }
    h1_write_status(w, h->status);
    h1_write_fields(w, h);
    if (h->status == 101) {
        h1_write_upgrade(w);
        *body = (struct h1_body){ .mode = H1_BODY_RAW };
    } else if (is_final) {
        h1_write_final(w, h, to, body);
    }
    wire_write_text(w, "\r\n");
}

enum err h1_body_begin(struct h1_body *b, size_t len,
                       struct wire_writer *before)
{
    char line[H1_CHUNK_LINE_MAX + 1];

    switch (b->mode) {
    case H1_BODY_NONE:
        return len == 0 ? ERR_OK : ERR_HEAD;
    case H1_BODY_LENGTH:
        if (len > b->left) {
            return ERR_HEAD;
        }
        b->left -= len;
        return ERR_OK;
    case H1_BODY_CHUNKED:
        /* A chunk of nothing would be the last one. */
        assert(len > 0 && len <= UINT32_MAX);
        (void)snprintf(line, sizeof(line), "%zx\r\n", len);
        wire_write_text(before, line);
        return ERR_OK;
    case H1_BODY_CLOSE:
    case H1_BODY_RAW:
        break;
    }
    return ERR_OK;
}

struct span h1_chunk_end(const struct h1_body *b)
{
    return span_text(b->mode == H1_BODY_CHUNKED ? "\r\n" : "");
}

enum err h1_body_finish(struct h1_body *b, const struct head *trailers,
                        struct wire_writer *w)
{
    bool is_short = b->mode == H1_BODY_LENGTH && b->left > 0;

    if (b->mode == H1_BODY_CHUNKED) {
        wire_write_text(w, "0\r\n");
        if (trailers != NULL) {
            h1_write_fields(w, trailers);
        }
        wire_write_text(w, "\r\n");
    }
    b->mode = H1_BODY_NONE;
    return is_short ? ERR_HEAD : ERR_OK;
}
