/*
 * Which fields may pass between visitor and service, and which are ours to
 * say. A visitor who could set these would choose its own address, scheme or
 * identity at a service that trusts its proxy.
 */
#include "common/http/fields.h"

enum field_rule {
    FIELD_FORWARDING = 1, /* where a request comes from, or goes to */
    FIELD_IDENTITY = 2,   /* who the visitor is, said by a gateway */
    FIELD_TRAILER = 4     /* may not stand in trailers (RFC 9110 6.5.1) */
};

struct field_name {
    const char *name; /* lower case; with '*' at the end: a prefix */
    enum field_rule rule;
};

/* clang-format off */
static const struct field_name field_names[] = {
    /* Set by us alone, and their kin that other proxies set. */
    { "x-forwarded-*",                 FIELD_FORWARDING },
    { "x-real-ip",                     FIELD_FORWARDING },
    { "forwarded",                     FIELD_FORWARDING },
    { "x-forwarded",                   FIELD_FORWARDING },
    { "forwarded-for",                 FIELD_FORWARDING },
    { "true-client-ip",                FIELD_FORWARDING },
    { "x-client-ip",                   FIELD_FORWARDING },
    { "client-ip",                     FIELD_FORWARDING },
    { "x-cluster-client-ip",           FIELD_FORWARDING },
    { "x-originating-ip",              FIELD_FORWARDING },
    { "x-remote-ip",                   FIELD_FORWARDING },
    { "x-remote-addr",                 FIELD_FORWARDING },
    { "x-proxyuser-ip",                FIELD_FORWARDING },
    { "cf-connecting-ip",              FIELD_FORWARDING },
    { "cf-connecting-ipv6",            FIELD_FORWARDING },
    { "cf-pseudo-ipv4",                FIELD_FORWARDING },
    { "fastly-client-ip",              FIELD_FORWARDING },
    { "fly-client-ip",                 FIELD_FORWARDING },
    { "x-azure-clientip",              FIELD_FORWARDING },
    { "x-azure-socketip",              FIELD_FORWARDING },
    { "x-appengine-user-ip",           FIELD_FORWARDING },
    { "x-envoy-external-address",      FIELD_FORWARDING },
    { "x-envoy-original-path",         FIELD_FORWARDING },
    { "x-original-url",                FIELD_FORWARDING },
    { "x-original-uri",                FIELD_FORWARDING },
    { "x-original-host",               FIELD_FORWARDING },
    { "x-original-forwarded-for",      FIELD_FORWARDING },
    { "x-rewrite-url",                 FIELD_FORWARDING },
    { "x-host",                        FIELD_FORWARDING },
    { "x-scheme",                      FIELD_FORWARDING },
    { "x-url-scheme",                  FIELD_FORWARDING },
    { "front-end-https",               FIELD_FORWARDING },
    { "proxy",                         FIELD_FORWARDING },

    /* Trusted by services behind a gateway that logs people in. */
    { "x-user-email",                  FIELD_IDENTITY },
    { "x-user-name",                   FIELD_IDENTITY },
    { "x-user-groups",                 FIELD_IDENTITY },
    { "x-auth-request-*",              FIELD_IDENTITY },
    { "x-auth-user",                   FIELD_IDENTITY },
    { "x-auth-username",               FIELD_IDENTITY },
    { "x-auth-email",                  FIELD_IDENTITY },
    { "x-auth-groups",                 FIELD_IDENTITY },
    { "x-authenticated-*",             FIELD_IDENTITY },
    { "x-authentik-*",                 FIELD_IDENTITY },
    { "x-webauth-*",                   FIELD_IDENTITY },
    { "x-remote-user",                 FIELD_IDENTITY },
    { "x-remote-email",                FIELD_IDENTITY },
    { "x-remote-name",                 FIELD_IDENTITY },
    { "x-remote-group",                FIELD_IDENTITY },
    { "x-remote-groups",               FIELD_IDENTITY },
    { "x-remote-extra-*",              FIELD_IDENTITY },
    { "remote-user",                   FIELD_IDENTITY },
    { "remote-email",                  FIELD_IDENTITY },
    { "remote-name",                   FIELD_IDENTITY },
    { "remote-groups",                 FIELD_IDENTITY },
    { "tailscale-user-*",              FIELD_IDENTITY },
    { "tailscale-app-capabilities",    FIELD_IDENTITY },
    { "cf-access-*",                   FIELD_IDENTITY },
    { "x-goog-authenticated-user-*",   FIELD_IDENTITY },
    { "x-goog-iap-*",                  FIELD_IDENTITY },
    { "x-amzn-oidc-*",                 FIELD_IDENTITY },
    { "x-amzn-mtls-*",                 FIELD_IDENTITY },
    { "x-ms-client-principal*",        FIELD_IDENTITY },
    { "x-ms-token-*",                  FIELD_IDENTITY },
    { "x-pomerium-*",                  FIELD_IDENTITY },
    { "x-vouch-*",                     FIELD_IDENTITY },
    { "x-credential-*",                FIELD_IDENTITY },
    { "x-consumer-*",                  FIELD_IDENTITY },
    { "x-token-subject",               FIELD_IDENTITY },
    { "x-token-user-*",                FIELD_IDENTITY },
    { "oidc-claim-*",                  FIELD_IDENTITY },
    { "ssl-client-*",                  FIELD_IDENTITY },
    { "x-ssl-client-*",                FIELD_IDENTITY },
    { "x-client-cert*",                FIELD_IDENTITY },
    { "client-cert",                   FIELD_IDENTITY },
    { "client-cert-chain",             FIELD_IDENTITY },

    /* What a reader needs before the body, or what routes and frames. */
    { "host",                          FIELD_TRAILER },
    { "connection",                    FIELD_TRAILER },
    { "keep-alive",                    FIELD_TRAILER },
    { "proxy-*",                       FIELD_TRAILER },
    { "te",                            FIELD_TRAILER },
    { "trailer",                       FIELD_TRAILER },
    { "transfer-encoding",             FIELD_TRAILER },
    { "upgrade",                       FIELD_TRAILER },
    { "http2-settings",                FIELD_TRAILER },
    { "content-*",                     FIELD_TRAILER },
    { "authorization",                 FIELD_TRAILER },
    { "www-authenticate",              FIELD_TRAILER },
    { "cookie",                        FIELD_TRAILER },
    { "set-cookie",                    FIELD_TRAILER },
    { "expect",                        FIELD_TRAILER },
    { "max-forwards",                  FIELD_TRAILER },
    { "range",                         FIELD_TRAILER },
    { "if-*",                          FIELD_TRAILER },
    { "cache-control",                 FIELD_TRAILER },
    { "pragma",                        FIELD_TRAILER },
    { "age",                           FIELD_TRAILER },
    { "expires",                       FIELD_TRAILER },
    { "date",                          FIELD_TRAILER },
    { "location",                      FIELD_TRAILER },
    { "retry-after",                   FIELD_TRAILER },
    { "vary",                          FIELD_TRAILER },
    { "warning",                       FIELD_TRAILER },
    { "origin",                        FIELD_TRAILER },
    { "referer",                       FIELD_TRAILER },
    { "access-control-*",              FIELD_TRAILER },
    { "sec-*",                         FIELD_TRAILER },
};
/* clang-format on */

#define FIELD_NAMES (sizeof(field_names) / sizeof(field_names[0]))

/* Hop-by-hop and framing names: head_decode() refuses most of them already. */
static const char *const field_hop_names[] = {
    "host",           "connection", "content-length",   "transfer-encoding",
    "upgrade",        "keep-alive", "proxy-connection", "te",
    "http2-settings",
};

#define FIELD_HOP_NAMES (sizeof(field_hop_names) / sizeof(field_hop_names[0]))

/* What the relay sets and the client lets pass, once each. */
static const char *const field_own_names[] = {
    "x-forwarded-for",  "x-real-ip",        "x-forwarded-proto",
    "x-forwarded-host", "x-forwarded-port",
};

#define FIELD_OWN_NAMES (sizeof(field_own_names) / sizeof(field_own_names[0]))

static bool field_matches(struct span name, const char *pattern)
{
    size_t len = strlen(pattern);

    if (pattern[len - 1] != '*') {
        return span_equal(name, span_of(pattern, len));
    }
    return name.len >= len - 1 && memcmp(name.data, pattern, len - 1) == 0;
}

/* Whether the lower-case |name| falls under one of |rules|. */
static bool field_is_under(struct span name, unsigned rules)
{
    /* A service behind CGI or WSGI reads x_real_ip as x-real-ip. */
    if (memchr(name.data, '_', name.len) != NULL) {
        return true;
    }
    for (size_t i = 0; i < FIELD_NAMES; i++) {
        if (((unsigned)field_names[i].rule & rules) != 0 &&
            field_matches(name, field_names[i].name)) {
            return true;
        }
    }
    return false;
}

static size_t fields_drop(struct head *h, unsigned rules)
{
    size_t kept = 0;
    size_t dropped;

    for (size_t i = 0; i < h->count; i++) {
        if (!field_is_under(h->fields[i].name, rules)) {
            h->fields[kept++] = h->fields[i];
        }
    }
    dropped = h->count - kept;
    h->count = kept;
    return dropped;
}

enum err fields_request(struct head *h, const struct fields_origin *o,
                        size_t *dropped)
{
    const char *values[FIELD_OWN_NAMES] = { o->address, o->address, o->scheme,
                                            o->host, o->port };

    *dropped = fields_drop(h, FIELD_FORWARDING | FIELD_IDENTITY);
    for (size_t i = 0; i < FIELD_OWN_NAMES; i++) {
        TRY(head_add(h, span_text(field_own_names[i]), span_text(values[i])));
    }
    return ERR_OK;
}

static bool field_is_hop(struct span name)
{
    for (size_t i = 0; i < FIELD_HOP_NAMES; i++) {
        if (span_equal(name, span_text(field_hop_names[i]))) {
            return true;
        }
    }
    return false;
}

/* The place of |name| among our own ones, FIELD_OWN_NAMES when not there. */
static size_t field_own(struct span name)
{
    size_t i = 0;

    while (i < FIELD_OWN_NAMES &&
           !span_equal(name, span_text(field_own_names[i]))) {
        i++;
    }
    return i;
}

void fields_request_local(struct head *h)
{
    bool seen[FIELD_OWN_NAMES] = { false };
    size_t kept = 0;

    for (size_t i = 0; i < h->count; i++) {
        struct span name = h->fields[i].name;
        size_t own = field_own(name);
        bool stays;

        if (own < FIELD_OWN_NAMES) {
            stays = !seen[own];
            seen[own] = true;
        } else {
            stays = !field_is_hop(name) &&
                    !field_is_under(name, FIELD_FORWARDING | FIELD_IDENTITY);
        }
        if (stays) {
            h->fields[kept++] = h->fields[i];
        }
    }
    h->count = kept;
}

static struct span field_trim(struct span s, const char *blanks)
{
    while (s.len > 0 && strchr(blanks, s.data[0]) != NULL && s.data[0] != 0) {
        s = span_after(s, 1);
    }
    while (s.len > 0 && strchr(blanks, s.data[s.len - 1]) != NULL &&
           s.data[s.len - 1] != 0) {
        s.len--;
    }
    return s;
}

/* Whether |domain| is a parent of |host|: ".example.com" of a.example.com. */
static bool field_is_above(struct span domain, const char *host)
{
    size_t len = strlen(host);
    const char *tail;

    domain = field_trim(domain, " \t\".");
    if (domain.len == 0 || domain.len >= len) {
        return false;
    }
    tail = host + (len - domain.len);
    for (size_t i = 0; i < domain.len; i++) {
        uint8_t c = domain.data[i];

        c = c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20u) : c;
        if (c != (uint8_t)tail[i]) {
            return false;
        }
    }
    return tail[-1] == '.';
}

/* Whether the cookie attribute |part| is a Domain above |host|. */
static bool field_is_wide(struct span part, const char *host)
{
    const uint8_t *equals = memchr(part.data, '=', part.len);
    struct span name;

    if (equals == NULL) {
        return false;
    }
    name = span_of(part.data, (size_t)(equals - part.data));
    return head_same(field_trim(name, " \t"), "domain") &&
           field_is_above(span_after(part, name.len + 1), host);
}

/* Copy the cookie's parts but the wide ones to |w|; false when none is. */
static bool field_narrow_cookie(struct span cookie, const char *host,
                                struct wire_writer *w)
{
    bool is_changed = false;
    bool is_first = true;

    for (;;) {
        const uint8_t *semicolon = memchr(cookie.data, ';', cookie.len);
        size_t len =
            semicolon == NULL ? cookie.len : (size_t)(semicolon - cookie.data);
        struct span part = span_of(cookie.data, len);

        /* The first part is the cookie itself, whatever its name. */
        if (!is_first && field_is_wide(part, host)) {
            is_changed = true;
        } else {
            wire_write_text(w, is_first ? "" : ";");
            wire_write_bytes(w, part);
        }
        is_first = false;
        if (semicolon == NULL) {
            return is_changed;
        }
        cookie = span_after(cookie, len + 1);
    }
}

void fields_response(struct head *h, const char *host,
                     struct wire_writer *scratch)
{
    size_t kept = 0;

    for (size_t i = 0; i < h->count; i++) {
        struct head_field f = h->fields[i];

        if (f.value.len > 0 && span_equal(f.name, span_text("set-cookie"))) {
            size_t before = scratch->len;

            if (!field_narrow_cookie(f.value, host, scratch)) {
                scratch->len = before;
            } else if (wire_writer_done(scratch)) {
                f.value =
                    span_of(scratch->data + before, scratch->len - before);
                f.value = field_trim(f.value, " \t");
            } else {
                /* No room to narrow it: a cookie lost is better than one
                 * given to every neighbour. */
                continue;
            }
        }
        h->fields[kept++] = f;
    }
    h->count = kept;
}

void fields_trailers(struct head *h)
{
    (void)fields_drop(h, FIELD_FORWARDING | FIELD_IDENTITY | FIELD_TRAILER);
}
