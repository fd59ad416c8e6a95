/*
 * The forms a target may have, and nothing about connecting to it. A bare
 * port means this machine: "localhost", which dial tries as 127.0.0.1 and as
 * [::1], for Vite binds only the latter.
 */
#include "client/target.h"

#include <stdio.h>

#include "common/address.h"

#define TARGET_PORT_HTTP 80
#define TARGET_PORT_HTTPS 443

/* Cut "http://" or "https://" off |rest|; false for another scheme. */
static bool take_scheme(struct span *rest, bool *is_tls, bool *has_scheme)
{
    static const char sep[] = "://";
    size_t at;

    *is_tls = false;
    *has_scheme = false;
    for (at = 0; at + 3 <= rest->len; at++) {
        if (memcmp(rest->data + at, sep, 3) == 0) {
            break;
        }
    }
    if (at + 3 > rest->len) {
        return true;
    }
    *has_scheme = true;
    if (span_equal(span_of(rest->data, at), span_text("https"))) {
        *is_tls = true;
    } else if (!span_equal(span_of(rest->data, at), span_text("http"))) {
        return false;
    }
    *rest = span_after(*rest, at + 3);
    return true;
}

static bool is_all_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
    }
    return s.len > 0;
}

/* Cut a lone "/" off the end; false when there is more of a path. */
static bool take_path(struct span *rest)
{
    const uint8_t *slash =
        rest->len == 0 ? NULL : memchr(rest->data, '/', rest->len);

    if (slash == NULL) {
        return memchr(rest->data, '?', rest->len) == NULL;
    }
    if (slash + 1 != rest->data + rest->len) {
        return false;
    }
    rest->len--;
    return true;
}

static enum err parse_port(struct span digits, uint16_t *port)
{
    unsigned long value = 0;

    if (digits.len > 5) {
        return ERR_SETTINGS;
    }
    for (size_t i = 0; i < digits.len; i++) {
        value = value * 10 + (unsigned long)(digits.data[i] - '0');
    }
    if (value == 0 || value > UINT16_MAX) {
        return ERR_SETTINGS;
    }
    *port = (uint16_t)value;
    return ERR_OK;
}

void target_authority(const struct target *t, char *out, size_t size)
{
    bool is_v6 = strchr(t->host, ':') != NULL;

    snprintf(out, size, is_v6 ? "[%s]:%u" : "%s:%u", t->host,
             (unsigned)t->port);
}

enum err target_parse(const char *text, struct target *t, const char **why)
{
    struct span rest = span_text(text);
    uint16_t port_default = 0;
    bool has_scheme;
    char authority[TARGET_HOST_MAX + 16];

    memset(t, 0, sizeof(*t));
    if (rest.len == 0 || rest.len >= TARGET_HOST_MAX) {
        *why = "give a PORT, a HOST:PORT or a URL";
        return ERR_SETTINGS;
    }
    if (!take_scheme(&rest, &t->is_tls, &has_scheme)) {
        *why = "only http:// and https:// targets can be shared";
        return ERR_SETTINGS;
    }
    if (has_scheme && !take_path(&rest)) {
        *why = "a target has no path: a tunnel shares a whole service, and "
               "the visitor's path goes through unchanged";
        return ERR_SETTINGS;
    }
    if (has_scheme) {
        port_default = t->is_tls ? TARGET_PORT_HTTPS : TARGET_PORT_HTTP;
    }
    if (!has_scheme && is_all_digits(rest)) {
        if (parse_port(rest, &t->port) != ERR_OK) {
            *why = "a port is a number from 1 to 65535";
            return ERR_SETTINGS;
        }
        snprintf(t->host, sizeof(t->host), "localhost");
    } else if (address_split(rest, port_default, t->host, sizeof(t->host),
                             &t->port) != ERR_OK ||
               t->port == 0) {
        *why = memchr(rest.data, '/', rest.len) != NULL
                   ? "a target has no path; write http://HOST:PORT"
                   : "give a PORT, a HOST:PORT or a URL";
        return ERR_SETTINGS;
    }
    target_authority(t, authority, sizeof(authority));
    snprintf(t->text, sizeof(t->text), "%s://%s", t->is_tls ? "https" : "http",
             authority);
    return ERR_OK;
}
