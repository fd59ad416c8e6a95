/*
 * The string a relay's operator hands out, see invitation.h:
 *
 *   "sallyport:" base64url(version u8, port u16, relay key 32, seed 32,
 *                          host as u8 length and text, checksum 4)
 *
 * The checksum is the beginning of the hash of all before it. It is no
 * secret's guard: it tells a piece lost in pasting from a refused invitation.
 */
#include "common/invitation.h"

#include <stdio.h>

#include "proto/wire.h"

#define INVITATION_HEAD "sallyport:"
#define INVITATION_VERSION 1u
#define INVITATION_CHECK_LEN 4u
#define INVITATION_FIXED (1u + 2u + KEY_LEN + KEY_SEED_LEN + 1u)
#define INVITATION_BYTES_MAX                                                   \
    (INVITATION_FIXED + INVITATION_HOST_MAX + INVITATION_CHECK_LEN)

_Static_assert(sizeof(INVITATION_HEAD) + (INVITATION_BYTES_MAX + 2) / 3 * 4 <
                   INVITATION_TEXT_MAX,
               "the longest invitation fits its text");

void invitation_encode(const struct invitation *i, char *out, size_t size)
{
    uint8_t bytes[INVITATION_BYTES_MAX];
    uint8_t hash[HASH_LEN];
    struct wire_writer w;
    int head = snprintf(out, size, "%s", INVITATION_HEAD);

    assert(size >= INVITATION_TEXT_MAX);
    wire_writer_init(&w, bytes, sizeof(bytes));
    wire_write_u8(&w, INVITATION_VERSION);
    wire_write_u16(&w, i->port);
    wire_write_bytes(&w, span_of(i->relay_key, KEY_LEN));
    wire_write_bytes(&w, span_of(i->seed, KEY_SEED_LEN));
    wire_write_string8(&w, span_text(i->host));
    keys_hash(wire_written(&w), NULL, hash);
    wire_write_bytes(&w, span_of(hash, INVITATION_CHECK_LEN));
    assert(wire_writer_done(&w));
    keys_to_text(bytes, w.len, out + head, size - (size_t)head);
    keys_wipe(bytes, sizeof(bytes));
}

/* Copy |text| without its white space: terminals and mails wrap lines. */
static enum err gather(struct span text, char *out, size_t size, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            continue;
        }
        if (*len == size) {
            return ERR_SETTINGS;
        }
        out[(*len)++] = (char)c;
    }
    return ERR_OK;
}

/* How many bytes |len| letters of base64 stand for; 0 when none can. */
static size_t bytes_of(size_t len)
{
    return len % 4 == 1 ? 0 : len / 4 * 3 + (len % 4) * 6 / 8;
}

/* A host is printed and dialled: no blanks, nothing that steers a terminal. */
static bool is_host(struct span host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f) {
            return false;
        }
    }
    return host.len > 0 && host.len < INVITATION_HOST_MAX;
}

static enum err parse(struct span bytes, struct invitation *i, const char **why)
{
    struct span body = span_of(bytes.data, bytes.len - INVITATION_CHECK_LEN);
    struct wire_reader r;
    struct span host;
    uint8_t hash[HASH_LEN];

    keys_hash(body, NULL, hash);
    if (memcmp(hash, bytes.data + body.len, INVITATION_CHECK_LEN) != 0) {
        *why = "a piece of the invitation is missing or changed: paste it "
               "whole";
        return ERR_SETTINGS;
    }
    wire_reader_init(&r, body);
    if (wire_read_u8(&r) != INVITATION_VERSION) {
        *why = "the invitation is of a later version: update sallyport";
        return ERR_SETTINGS;
    }
    i->port = wire_read_u16(&r);
    wire_read_copy(&r, i->relay_key, KEY_LEN);
    wire_read_copy(&r, i->seed, KEY_SEED_LEN);
    host = wire_read_string8(&r);
    if (!wire_reader_done(&r) || i->port == 0 || !is_host(host)) {
        *why = "the invitation is malformed: ask for a new one";
        return ERR_SETTINGS;
    }
    memcpy(i->host, host.data, host.len);
    return ERR_OK;
}

enum err invitation_decode(struct span text, struct invitation *i,
                           const char **why)
{
    struct span head = span_text(INVITATION_HEAD);
    char packed[INVITATION_TEXT_MAX];
    uint8_t bytes[INVITATION_BYTES_MAX];
    size_t packed_len = 0, len;
    struct span rest;
    enum err error = ERR_SETTINGS;

    memset(i, 0, sizeof(*i));
    *why = "one begins with \"sallyport:\" and stands on one line";
    if (gather(text, packed, sizeof(packed), &packed_len) != ERR_OK ||
        packed_len < head.len || memcmp(packed, head.data, head.len) != 0) {
        goto done;
    }
    rest = span_of(packed + head.len, packed_len - head.len);
    len = bytes_of(rest.len);
    *why = "a piece of the invitation is missing or changed: paste it whole";
    if (len < INVITATION_FIXED + INVITATION_CHECK_LEN || len > sizeof(bytes) ||
        keys_from_text(rest, bytes, len) != ERR_OK) {
        goto done;
    }
    error = parse(span_of(bytes, len), i, why);

done:
    keys_wipe(packed, sizeof(packed));
    keys_wipe(bytes, sizeof(bytes));
    if (error != ERR_OK) {
        keys_wipe(i, sizeof(*i));
    }
    return error;
}
