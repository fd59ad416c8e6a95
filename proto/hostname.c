/*
 * Public names: which labels may be given out, and how a host is compared
 * with the relay's base domain. Who owns a name is not known here.
 */
#include "proto/hostname.h"

#include "proto/limits.h"

#define HOST_MAX_LEN 253u
#define PORT_MAX 65535u

/* Labels that browsers, mail or people take for something else. */
static const char *const reserved_labels[] = {
    "www",          "mail", "admin",  "api",
    "autodiscover", "wpad", "isatap", "localhost",
};

#define RESERVED_LABELS (sizeof(reserved_labels) / sizeof(reserved_labels[0]))

/* Whether |c| may stand in a label at all. */
static bool hostname_is_label_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

/* Whether |s| is a label of a host name, in lower case. */
static bool hostname_is_label(struct span s)
{
    if (s.len == 0 || s.len > NAME_MAX_LEN || s.data[0] == '-' ||
        s.data[s.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!hostname_is_label_byte(s.data[i])) {
            return false;
        }
    }
    return true;
}

enum err hostname_check_label(struct span name, const char **why)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN) {
        *why = "a name has 1 to 63 characters";
        return ERR_NAME_BAD;
    }
    if (!hostname_is_label(name)) {
        *why = "a name has only a-z, 0-9 and hyphens inside";
        return ERR_NAME_BAD;
    }
    for (size_t i = 0; i < RESERVED_LABELS; i++) {
        if (span_equal(name, span_text(reserved_labels[i]))) {
            *why = "this name is reserved";
            return ERR_NAME_BAD;
        }
    }
    if (name.len >= 4 && memcmp(name.data, "xn--", 4) == 0) {
        *why = "names that begin with xn-- are reserved";
        return ERR_NAME_BAD;
    }
    return ERR_OK;
}

/* Whether |s| is the digits of a port. */
static bool hostname_is_port(struct span s)
{
    unsigned port = 0;

    if (s.len == 0 || s.len > 5) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }
        port = port * 10 + (unsigned)(s.data[i] - '0');
    }
    return port <= PORT_MAX;
}

/* Take |*host|'s port away; false when what follows the colon is none. */
static bool hostname_cut_port(struct span *host)
{
    const uint8_t *colon;

    if (host->len == 0) {
        return true;
    }
    colon = memchr(host->data, ':', host->len);
    if (colon != NULL) {
        struct span before = span_of(host->data, (size_t)(colon - host->data));

        if (!hostname_is_port(span_after(*host, before.len + 1))) {
            return false;
        }
        *host = before;
    }
    return true;
}

enum err hostname_normalise(struct span host, char *out, size_t size)
{
    size_t begin = 0;

    if (!hostname_cut_port(&host)) {
        return ERR_NAME_BAD;
    }
    if (host.len > 0 && host.data[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len == 0 || host.len > HOST_MAX_LEN || host.len >= size) {
        return ERR_NAME_BAD;
    }

    for (size_t i = 0; i < host.len; i++) {
        uint8_t c = host.data[i];

        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[host.len] = '\0';

    for (size_t i = 0; i <= host.len; i++) {
        if (out[i] == '.' || i == host.len) {
            if (!hostname_is_label(span_of(out + begin, i - begin))) {
                return ERR_NAME_BAD;
            }
            begin = i + 1;
        }
    }
    return ERR_OK;
}

struct span hostname_label(const char *host, const char *base)
{
    size_t host_len = strlen(host);
    size_t base_len = strlen(base);
    size_t label_len;

    if (host_len < base_len ||
        strcmp(host + (host_len - base_len), base) != 0) {
        return span_of(NULL, 0);
    }
    if (host_len == base_len) {
        return span_of(host, 0);
    }

    /* What is before the base must be one label and its dot. */
    label_len = host_len - base_len - 1;
    if (label_len == 0 || host[label_len] != '.' ||
        memchr(host, '.', label_len) != NULL) {
        return span_of(NULL, 0);
    }
    return span_of(host, label_len);
}
