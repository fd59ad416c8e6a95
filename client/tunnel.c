/*
 * A relay's words are a stranger's: an address goes to the screen, into a QR
 * code and into cookies' domains only when it is one.
 */
#include "client/tunnel.h"

#include <stdio.h>

#define SCHEME "https://"

struct tunnel *tunnel_find(struct tunnel *all, size_t count, uint16_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].id == id) {
            return &all[i];
        }
    }
    return NULL;
}

enum err tunnel_bind(struct tunnel *t, struct session *s)
{
    struct frame_bind b = { .tunnel = t->id, .name = span_text(t->label) };

    t->is_bound = false;
    memcpy(b.tag, t->tag, TARGET_TAG_LEN);
    return session_bind(s, &b);
}

/* How much of |text| is made of |set|. */
static size_t run_of(struct span text, const char *set)
{
    size_t len = 0;

    while (len < text.len && text.data[len] != '\0' &&
           strchr(set, text.data[len]) != NULL) {
        len++;
    }
    return len;
}

enum err tunnel_take_url(struct tunnel *t, struct span url)
{
    struct span scheme = span_text(SCHEME);
    struct span rest;
    size_t host_len;

    if (t->is_bound) {
        return ERR_ABSENT;
    }
    if (url.len > URL_MAX_LEN || url.len < scheme.len ||
        !span_equal(span_of(url.data, scheme.len), scheme)) {
        return ERR_PROTOCOL;
    }
    rest = span_after(url, scheme.len);
    host_len = run_of(rest, "abcdefghijklmnopqrstuvwxyz0123456789.-");
    if (host_len == 0 || host_len >= TARGET_HOST_MAX) {
        return ERR_PROTOCOL;
    }
    snprintf(t->local.public_host, sizeof(t->local.public_host), "%.*s",
             (int)host_len, (const char *)rest.data);
    rest = span_after(rest, host_len);
    if (rest.len > 0 &&
        (rest.data[0] != ':' || rest.len == 1 || rest.len > 6 ||
         run_of(span_after(rest, 1), "0123456789") != rest.len - 1)) {
        return ERR_PROTOCOL;
    }
    memcpy(t->url, url.data, url.len);
    t->url[url.len] = '\0';
    t->is_bound = true;
    return ERR_OK;
}
