/* Addresses: between libuv's form, text, and the form on the wire. */
#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define PORT_DIGITS_MAX 5u

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0,    0,
                                           0, 0, 0, 0, 0xff, 0xff };

void address_to_visitor(const struct sockaddr_storage *a,
                        struct visitor_address *out)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

    *out = (struct visitor_address){ .family = 4 };
    if (a->ss_family == AF_INET) {
        memcpy(out->bytes, &v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
    } else if (a->ss_family == AF_INET6) {
        const uint8_t *bytes = v6->sin6_addr.s6_addr;

        out->port = ntohs(v6->sin6_port);
        if (memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0) {
            memcpy(out->bytes, bytes + sizeof(mapped_prefix), 4);
        } else {
            out->family = 6;
            memcpy(out->bytes, bytes, 16);
        }
    }
}

void address_visitor_text(const struct visitor_address *a, char *out,
                          size_t size)
{
    int family = a->family == 6 ? AF_INET6 : AF_INET;

    if (inet_ntop(family, a->bytes, out, (socklen_t)size) == NULL) {
        snprintf(out, size, "?");
    }
}

void address_text(const struct sockaddr_storage *a, char *out, size_t size)
{
    struct visitor_address v;
    char text[INET6_ADDRSTRLEN];

    if (a->ss_family != AF_INET && a->ss_family != AF_INET6) {
        snprintf(out, size, "?");
        return;
    }
    address_to_visitor(a, &v);
    address_visitor_text(&v, text, sizeof(text));
    if (v.family == 6) {
        snprintf(out, size, "[%s]:%u", text, (unsigned)v.port);
    } else {
        snprintf(out, size, "%s:%u", text, (unsigned)v.port);
    }
}

bool address_is_loopback(const struct sockaddr_storage *a)
{
    static const uint8_t six[16] = { [15] = 1 };
    struct visitor_address v;

    if (a->ss_family != AF_INET && a->ss_family != AF_INET6) {
        return false;
    }
    address_to_visitor(a, &v);
    if (v.family == 4) {
        return v.bytes[0] == 127;
    }
    return memcmp(v.bytes, six, sizeof(six)) == 0;
}

bool address_from_host(const char *host, uint16_t port,
                       struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                               .sin6_port = htons(port) };

    memset(out, 0, sizeof(*out));
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof(v4));
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(out, &v6, sizeof(v6));
        return true;
    }
    return false;
}

/* A decimal port, 0 to 65535, nothing around it. */
static enum err port_parse(struct span text, uint16_t *port)
{
    uint32_t value = 0;

    if (text.len == 0 || text.len > PORT_DIGITS_MAX) {
        return ERR_SETTINGS;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return ERR_SETTINGS;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (value > UINT16_MAX) {
        return ERR_SETTINGS;
    }
    *port = (uint16_t)value;
    return ERR_OK;
}

/* The host of "[v6]..." or "host...", and what stands behind it. */
static enum err host_cut(struct span text, struct span *host, struct span *rest)
{
    const uint8_t *end;

    if (text.len > 0 && text.data[0] == '[') {
        end = memchr(text.data, ']', text.len);
        if (end == NULL) {
            return ERR_SETTINGS;
        }
        *host = span_of(text.data + 1, (size_t)(end - text.data) - 1);
        *rest = span_after(text, (size_t)(end - text.data) + 1);
        return ERR_OK;
    }
    end = text.len > 0 ? memchr(text.data, ':', text.len) : NULL;
    if (end != NULL) {
        *host = span_of(text.data, (size_t)(end - text.data));
    } else {
        *host = text;
    }
    *rest = span_after(text, host->len);
    return ERR_OK;
}

enum err address_split(struct span text, uint16_t port_default, char *host,
                       size_t size, uint16_t *port)
{
    struct span name, rest;
    struct sockaddr_storage numeric;

    TRY(host_cut(text, &name, &rest));
    if (name.len == 0 || name.len >= size) {
        return ERR_SETTINGS;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        if (c <= ' ' || c >= 0x7f || strchr("/\\@?#[]%", c) != NULL) {
            return ERR_SETTINGS;
        }
    }
    memcpy(host, name.data, name.len);
    host[name.len] = '\0';
    /* What stands in brackets is an IPv6 address and nothing else. */
    if (text.data[0] == '[' && (memchr(name.data, ':', name.len) == NULL ||
                                !address_from_host(host, 0, &numeric))) {
        return ERR_SETTINGS;
    }
    *port = port_default;
    if (rest.len == 0) {
        return ERR_OK;
    }
    if (rest.data[0] != ':') {
        return ERR_SETTINGS;
    }
    return port_parse(span_after(rest, 1), port);
}

enum err address_parse(const char *text, struct sockaddr_storage *out)
{
    struct span host, rest;
    char copy[INET6_ADDRSTRLEN];
    uint16_t port = 0;

    TRY(host_cut(span_text(text), &host, &rest));
    /* The port is not optional here. */
    if (rest.len == 0) {
        return ERR_SETTINGS;
    }
    TRY(address_split(span_text(text), 0, copy, sizeof(copy), &port));
    return address_from_host(copy, port, out) ? ERR_OK : ERR_SETTINGS;
}
