/*
 * The texts stand in one table; "{host}" and "{detail}" in them are filled in,
 * escaped for where they end up. No visitor's bytes but the checked host name
 * ever enter a page.
 */
#include "relay/error_page.h"

#include <stdio.h>

struct page_text {
    unsigned status;
    const char *code;
    const char *title;
    const char *message;
    const char *hint;
};

/* clang-format off */
static const struct page_text texts[] = {
    [PAGE_BASE] = { 200, "relay", "A Sallyport relay",
        "This is a Sallyport relay. It shares ports of developers' machines "
        "under names of their own below {host}.",
        "To share one, run `sallyport http PORT` on your machine; the relay's "
        "operator hands out invitations." },
    [PAGE_BAD] = { 400, "bad_request", "The request was refused",
        "The relay refused this request: {detail}.",
        "Look at how the program that sent it writes HTTP." },
    [PAGE_NAME_UNKNOWN] = { 404, "unknown_name", "No such tunnel",
        "There is no tunnel called {host} on this relay.",
        "Check the address for typing mistakes. If it is your tunnel, look at "
        "the URL that `sallyport http PORT` printed." },
    [PAGE_HEAD_LATE] = { 408, "request_timeout", "The request came too slowly",
        "The request's head was not complete within 10 seconds.",
        "Try again; look at the connection if it goes on." },
    [PAGE_MISDIRECTED] = { 421, "misdirected_request", "The wrong connection",
        "The request names another host than the one that this connection was "
        "opened for.",
        "Open a connection of its own for each host name." },
    [PAGE_SERVICE_DOWN] = { 502, "service_down", "The service does not answer",
        "The tunnel {host} is up, but nothing answers at its local port.",
        "Start the service, or check the port given to `sallyport http`. The "
        "tunnel finds it again by itself." },
    [PAGE_SERVICE_BROKE] = { 502, "service_broke", "The service broke off",
        "The service behind {host} closed the connection without a valid "
        "answer.",
        "Look at the service's log and at the terminal where `sallyport` "
        "runs." },
    [PAGE_CLIENT_LOST] = { 502, "client_lost", "The tunnel went away",
        "The connection to the machine behind {host} broke before the service "
        "had answered.",
        "Try again in a moment; `sallyport` reconnects by itself while it "
        "runs." },
    [PAGE_RECONNECTING] = { 503, "reconnecting", "The tunnel is reconnecting",
        "The machine behind {host} has lost its connection to this relay and "
        "is trying to come back.",
        "This page looks again by itself every few seconds." },
    [PAGE_NO_CLIENT] = { 503, "no_client", "The tunnel is not connected",
        "The name {host} is taken, but no client serves it now.",
        "Start `sallyport` on the machine that shares this name, or wait if it "
        "is just reconnecting." },
    [PAGE_RESTARTING] = { 503, "restarting", "The relay is restarting",
        "The relay of {host} is being restarted and takes no new requests.",
        "This page looks again by itself every few seconds." },
    [PAGE_BUSY] = { 503, "busy", "Too many requests at once",
        "The tunnel {host} has as many requests under way as it may have.",
        "Try again in a moment. The relay's operator can raise `streams`." },
};
/* clang-format on */

static const char page_start[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<title>";
static const char page_style[] =
    "</title><style>"
    ":root{color-scheme:light dark}"
    "body{font:17px/1.55 system-ui,sans-serif;margin:0;min-height:100vh;"
    "display:grid;place-items:center;background:#f6f5f2;color:#23211e}"
    "main{max-width:34rem;padding:2rem}"
    "h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0 1rem}"
    "p{margin:0 0 1rem;overflow-wrap:anywhere}"
    "code{font-size:.92em;background:#8883;"
    "padding:.1em .35em;border-radius:.3em}"
    ".s{color:#8a5a2b;font-weight:600;letter-spacing:.04em}"
    ".h{border-left:3px solid #8a5a2b;padding-left:1rem}"
    "footer{color:#8a867f;font-size:.85rem}"
    "@media(prefers-color-scheme:dark){body{background:#1b1a18;"
    "color:#ece9e4}.s{color:#d9a066}.h{border-color:#d9a066}}"
    "</style></head><body><main>";

typedef void put_fn(struct wire_writer *w, char c);

static void put_html(struct wire_writer *w, char c)
{
    switch (c) {
    case '<':
        wire_write_text(w, "&lt;");
        break;
    case '>':
        wire_write_text(w, "&gt;");
        break;
    case '&':
        wire_write_text(w, "&amp;");
        break;
    case '"':
        wire_write_text(w, "&quot;");
        break;
    case '\'':
        wire_write_text(w, "&#39;");
        break;
    default:
        wire_write_u8(w, (uint8_t)c);
        break;
    }
}

static void put_json(struct wire_writer *w, char c)
{
    if (c == '"' || c == '\\') {
        wire_write_u8(w, '\\');
        wire_write_u8(w, (uint8_t)c);
    } else if ((unsigned char)c < 0x20) {
        char escape[8];

        (void)snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)c);
        wire_write_text(w, escape);
    } else {
        wire_write_u8(w, (uint8_t)c);
    }
}

static void put_text(struct wire_writer *w, const char *text, put_fn *put)
{
    for (; *text != '\0'; text++) {
        put(w, *text);
    }
}

/* |text| with its {holes} filled; `words` become code in HTML. */
static void put_filled(struct wire_writer *w, const char *text,
                       const struct error_page *p, put_fn *put)
{
    bool in_code = false;

    while (*text != '\0') {
        if (strncmp(text, "{host}", 6) == 0) {
            put_text(w, p->host != NULL ? p->host : "this name", put);
            text += 6;
        } else if (strncmp(text, "{detail}", 8) == 0) {
            put_text(w, p->detail != NULL ? p->detail : "it is malformed", put);
            text += 8;
        } else if (*text == '`' && put == put_html) {
            wire_write_text(w, in_code ? "</code>" : "<code>");
            in_code = !in_code;
            text++;
        } else {
            put(w, *text++);
        }
    }
}

static unsigned status_of(const struct error_page *p)
{
    return p->status != 0 ? p->status : texts[p->kind].status;
}

static void write_html(struct wire_writer *w, const struct error_page *p)
{
    const struct page_text *t = &texts[p->kind];
    char status[16];

    (void)snprintf(status, sizeof(status), "%u", status_of(p));
    wire_write_text(w, page_start);
    put_text(w, t->title, put_html);
    wire_write_text(w, page_style);
    if (status_of(p) != 200) {
        wire_write_text(w, "<div class=\"s\">");
        wire_write_text(w, status);
        wire_write_text(w, "</div>");
    }
    wire_write_text(w, "<h1>");
    put_text(w, t->title, put_html);
    wire_write_text(w, "</h1><p>");
    put_filled(w, t->message, p, put_html);
    wire_write_text(w, "</p><p class=\"h\">");
    put_filled(w, t->hint, p, put_html);
    wire_write_text(w, "</p><footer>Sallyport</footer></main></body></html>\n");
}

static void write_json(struct wire_writer *w, const struct error_page *p)
{
    const struct page_text *t = &texts[p->kind];

    wire_write_text(w,
                    status_of(p) == 200 ? "{\"service\":\"" : "{\"error\":\"");
    put_text(w, t->code, put_json);
    wire_write_text(w, "\",\"message\":\"");
    put_filled(w, t->message, p, put_json);
    wire_write_text(w, "\",\"hint\":\"");
    put_filled(w, t->hint, p, put_json);
    wire_write_text(w, "\"}\n");
}

void error_page_body(struct wire_writer *w, const struct error_page *p)
{
    if (p->is_navigation) {
        write_html(w, p);
    } else {
        write_json(w, p);
    }
    assert(wire_writer_done(w));
}

static void add(struct head *h, const char *name, const char *value)
{
    enum err e = head_add(h, span_text(name), span_text(value));

    assert(e == ERR_OK);
    (void)e;
}

void error_page_head(struct head *h, const struct error_page *p, size_t len)
{
    *h = (struct head){ .status = (uint16_t)status_of(p),
                        .framing = BODY_LENGTH,
                        .body_len = len };
    add(h, "content-type",
        p->is_navigation ? "text/html; charset=utf-8" : "application/json");
    add(h, "cache-control", "no-store");
    add(h, "x-content-type-options", "nosniff");
    if (p->is_navigation) {
        add(h, "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; "
            "frame-ancestors 'none'");
    }
    if (status_of(p) == 503) {
        add(h, "retry-after", "5");
    }
    if ((p->kind == PAGE_RECONNECTING || p->kind == PAGE_RESTARTING) &&
        p->is_navigation) {
        add(h, "refresh", "3");
    }
}

void error_page_write(struct wire_writer *w, const struct error_page *p,
                      const struct h1_response_to *to)
{
    uint8_t bytes[ERROR_PAGE_MAX];
    struct wire_writer body;
    struct h1_body mode;
    struct head head;

    wire_writer_init(&body, bytes, sizeof(bytes));
    error_page_body(&body, p);
    error_page_head(&head, p, body.len);
    h1_write_response(w, &head, to, &mode);
    if (!to->request_is_head) {
        wire_write_bytes(w, wire_written(&body));
    }
}

bool error_page_is_navigation(const struct head *h)
{
    return head_same(head_find(h, "sec-fetch-mode"), "navigate");
}
