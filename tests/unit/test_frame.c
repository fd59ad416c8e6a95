/*
 * Frames: the table of who may send what, walked whole, and each payload
 * there and back, short by one, with one byte changed, at its edges.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/frame.h"
#include "proto/login.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* The table of PROTOCOL.md, written again by hand. */
struct row {
    uint8_t type;
    uint16_t shortest, longest;
    uint8_t flags;
    bool client, relay, on_stream, is_sequenced;
};

static const struct row rows[] = {
    { FRAME_PING, 8, 8, 0, true, true, false, false },
    { FRAME_PONG, 8, 8, 0, true, true, false, false },
    { FRAME_ACK, 8, 8, 0, true, true, false, false },
    { FRAME_OPEN, 19, 16376, 0x03, false, true, true, true },
    { FRAME_HEAD, 1, 16376, 0x33, true, true, true, true },
    { FRAME_DATA, 0, 16376, 0x05, true, true, true, true },
    { FRAME_WINDOW, 4, 4, 0, true, true, true, true },
    { FRAME_RESET, 2, 2, 0, true, true, true, true },
    { FRAME_STOP, 0, 0, 0, true, false, true, true },
    { FRAME_BIND, 19, 82, 0, true, false, false, true },
    { FRAME_BOUND, 5, 304, 0, false, true, false, true },
    { FRAME_REFUSED, 5, 260, 0, false, true, false, true },
    { FRAME_UNBIND, 2, 2, 0, true, false, false, true },
    { FRAME_UNBOUND, 5, 260, 0, false, true, false, true },
    { FRAME_GOAWAY, 3, 258, 0, true, true, false, true },
    { FRAME_NEXT_KEY, 96, 96, 0, false, true, false, true },
};

/* Whether HEAD's or OPEN's flags go together, as PROTOCOL.md says. */
static bool head_flags_agree(uint8_t flags, bool from_relay)
{
    bool has_fin = (flags & FRAME_FIN) != 0;
    bool ends = (flags & FRAME_END_HEAD) != 0;
    unsigned kind = flags >> FRAME_HEAD_KIND_SHIFT & 3u;

    if (has_fin && !ends) {
        return false;
    }
    if (from_relay) {
        return kind == HEAD_REQUEST || kind == HEAD_TRAILERS;
    }
    return kind != HEAD_REQUEST && !(kind == HEAD_INFORMATIONAL && has_fin);
}

/* What the row says of a header, as one sentence of conditions. */
static bool is_allowed(const struct row *row, const struct frame_header *h,
                       bool from_relay)
{
    bool is_head = h->type == FRAME_OPEN || h->type == FRAME_HEAD;

    return (from_relay ? row->relay : row->client) && h->len >= row->shortest &&
           h->len <= row->longest && (h->flags & ~row->flags) == 0 &&
           h->stream % 2 == 0 && (h->stream != 0) == row->on_stream &&
           (!is_head || head_flags_agree(h->flags, from_relay)) &&
           (h->type != FRAME_DATA || h->len > 0 || (h->flags & FRAME_FIN));
}

/* Ask for every set of flags, from both sides, on three streams. */
static void check_every_flag(const struct row *row, uint16_t len)
{
    static const uint32_t streams[] = { 0, 2, 3, STREAM_ID_LAST, UINT32_MAX };

    for (unsigned i = 0; i < 256 * 2 * COUNT(streams); i++) {
        struct frame_header h = {
            .stream = streams[i / 512],
            .len = len,
            .type = row->type,
            .flags = (uint8_t)(i / 2),
        };
        bool from_relay = i % 2 == 0;
        const char *why = NULL;
        enum err e = frame_check(&h, from_relay, &why);

        assert_int_equal(e == ERR_OK, is_allowed(row, &h, from_relay));
        assert_int_equal(e == ERR_OK, why == NULL);
    }
}

static void test_the_table_is_kept_for_every_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].shortest > 0) {
            check_every_flag(&rows[i], (uint16_t)(rows[i].shortest - 1));
        }
        check_every_flag(&rows[i], rows[i].shortest);
        check_every_flag(&rows[i], rows[i].longest);
        check_every_flag(&rows[i], (uint16_t)(rows[i].longest + 1));
        check_every_flag(&rows[i], UINT16_MAX);
    }
}

static const struct row *row_of(unsigned type)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (rows[i].type == type) {
            return &rows[i];
        }
    }
    return NULL;
}

static void test_unknown_frames_are_an_error_below_0x80_only(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        struct frame_header h = { 3, FRAME_PAYLOAD_MAX, (uint8_t)type, 0xff };
        const char *why = NULL;

        if (row_of(type) != NULL || (type >= FRAME_LOGIN && type <= 0x03)) {
            assert_true(frame_is_known((uint8_t)type));
            continue;
        }
        assert_false(frame_is_known((uint8_t)type));
        assert_int_equal(frame_check(&h, true, &why),
                         type < 0x80 ? ERR_PROTOCOL : ERR_OK);
        h.len++;
        assert_int_equal(frame_check(&h, false, &why), ERR_PROTOCOL);
    }
}

static void test_all_is_sequenced_but_ping_pong_ack_and_login(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        const struct row *row = row_of(type);
        bool expected = row != NULL ? row->is_sequenced : type >= 0x80;

        assert_int_equal(frame_is_sequenced((uint8_t)type), expected);
    }
}

static void test_login_frames_stand_first_and_nowhere_else(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 512; i++) {
        uint8_t type = (uint8_t)(i / 2);
        bool from_relay = i % 2 == 0;
        struct frame_header h = { 0, DENIED_LONGEST, type, 0 };
        const char *why = NULL;
        bool is_login = from_relay ? type == 2 || type == 3 : type == 1;

        if (type == FRAME_WELCOME) {
            h.len = WELCOME_LONGEST;
        } else if (type == FRAME_LOGIN) {
            h.len = LOGIN_LONGEST;
        }
        assert_int_equal(frame_check_login(&h, from_relay, &why) == ERR_OK,
                         is_login);
        if (type >= 1 && type <= 3) {
            assert_int_equal(frame_check(&h, from_relay, &why), ERR_PROTOCOL);
            h.len++;
            assert_int_equal(frame_check_login(&h, from_relay, &why),
                             ERR_PROTOCOL);
        }
    }
}

static void test_a_header_is_eight_bytes_big_endian(void **state)
{
    const struct frame_header in = { 0x01020304, 0x0506, 0x07, 0x08 };
    const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
    uint8_t out[FRAME_HEADER_LEN];
    struct frame_header back;

    (void)state;
    frame_header_put(out, &in);
    assert_memory_equal(out, bytes, sizeof(bytes));
    frame_header_get(out, &back);
    assert_int_equal(back.stream, in.stream);
    assert_int_equal(back.len, in.len);
    assert_int_equal(back.type, in.type);
    assert_int_equal(back.flags, in.flags);
}

/* Decode |in| as |type| and encode what was read into |w|. */
static enum err again_on_stream(uint8_t type, struct span in,
                                struct wire_writer *w)
{
    struct frame_open open;
    struct span head;
    uint32_t u32;
    uint64_t u64;
    enum err code;

    if (type == FRAME_OPEN) {
        TRY(frame_get_open(in, &open, &head));
        frame_put_open(w, &open);
        wire_write_bytes(w, head);
    } else if (type == FRAME_WINDOW) {
        TRY(frame_get_u32(in, &u32));
        frame_put_u32(w, u32);
    } else if (type == FRAME_RESET) {
        TRY(frame_get_code(in, &code));
        frame_put_code(w, code);
    } else {
        TRY(frame_get_u64(in, &u64));
        frame_put_u64(w, u64);
    }
    return ERR_OK;
}

static enum err again_tunnel(uint8_t type, struct span in,
                             struct wire_writer *w)
{
    struct frame_bind bind;
    struct frame_verdict verdict;
    struct span url;
    uint16_t tunnel;

    if (type == FRAME_BIND) {
        TRY(frame_get_bind(in, &bind));
        frame_put_bind(w, &bind);
    } else if (type == FRAME_BOUND) {
        TRY(frame_get_bound(in, &tunnel, &url));
        frame_put_bound(w, tunnel, url);
    } else if (type == FRAME_UNBIND) {
        TRY(frame_get_unbind(in, &tunnel));
        frame_put_unbind(w, tunnel);
    } else {
        TRY(frame_get_verdict(in, &verdict));
        frame_put_verdict(w, &verdict);
    }
    return ERR_OK;
}

static enum err again(uint8_t type, struct span in, struct wire_writer *w)
{
    uint8_t key[KEY_LEN];
    uint8_t signature[SIGNATURE_LEN];
    struct span sentence;
    enum err code;

    if (type >= FRAME_BIND && type <= FRAME_UNBOUND) {
        return again_tunnel(type, in, w);
    }
    if (type == FRAME_GOAWAY) {
        TRY(frame_get_goaway(in, &code, &sentence));
        frame_put_goaway(w, code, sentence);
    } else if (type == FRAME_NEXT_KEY) {
        TRY(frame_get_next_key(in, key, signature));
        frame_put_next_key(w, key, signature);
    } else {
        return again_on_stream(type, in, w);
    }
    return ERR_OK;
}

/* Good payloads, each written by hand from PROTOCOL.md. */
#define TAG "0123456789abcdef"
#define T96                                                                    \
    "0123456789abcdef0123456789abcdef0123456789abcdef"                         \
    "0123456789abcdef0123456789abcdef0123456789abcdef"
/* clang-format off */
#define PAYLOAD(type, text) { type, (const uint8_t *)(text), sizeof(text) - 1 }
/* clang-format on */

static const struct payload {
    uint8_t type;
    const uint8_t *bytes;
    size_t len;
} payloads[] = {
    PAYLOAD(FRAME_PING, "\0\0\0\0\0\0\0\0"),
    PAYLOAD(FRAME_PONG, "\1\2\3\4\5\6\7\x8"),
    PAYLOAD(FRAME_ACK, "\xff\xff\xff\xff\xff\xff\xff\xff"),
    /* tunnel 1, 256 KiB, http, connection 7, 192.0.2.1:443, HTTP/1.1 */
    PAYLOAD(FRAME_OPEN, "\0\1\0\4\0\0\1\0\0\0\7\4\xc0\0\2\1\1\xbb\xb"),
    /* tunnel 65535, 16 MiB, raw, [2001:db8::1]:1, HTTP/2, head "abc" */
    PAYLOAD(FRAME_OPEN, "\xff\xff\1\0\0\0\2\xff\xff\xff\xff\6"
                        "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\1\x14"
                        "abc"),
    PAYLOAD(FRAME_WINDOW, "\0\0\0\1"),
    PAYLOAD(FRAME_WINDOW, "\xff\xff\xff\xff"),
    PAYLOAD(FRAME_RESET, "\0\0"),
    PAYLOAD(FRAME_RESET, "\0\x6"),
    PAYLOAD(FRAME_BIND, "\0\1\0" TAG),
    PAYLOAD(FRAME_BIND, "\0\1\4demo" TAG),
    PAYLOAD(FRAME_BOUND, "\0\1\0\xdhttps://a.b:1"),
    PAYLOAD(FRAME_REFUSED, "\0\1\0\xc\0"),
    PAYLOAD(FRAME_UNBIND, "\0\1"),
    PAYLOAD(FRAME_UNBOUND, "\0\1\0\xa\6it is."),
    PAYLOAD(FRAME_GOAWAY, "\0\xf\3bye"),
    PAYLOAD(FRAME_NEXT_KEY, T96),
};

static void test_each_payload_comes_back_as_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(payloads); i++) {
        struct span in = span_of(payloads[i].bytes, payloads[i].len);
        uint8_t out[512];
        struct wire_writer w;

        wire_writer_init(&w, out, sizeof(out));
        assert_int_equal(again(payloads[i].type, in, &w), ERR_OK);
        assert_true(wire_writer_done(&w));
        assert_true(span_equal(wire_written(&w), in));
    }
}

static void test_no_payload_may_be_short_or_long(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(payloads); i++) {
        const struct payload *p = &payloads[i];
        size_t fixed = p->bytes[p->len - 1] == 'c' ? p->len - 3 : p->len;
        uint8_t in[512] = { 0 };
        uint8_t out[512];
        struct wire_writer w;

        memcpy(in, p->bytes, p->len);
        wire_writer_init(&w, out, sizeof(out));
        for (size_t len = 0; len < fixed; len++) {
            assert_int_equal(again(p->type, span_of(in, len), &w),
                             ERR_PROTOCOL);
        }
        /* What follows OPEN's fixed part is the head: any length is good. */
        assert_int_equal(again(p->type, span_of(in, p->len + 1), &w),
                         p->type == FRAME_OPEN ? ERR_OK : ERR_PROTOCOL);
    }
}

/* Decode, encode, decode: the second time must read what the first did. */
static void check_changed(uint8_t type, struct span in)
{
    uint8_t once[512];
    uint8_t twice[512];
    struct wire_writer w;
    struct wire_writer v;

    wire_writer_init(&w, once, sizeof(once));
    wire_writer_init(&v, twice, sizeof(twice));
    if (again(type, in, &w) != ERR_OK) {
        return;
    }
    assert_true(wire_writer_done(&w));
    assert_int_equal(wire_written(&w).len, in.len);
    assert_int_equal(again(type, wire_written(&w), &v), ERR_OK);
    assert_true(span_equal(wire_written(&w), wire_written(&v)));
}

static void test_a_changed_byte_is_refused_or_reads_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(payloads); i++) {
        uint8_t in[512];
        size_t len = payloads[i].len;

        memcpy(in, payloads[i].bytes, len);
        for (size_t at = 0; at < len * 256; at++) {
            uint8_t kept = in[at / 256];

            in[at / 256] = (uint8_t)at;
            check_changed(payloads[i].type, span_of(in, len));
            in[at / 256] = kept;
        }
    }
}

static void test_values_out_of_bounds_are_refused(void **state)
{
    static const struct payload bad[] = {
        PAYLOAD(FRAME_WINDOW, "\0\0\0\0"),
        /* tunnel 0; window too large; kind; family; http version */
        PAYLOAD(FRAME_OPEN, "\0\0\0\4\0\0\1\0\0\0\7\4\xc0\0\2\1\1\xbb\xb"),
        PAYLOAD(FRAME_OPEN, "\0\1\1\0\0\1\1\0\0\0\7\4\xc0\0\2\1\1\xbb\xb"),
        PAYLOAD(FRAME_OPEN, "\0\1\0\4\0\0\0\0\0\0\7\4\xc0\0\2\1\1\xbb\xb"),
        PAYLOAD(FRAME_OPEN, "\0\1\0\4\0\0\3\0\0\0\7\4\xc0\0\2\1\1\xbb\xb"),
        PAYLOAD(FRAME_OPEN, "\0\1\0\4\0\0\1\0\0\0\7\5\xc0\0\2\1\1\xbb\xb"),
        PAYLOAD(FRAME_OPEN, "\0\1\0\4\0\0\1\0\0\0\7\4\xc0\0\2\1\1\xbb\xc"),
        PAYLOAD(FRAME_BIND, "\0\0\0" TAG),
        PAYLOAD(FRAME_BIND, "\0\1\4de\x1bo" TAG),
        PAYLOAD(FRAME_BOUND, "\0\1\0\0"),
        PAYLOAD(FRAME_BOUND, "\0\1\0\3a b"),
        PAYLOAD(FRAME_BOUND, "\0\0\0\3a:b"),
        PAYLOAD(FRAME_UNBIND, "\0\0"),
        PAYLOAD(FRAME_UNBOUND, "\0\0\0\xa\0"),
        PAYLOAD(FRAME_UNBOUND, "\0\1\0\xa\3a\nb"),
        PAYLOAD(FRAME_GOAWAY, "\0\xf\2\xc3\xa9"),
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t out[512];
        struct wire_writer w;

        wire_writer_init(&w, out, sizeof(out));
        assert_int_equal(
            again(bad[i].type, span_of(bad[i].bytes, bad[i].len), &w),
            ERR_PROTOCOL);
    }
}

static void test_an_unknown_code_is_read_as_protocol(void **state)
{
    const uint8_t in[] = { 0x7f, 0xff };
    enum err code = ERR_OK;

    (void)state;
    assert_int_equal(frame_get_code(span_of(in, sizeof(in)), &code), ERR_OK);
    assert_int_equal(code, ERR_PROTOCOL);
}

static void test_a_sentence_is_cut_and_made_printable(void **state)
{
    char text[400];
    uint8_t out[512];
    struct wire_writer w;
    struct span sentence;
    enum err code;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "caf\xc3\xa9\x1b[31m\n", 11);
    wire_writer_init(&w, out, sizeof(out));
    frame_put_goaway(&w, ERR_SHUTDOWN, span_of(text, sizeof(text)));
    assert_int_equal(frame_get_goaway(wire_written(&w), &code, &sentence),
                     ERR_OK);
    assert_int_equal(code, ERR_SHUTDOWN);
    assert_int_equal(sentence.len, SENTENCE_MAX_LEN);
    assert_memory_equal(sentence.data, "caf???[31m?x", 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_kept_for_every_header),
        cmocka_unit_test(test_unknown_frames_are_an_error_below_0x80_only),
        cmocka_unit_test(test_all_is_sequenced_but_ping_pong_ack_and_login),
        cmocka_unit_test(test_login_frames_stand_first_and_nowhere_else),
        cmocka_unit_test(test_a_header_is_eight_bytes_big_endian),
        cmocka_unit_test(test_each_payload_comes_back_as_it_was),
        cmocka_unit_test(test_no_payload_may_be_short_or_long),
        cmocka_unit_test(test_a_changed_byte_is_refused_or_reads_as_written),
        cmocka_unit_test(test_values_out_of_bounds_are_refused),
        cmocka_unit_test(test_an_unknown_code_is_read_as_protocol),
        cmocka_unit_test(test_a_sentence_is_cut_and_made_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
