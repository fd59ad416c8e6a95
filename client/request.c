/* Facts of a request: whether it may be sent twice, what its response may be.
 */
#include "client/request.h"

#include <stdio.h>

#include "common/http/fields.h"

/* RFC 9110 section 9.2.2. */
static bool is_idempotent(struct span method)
{
    static const char *const names[] = { "GET",    "HEAD",  "PUT",
                                         "DELETE", "TRACE", "OPTIONS" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_equal(method, span_text(names[i]))) {
            return true;
        }
    }
    return false;
}

static struct span without_query(struct span target)
{
    const uint8_t *query = memchr(target.data, '?', target.len);

    return query == NULL ? target
                         : span_of(target.data, (size_t)(query - target.data));
}

enum err request_read(struct request *r, struct span block)
{
    const char *why;
    struct span path;
    struct head h;

    TRY(head_decode(block, &h, &why));
    if (h.method.len == 0 || h.target.len == 0) {
        return ERR_HEAD;
    }
    path = without_query(h.target);
    snprintf(r->method, sizeof(r->method), "%.*s", (int)h.method.len,
             (const char *)h.method.data);
    snprintf(r->path, sizeof(r->path), "%.*s", (int)path.len,
             (const char *)path.data);
    r->expect.is_head = span_equal(h.method, span_text("HEAD"));
    r->expect.is_upgrade = h.is_upgrade;
    r->is_repeatable =
        is_idempotent(h.method) && h.framing == BODY_NONE && !h.is_upgrade;
    return ERR_OK;
}

enum err request_head(struct span block, const struct target *t,
                      const char *host_header, char *authority, struct head *h)
{
    const char *why;

    TRY(head_decode(block, h, &why));
    fields_request_local(h);
    if (strcmp(host_header, "rewrite") == 0) {
        target_authority(t, authority, TARGET_TEXT_MAX);
        h->authority = span_text(authority);
    } else if (host_header[0] != '\0') {
        h->authority = span_text(host_header);
    }
    return ERR_OK;
}
