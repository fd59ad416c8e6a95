/*
 * The ClientHello, taken apart by wire cursors. Whatever BoringSSL would see
 * differently (two server names, say) is refused here, so that both agree on
 * what was read.
 */
#include "common/tls_hello.h"

#include "common/tls_context.h"
#include "proto/limits.h"
#include "proto/wire.h"

#define CONTENT_HANDSHAKE 22u
#define HANDSHAKE_CLIENT_HELLO 1u
#define HANDSHAKE_HEADER_LEN 4u
#define RECORD_HEADER_LEN 5u
#define EXTENSION_SERVER_NAME 0u
#define EXTENSION_ALPN 16u
#define NAME_TYPE_HOST 0u
#define RANDOM_LEN 32u
#define SESSION_ID_BYTES_MAX 32u

/*
 * Put the handshake bytes of the records in |in| together in |body|, which
 * holds HELLO_MAX. TLS_HELLO_WHOLE when the hello is complete: |*len| bytes
 * without its header.
 */
static enum tls_hello_state collect(struct span in, uint8_t *body, size_t *len)
{
    size_t have = 0;

    while (in.len > 0) {
        size_t record_len, want;

        if (in.data[0] != CONTENT_HANDSHAKE ||
            (in.len > 1 && in.data[1] != 3)) {
            return TLS_HELLO_BAD;
        }
        if (in.len < RECORD_HEADER_LEN) {
            return TLS_HELLO_MORE;
        }
        record_len = (size_t)in.data[3] << 8 | in.data[4];
        if (record_len == 0 || record_len > TLS_RECORD_MAX) {
            return TLS_HELLO_BAD;
        }
        in = span_after(in, RECORD_HEADER_LEN);
        want = record_len < in.len ? record_len : in.len;
        if (want > HELLO_MAX - have) {
            return TLS_HELLO_BAD;
        }
        memcpy(body + have, in.data, want);
        have += want;
        in = span_after(in, want);
        if (have > 0 && body[0] != HANDSHAKE_CLIENT_HELLO) {
            return TLS_HELLO_BAD;
        }
        if (have < HANDSHAKE_HEADER_LEN) {
            continue;
        }
        *len = (size_t)body[1] << 16 | (size_t)body[2] << 8 | body[3];
        if (*len > HELLO_MAX - HANDSHAKE_HEADER_LEN) {
            return TLS_HELLO_BAD;
        }
        if (have >= HANDSHAKE_HEADER_LEN + *len) {
            /* Nothing may follow in the record that the hello ends in. */
            bool is_alone =
                have == HANDSHAKE_HEADER_LEN + *len && want == record_len;

            return is_alone ? TLS_HELLO_WHOLE : TLS_HELLO_BAD;
        }
    }
    return TLS_HELLO_MORE;
}

/* RFC 6066 section 3: one host name, ASCII, without a dot at its end. */
static bool read_server_name(struct span extension, struct tls_hello *hello)
{
    struct wire_reader r, list;
    struct span names, name;
    uint8_t type;

    wire_reader_init(&r, extension);
    names = wire_read_string16(&r);
    wire_reader_init(&list, names);
    type = wire_read_u8(&list);
    name = wire_read_string16(&list);
    if (!wire_reader_done(&r) || !wire_reader_done(&list) ||
        type != NAME_TYPE_HOST || name.len == 0 ||
        name.len >= sizeof(hello->server_name) ||
        name.data[name.len - 1] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];

        if (c >= 'A' && c <= 'Z') {
            c = (uint8_t)(c + ('a' - 'A'));
        }
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' &&
            c != '.' && c != '_') {
            return false;
        }
        hello->server_name[i] = (char)c;
    }
    hello->server_name[name.len] = '\0';
    return true;
}

/* RFC 7301 section 3.1. */
static bool read_alpn(struct span extension, struct tls_hello *hello)
{
    struct wire_reader r, list;

    wire_reader_init(&r, extension);
    wire_reader_init(&list, wire_read_string16(&r));
    if (!wire_reader_done(&r) || list.rest.len == 0) {
        return false;
    }
    while (list.rest.len > 0) {
        struct span name = wire_read_string8(&list);

        if (list.is_bad || name.len == 0) {
            return false;
        }
        if (span_equal(name, span_text(LINK_ALPN))) {
            hello->offers_link = true;
        } else {
            hello->offers_other = true;
        }
    }
    return true;
}

static bool read_extensions(struct span extensions, struct tls_hello *hello)
{
    struct wire_reader r;
    bool has_name = false;
    bool has_alpn = false;

    wire_reader_init(&r, extensions);
    while (r.rest.len > 0) {
        uint16_t type = wire_read_u16(&r);
        struct span extension = wire_read_string16(&r);

        if (r.is_bad) {
            return false;
        }
        if (type == EXTENSION_SERVER_NAME) {
            if (has_name || !read_server_name(extension, hello)) {
                return false;
            }
            has_name = true;
        } else if (type == EXTENSION_ALPN) {
            if (has_alpn || !read_alpn(extension, hello)) {
                return false;
            }
            has_alpn = true;
        }
    }
    return true;
}

/* RFC 8446 section 4.1.2, which has the layout of all versions before. */
static bool read_body(struct span body, struct tls_hello *hello)
{
    struct wire_reader r;
    struct span session_id, ciphers, compressions, extensions;

    wire_reader_init(&r, body);
    wire_read_u16(&r);
    wire_read_bytes(&r, RANDOM_LEN);
    session_id = wire_read_string8(&r);
    ciphers = wire_read_string16(&r);
    compressions = wire_read_string8(&r);
    if (r.is_bad || session_id.len > SESSION_ID_BYTES_MAX || ciphers.len < 2 ||
        ciphers.len % 2 != 0 || compressions.len == 0) {
        return false;
    }
    /* Before TLS 1.3 a hello could do without extensions. */
    if (r.rest.len == 0) {
        return true;
    }
    extensions = wire_read_string16(&r);
    return wire_reader_done(&r) && read_extensions(extensions, hello);
}

enum tls_hello_state tls_hello_read(struct span in, struct tls_hello *hello)
{
    uint8_t body[HELLO_MAX];
    size_t len = 0;
    enum tls_hello_state state = collect(in, body, &len);

    *hello = (struct tls_hello){ .server_name = "" };
    if (state != TLS_HELLO_WHOLE) {
        return state;
    }
    return read_body(span_of(body + HANDSHAKE_HEADER_LEN, len), hello)
               ? TLS_HELLO_WHOLE
               : TLS_HELLO_BAD;
}
