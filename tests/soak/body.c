/*
 * Framing of the soak's bodies. It reads what our own writers write: sizes of
 * chunks without extensions, no trailers; anything else is wrong.
 */
#include "tests/soak/body.h"

#include <stdio.h>
#include <string.h>

#define CHUNK_MAX (32u * 1024u)

/* Where a chunked body stands. */
enum {
    IN_SIZE,
    IN_SIZE_LF,
    IN_DATA,
    IN_DATA_CR,
    IN_DATA_LF,
    IN_END,
    IN_END_LF
};

/* The bytes of |cut| at |offset| that lie in one piece, at most |most|. */
static const uint8_t *piece(const struct body_cut *cut, uint64_t offset,
                            uint64_t most, size_t *len)
{
    size_t at = (size_t)((cut->start + offset) % PLAN_PATTERN_LEN);
    uint64_t left = cut->len - offset;

    *len = PLAN_PATTERN_LEN - at;
    *len = *len > left ? (size_t)left : *len;
    *len = *len > most ? (size_t)most : *len;
    return cut->pattern + at;
}

static void write_sum(SHA256_CTX *sum, char out[BODY_SUM_LEN + 1])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256_Final(digest, sum);
    for (size_t i = 0; i < sizeof(digest); i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

void body_sum(const struct body_cut *cut, char out[BODY_SUM_LEN + 1])
{
    SHA256_CTX sum;
    uint64_t done = 0;

    SHA256_Init(&sum);
    while (done < cut->len) {
        size_t len;
        const uint8_t *bytes = piece(cut, done, UINT64_MAX, &len);

        SHA256_Update(&sum, bytes, len);
        done += len;
    }
    write_sum(&sum, out);
}

/* The head of a WebSocket message: binary, whole, a length of 64 bits. */
static size_t message_head(const struct body_cut *cut, uint8_t out[16])
{
    bool is_masked = cut->framing == BODY_SOCKET_MASKED;

    memset(out, 0, 16);
    out[0] = 0x82;
    out[1] = is_masked ? 0xff : 0x7f;
    for (unsigned i = 0; i < 8; i++) {
        out[2 + i] = (uint8_t)(cut->len >> (56 - 8 * i));
    }
    return is_masked ? 14 : 10;
}

/* Close, without a code. */
static size_t message_tail(const struct body_cut *cut, uint8_t out[16])
{
    bool is_masked = cut->framing == BODY_SOCKET_MASKED;

    memset(out, 0, 16);
    out[0] = 0x88;
    out[1] = is_masked ? 0x80 : 0;
    return is_masked ? 6 : 2;
}

static bool is_socket(const struct body_cut *cut)
{
    return cut->framing == BODY_SOCKET || cut->framing == BODY_SOCKET_MASKED;
}

void body_out_begin(struct body_out *b, const struct body_cut *cut)
{
    *b = (struct body_out){ .cut = *cut };
    b->is_done = cut->framing == BODY_LENGTH && cut->len == 0;
}

/* One chunk of at most |room| bytes with its framing. */
static size_t put_chunk(struct body_out *b, uint8_t *to, size_t room)
{
    static const char last[5] = { '0', '\r', '\n', '\r', '\n' };
    uint64_t most = 1 + plan_dice(b->cut.start, b->sent) % CHUNK_MAX;
    size_t len;
    size_t used;
    const uint8_t *bytes;

    if (b->sent == b->cut.len) {
        memcpy(to, last, sizeof(last));
        b->is_done = true;
        return sizeof(last);
    }
    most = most < room - 24 ? most : room - 24;
    bytes = piece(&b->cut, b->sent, most, &len);
    used = (size_t)snprintf((char *)to, room, "%zx\r\n", len);
    memcpy(to + used, bytes, len);
    to[used + len] = '\r';
    to[used + len + 1] = '\n';
    b->sent += len;
    return used + len + 2;
}

static size_t put_plain(struct body_out *b, uint8_t *to, size_t room)
{
    size_t len;
    const uint8_t *bytes = piece(&b->cut, b->sent, room, &len);

    memcpy(to, bytes, len);
    b->sent += len;
    return len;
}

size_t body_out_fill(struct body_out *b, uint8_t *to, size_t room)
{
    size_t used = 0;

    while (!b->is_done && room - used >= BODY_ROOM_MIN) {
        if (b->cut.framing == BODY_CHUNKED) {
            used += put_chunk(b, to + used, room - used);
        } else if (is_socket(&b->cut) && !b->is_begun) {
            used += message_head(&b->cut, to + used);
        } else if (b->sent < b->cut.len) {
            used += put_plain(b, to + used, room - used);
        } else if (is_socket(&b->cut)) {
            used += message_tail(&b->cut, to + used);
            b->is_done = true;
        }
        b->is_begun = true;
        b->is_done |= b->cut.framing == BODY_LENGTH && b->sent == b->cut.len;
    }
    return used;
}

void body_in_begin(struct body_in *b, const struct body_cut *cut)
{
    *b = (struct body_in){ .cut = *cut, .chunk_state = IN_SIZE };
    SHA256_Init(&b->sum);
    if (is_socket(cut)) {
        b->edge_len = message_head(cut, b->edge);
    } else if (cut->framing == BODY_LENGTH && cut->len == 0) {
        b->status = BODY_DONE;
    }
}

static size_t go_wrong(struct body_in *b, const char *why)
{
    b->status = BODY_WRONG;
    b->why = why;
    return 0;
}

/* Payload: it must be the pattern's. At most |most| of it may come now. */
static size_t take_payload(struct body_in *b, const uint8_t *bytes, size_t len,
                           uint64_t most)
{
    size_t done = 0;

    len = len > most ? (size_t)most : len;
    if (len > b->cut.len - b->got) {
        return go_wrong(b, "more bytes than there are");
    }
    while (done < len) {
        size_t run;
        const uint8_t *want = piece(&b->cut, b->got, len - done, &run);

        if (memcmp(want, bytes + done, run) != 0) {
            return go_wrong(b, "bytes that were not sent");
        }
        SHA256_Update(&b->sum, bytes + done, run);
        b->got += run;
        done += run;
    }
    return len;
}

static void take_size_digit(struct body_in *b, uint8_t c)
{
    const char *digits = "0123456789abcdef";
    const char *found = strchr(digits, c | 0x20);

    if (c == '\r') {
        b->chunk_state = IN_SIZE_LF;
    } else if (c == '\0' || found == NULL || b->chunk_left > UINT32_MAX) {
        (void)go_wrong(b, "a chunk's size that is none");
    } else {
        b->chunk_left = b->chunk_left * 16 + (uint64_t)(found - digits);
    }
}

/* |c| must be |want|; |next| comes behind it. */
static void step(struct body_in *b, uint8_t c, uint8_t want, int next)
{
    if (c != want) {
        (void)go_wrong(b, "a chunk that does not end where it should");
    }
    b->chunk_state = next;
}

static size_t take_chunked(struct body_in *b, const uint8_t *bytes, size_t len)
{
    uint8_t c = bytes[0];

    if (b->chunk_state == IN_DATA) {
        size_t used = take_payload(b, bytes, len, b->chunk_left);

        b->chunk_left -= used;
        if (b->chunk_left == 0) {
            b->chunk_state = IN_DATA_CR;
        }
        return used;
    }
    if (b->chunk_state == IN_SIZE) {
        take_size_digit(b, c);
    } else if (b->chunk_state == IN_SIZE_LF) {
        step(b, c, '\n', b->chunk_left > 0 ? IN_DATA : IN_END);
    } else if (b->chunk_state == IN_DATA_CR) {
        step(b, c, '\r', IN_DATA_LF);
    } else if (b->chunk_state == IN_DATA_LF) {
        step(b, c, '\n', IN_SIZE);
    } else if (b->chunk_state == IN_END) {
        step(b, c, '\r', IN_END_LF);
    } else {
        step(b, c, '\n', IN_SIZE);
        if (b->status == BODY_MORE) {
            b->status = BODY_DONE;
        }
    }
    return 1;
}

static size_t take_edge(struct body_in *b, uint8_t c)
{
    if (c != b->edge[b->edge_at]) {
        return go_wrong(b, "a WebSocket frame that is not the one sent");
    }
    b->edge_at++;
    if (b->edge_at == b->edge_len && b->edge[0] == 0x88) {
        b->status = BODY_DONE;
    }
    return 1;
}

static size_t take_one(struct body_in *b, const uint8_t *bytes, size_t len)
{
    if (b->cut.framing == BODY_CHUNKED) {
        return take_chunked(b, bytes, len);
    } else if (b->edge_at < b->edge_len) {
        return take_edge(b, bytes[0]);
    } else if (b->got < b->cut.len) {
        return take_payload(b, bytes, len, b->cut.len - b->got);
    }
    b->edge_len = message_tail(&b->cut, b->edge);
    b->edge_at = 0;
    return take_edge(b, bytes[0]);
}

size_t body_in_take(struct body_in *b, const uint8_t *bytes, size_t len)
{
    size_t used = 0;

    while (used < len && b->status == BODY_MORE) {
        used += take_one(b, bytes + used, len - used);
        if (b->cut.framing == BODY_LENGTH && b->status == BODY_MORE &&
            b->got == b->cut.len) {
            b->status = BODY_DONE;
        }
    }
    if (b->status == BODY_DONE && b->got != b->cut.len) {
        (void)go_wrong(b, "fewer bytes than there are");
    }
    return used;
}

void body_in_sum(struct body_in *b, char out[BODY_SUM_LEN + 1])
{
    write_sum(&b->sum, out);
}
