/*
 * What the fields of one hop say: Connection, what it names, Upgrade, the
 * framing. They are taken out of the head here, and written anew by h1_writer
 * for the next hop (RFC 9110 section 7.6.1).
 */
#include "common/http/h1_head.h"

/* More names than a head may have fields are an attack, not a list. */
#define NOMINATED_MAX HEAD_FIELDS_MAX

/* What ends at each hop, whether Connection names it or not. */
static const char *const hop_names[] = {
    "connection", "content-length",   "host", "http2-settings",
    "keep-alive", "proxy-connection", "te",   "transfer-encoding",
    "upgrade",
};

#define HOP_NAMES (sizeof(hop_names) / sizeof(hop_names[0]))

/* What a Connection field, or several, say. */
struct h1_hop {
    struct span names[NOMINATED_MAX];
    size_t count;
    bool closes;
    bool keeps_alive;
    bool upgrades;
    bool is_websocket; /* Upgrade has it among its tokens */
};

static void h1_head_lower(struct span s)
{
    /* The bytes are the parser's own copy: see h1_head_split(). */
    uint8_t *bytes = (uint8_t *)(uintptr_t)s.data;

    for (size_t i = 0; i < s.len; i++) {
        if (bytes[i] >= 'A' && bytes[i] <= 'Z') {
            bytes[i] |= 0x20u;
        }
    }
}

void h1_head_split(struct head *h, const struct head_check *c)
{
    struct span lines = c->fields;
    struct head_field f;

    while (head_check_field(&lines, &f)) {
        h1_head_lower(f.name);
        h->fields[h->count++] = f;
    }
    assert(h->count == c->count);
}

/* The next element of a comma-separated list, without blanks; may be empty. */
static bool h1_head_element(struct span *list, struct span *element)
{
    const uint8_t *comma;
    struct span s = *list;

    if (list->data == NULL) {
        return false;
    }
    comma = s.len == 0 ? NULL : memchr(s.data, ',', s.len);
    if (comma == NULL) {
        *list = span_of(NULL, 0);
    } else {
        s.len = (size_t)(comma - s.data);
        *list = span_after(*list, s.len + 1);
    }
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s = span_after(s, 1);
    }
    while (s.len > 0 &&
           (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t')) {
        s.len--;
    }
    *element = s;
    return true;
}

static enum err h1_head_connection(struct span list, struct h1_hop *hop,
                                   const char **why)
{
    struct span name;

    h1_head_lower(list);
    while (h1_head_element(&list, &name)) {
        if (name.len == 0) {
            continue;
        }
        if (!head_is_token(name)) {
            *why = "Connection is no list of names";
            return ERR_HEAD;
        }
        if (hop->count == NOMINATED_MAX) {
            *why = "Connection names too many fields";
            return ERR_HEAD;
        }
        hop->names[hop->count++] = name;
        hop->closes |= span_equal(name, span_text("close"));
        hop->keeps_alive |= span_equal(name, span_text("keep-alive"));
        hop->upgrades |= span_equal(name, span_text("upgrade"));
    }
    return ERR_OK;
}

static enum err h1_head_read_hop(const struct head *h, struct h1_hop *hop,
                                 const char **why)
{
    hop->count = 0;
    hop->closes = hop->keeps_alive = hop->upgrades = hop->is_websocket = false;
    for (size_t i = 0; i < h->count; i++) {
        struct span list = h->fields[i].value;
        struct span token;

        if (head_same(h->fields[i].name, "connection")) {
            TRY(h1_head_connection(list, hop, why));
        } else if (head_same(h->fields[i].name, "upgrade")) {
            while (h1_head_element(&list, &token)) {
                hop->is_websocket |= head_same(token, "websocket");
            }
        }
    }
    return ERR_OK;
}

static bool h1_head_ends_here(struct span name, const struct h1_hop *hop)
{
    for (size_t i = 0; i < HOP_NAMES; i++) {
        if (head_same(name, hop_names[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < hop->count; i++) {
        if (span_equal(name, hop->names[i])) {
            return true;
        }
    }
    return false;
}

static void h1_head_drop_hop(struct head *h, const struct h1_hop *hop)
{
    size_t kept = 0;

    for (size_t i = 0; i < h->count; i++) {
        if (!h1_head_ends_here(h->fields[i].name, hop)) {
            h->fields[kept++] = h->fields[i];
        }
    }
    h->count = kept;
}

/* Version, persistence, and the framing that the fields declare. */
static void h1_head_common(struct head *h, const struct head_check *c,
                           const struct h1_hop *hop, struct h1_message *m)
{
    memset(m, 0, sizeof(*m));
    m->version = c->version;
    m->keeps_alive =
        c->version == 11 ? !hop->closes : hop->keeps_alive && !hop->closes;
    h->framing = c->is_chunked   ? BODY_UNKNOWN
                 : c->has_length ? BODY_LENGTH
                                 : BODY_NONE;
    h->body_len = c->length;
    m->length = c->length;
    m->body = c->is_chunked                    ? H1_CHUNKS
              : c->has_length && c->length > 0 ? H1_PLAIN
                                               : H1_NO_BODY;
}

/* The target in origin form, or "*" (RFC 9112 section 3.2.4). */
static void h1_head_target(struct head *h, const struct head_check *c)
{
    h->target = c->origin;
    if (c->origin.len == 0) {
        h->target =
            span_text(span_equal(c->method, span_text("OPTIONS")) ? "*" : "/");
    } else if (c->origin.data[0] == '?') {
        /* The byte before is the authority's last, which nobody reads: the
         * Host field has its own. */
        uint8_t *slash = (uint8_t *)(uintptr_t)c->origin.data - 1;

        *slash = '/';
        h->target = span_of(slash, c->origin.len + 1);
    }
}

enum err h1_head_request(struct head *h, const struct head_check *c,
                         struct h1_message *m, const char **why)
{
    struct h1_hop hop;

    TRY(h1_head_read_hop(h, &hop, why));
    h1_head_common(h, c, &hop, m);
    h->method = c->method;
    h->authority = c->host;
    h1_head_target(h, c);

    /* An upgrade with a body, or of another protocol, is not asked for: the
     * request goes on as an ordinary one. */
    h->is_upgrade = hop.upgrades && hop.is_websocket && c->version == 11 &&
                    m->body == H1_NO_BODY &&
                    span_equal(c->method, span_text("GET"));
    if (h->is_upgrade) {
        h->framing = BODY_NONE;
    }
    h1_head_drop_hop(h, &hop);
    m->expects_continue = c->version == 11 && m->body != H1_NO_BODY &&
                          head_same(head_find(h, "expect"), "100-continue");
    return ERR_OK;
}

enum err h1_head_response(struct head *h, const struct head_check *c,
                          const struct h1_expect *e, struct h1_message *m,
                          const char **why)
{
    struct h1_hop hop;
    bool is_bare = c->answer < 200 || c->answer == 204;

    TRY(h1_head_read_hop(h, &hop, why));
    h1_head_common(h, c, &hop, m);
    h->status = (uint16_t)c->answer;
    if (c->answer == 101) {
        if (!e->is_upgrade || !hop.is_websocket) {
            *why = "the service switched protocols without being asked to";
            return ERR_HEAD;
        }
        h->is_upgrade = true;
    }

    /* RFC 9112 section 6.3: first the answers that have no body whatever the
     * fields say, then the fields, then all until the connection ends. */
    if (is_bare) {
        h->framing = BODY_NONE;
        h->body_len = 0;
        m->body = H1_NO_BODY;
    } else if (e->is_head || c->answer == 304) {
        m->body = H1_NO_BODY;
    } else if (!c->is_chunked && !c->has_length) {
        h->framing = BODY_UNKNOWN;
        m->body = H1_UNTIL_CLOSE;
        m->keeps_alive = false;
    }
    h1_head_drop_hop(h, &hop);
    return ERR_OK;
}
