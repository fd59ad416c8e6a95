/*
 * LOGIN, WELCOME and DENIED as bytes, and the bytes that are signed. The rules
 * of who is let in are relay/login's; keys, hashes and signatures are made and
 * checked there and in the client, from what is written here.
 */
#include "proto/login.h"

#include "proto/frame.h"

enum login_flag { LOGIN_RESUMING = 0x01, LOGIN_ENROLLING = 0x02 };
enum welcome_flag { WELCOME_RESUMED = 0x01 };

static void login_put_limits(struct wire_writer *w,
                             const struct session_limits *l)
{
    wire_write_u32(w, l->window_first);
    wire_write_u32(w, l->streams_max);
    wire_write_u32(w, l->tunnels_max);
    wire_write_u32(w, l->grace_s);
}

/* Whether the limits let a stream live at all. */
static bool login_get_limits(struct wire_reader *r, struct session_limits *l)
{
    l->window_first = wire_read_u32(r);
    l->streams_max = wire_read_u32(r);
    l->tunnels_max = wire_read_u32(r);
    l->grace_s = wire_read_u32(r);
    return l->window_first > 0 && l->window_first <= WINDOW_MAX &&
           l->streams_max > 0;
}

static bool login_is_software(struct span s)
{
    return s.len <= SOFTWARE_MAX_LEN && frame_is_printable(s);
}

static bool login_is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t all = 0;

    for (size_t i = 0; i < len; i++) {
        all |= bytes[i];
    }
    return all == 0;
}

/* The first |len| bytes of |in|: the body that was hashed. */
static struct span login_body(struct span in, const struct wire_reader *r)
{
    return span_of(in.data, in.len - r->rest.len);
}

void login_put_body(struct wire_writer *w, const struct login *l)
{
    uint8_t flags = 0;

    flags |= l->is_resuming ? LOGIN_RESUMING : 0;
    flags |= l->is_enrolling ? LOGIN_ENROLLING : 0;
    wire_write_u8(w, l->minor_min);
    wire_write_u8(w, l->minor_max);
    wire_write_u8(w, flags);
    wire_write_u8(w, l->slot);
    wire_write_u64(w, l->features);
    wire_write_bytes(w, span_of(l->client_key, KEY_LEN));
    login_put_limits(w, &l->limits);
    wire_write_bytes(w, span_of(l->session, SESSION_ID_LEN));
    wire_write_u32(w, l->epoch);
    wire_write_u64(w, l->received);
    if (l->is_enrolling) {
        wire_write_bytes(w, span_of(l->enrol_key, KEY_LEN));
    }
    assert(login_is_software(l->software));
    wire_write_string8(w, l->software);
}

void login_put_signatures(struct wire_writer *w, const struct login *l)
{
    wire_write_bytes(w, span_of(l->signature, SIGNATURE_LEN));
    if (l->is_enrolling) {
        wire_write_bytes(w, span_of(l->enrol_signature, SIGNATURE_LEN));
    }
}

/* The relations between a login's values. */
static bool login_is_sane(const struct login *l)
{
    if (l->minor_min > l->minor_max || l->slot >= SLOTS_MAX) {
        return false;
    }
    if (!l->is_resuming && l->received != 0) {
        return false;
    }
    return l->is_resuming || l->slot > 0 ||
           login_is_zero(l->session, SESSION_ID_LEN);
}

enum err login_get(struct span in, struct login *l, struct span *body)
{
    struct wire_reader r;
    uint8_t flags;
    bool is_good;

    *l = (struct login){ 0 };
    wire_reader_init(&r, in);
    l->minor_min = wire_read_u8(&r);
    l->minor_max = wire_read_u8(&r);
    flags = wire_read_u8(&r);
    l->is_resuming = (flags & LOGIN_RESUMING) != 0;
    l->is_enrolling = (flags & LOGIN_ENROLLING) != 0;
    l->slot = wire_read_u8(&r);
    l->features = wire_read_u64(&r);
    wire_read_copy(&r, l->client_key, KEY_LEN);
    is_good = login_get_limits(&r, &l->limits);
    wire_read_copy(&r, l->session, SESSION_ID_LEN);
    l->epoch = wire_read_u32(&r);
    l->received = wire_read_u64(&r);
    if (l->is_enrolling) {
        wire_read_copy(&r, l->enrol_key, KEY_LEN);
    }
    l->software = wire_read_string8(&r);
    *body = login_body(in, &r);

    wire_read_copy(&r, l->signature, SIGNATURE_LEN);
    if (l->is_enrolling) {
        wire_read_copy(&r, l->enrol_signature, SIGNATURE_LEN);
    }
    is_good = is_good && (flags & ~(LOGIN_RESUMING | LOGIN_ENROLLING)) == 0 &&
              login_is_software(l->software) && login_is_sane(l);
    return wire_reader_done(&r) && is_good ? ERR_OK : ERR_PROTOCOL;
}

void welcome_put_body(struct wire_writer *w, const struct welcome *m)
{
    wire_write_u8(w, m->minor);
    wire_write_u8(w, m->is_resumed ? WELCOME_RESUMED : 0);
    wire_write_u8(w, m->slot);
    wire_write_u64(w, m->features);
    login_put_limits(w, &m->limits);
    wire_write_bytes(w, span_of(m->session, SESSION_ID_LEN));
    wire_write_u32(w, m->epoch);
    wire_write_u64(w, m->received);
    assert(login_is_software(m->software));
    wire_write_string8(w, m->software);
}

void welcome_put_signature(struct wire_writer *w, const struct welcome *m)
{
    wire_write_bytes(w, span_of(m->signature, SIGNATURE_LEN));
}

enum err welcome_get(struct span in, struct welcome *m, struct span *body)
{
    struct wire_reader r;
    uint8_t flags;
    bool is_good;

    *m = (struct welcome){ 0 };
    wire_reader_init(&r, in);
    m->minor = wire_read_u8(&r);
    flags = wire_read_u8(&r);
    m->is_resumed = (flags & WELCOME_RESUMED) != 0;
    m->slot = wire_read_u8(&r);
    m->features = wire_read_u64(&r);
    is_good = login_get_limits(&r, &m->limits);
    wire_read_copy(&r, m->session, SESSION_ID_LEN);
    m->epoch = wire_read_u32(&r);
    m->received = wire_read_u64(&r);
    m->software = wire_read_string8(&r);
    *body = login_body(in, &r);

    wire_read_copy(&r, m->signature, SIGNATURE_LEN);
    is_good = is_good && (flags & ~WELCOME_RESUMED) == 0 &&
              m->slot < SLOTS_MAX && (m->is_resumed || m->received == 0) &&
              login_is_software(m->software);
    return wire_reader_done(&r) && is_good ? ERR_OK : ERR_PROTOCOL;
}

void denied_put_body(struct wire_writer *w, const struct denied *d)
{
    assert(d->code != ERR_OK && error_is_wire(d->code));
    wire_write_u16(w, (uint16_t)d->code);
    frame_put_sentence(w, d->sentence);
}

void denied_put_signature(struct wire_writer *w, const struct denied *d)
{
    wire_write_bytes(w, span_of(d->signature, SIGNATURE_LEN));
}

enum err denied_get(struct span in, struct denied *d, struct span *body)
{
    struct wire_reader r;
    bool is_good;

    *d = (struct denied){ 0 };
    wire_reader_init(&r, in);
    d->code = error_from_wire(wire_read_u16(&r));
    d->sentence = wire_read_string8(&r);
    *body = login_body(in, &r);

    wire_read_copy(&r, d->signature, SIGNATURE_LEN);
    is_good = d->code != ERR_OK && frame_is_printable(d->sentence);
    return wire_reader_done(&r) && is_good ? ERR_OK : ERR_PROTOCOL;
}

/* |text| with its zero, so that no text is the begin of another. */
static void login_put_context(struct wire_writer *w, const char *text)
{
    wire_write_text(w, text);
    wire_write_u8(w, 0);
}

void login_client_message(struct wire_writer *w, const struct login_binding *b)
{
    login_put_context(w, "sallyport/1 client");
    wire_write_bytes(w, span_of(b->exporter, EXPORTER_LEN));
    wire_write_bytes(w, span_of(b->relay_key, KEY_LEN));
    wire_write_bytes(w, span_of(b->login_hash, HASH_LEN));
}

void login_enrol_message(struct wire_writer *w, const struct login_binding *b)
{
    login_put_context(w, "sallyport/1 enrol");
    wire_write_bytes(w, span_of(b->exporter, EXPORTER_LEN));
    wire_write_bytes(w, span_of(b->relay_key, KEY_LEN));
    wire_write_bytes(w, span_of(b->client_key, KEY_LEN));
    wire_write_bytes(w, span_of(b->login_hash, HASH_LEN));
}

void login_relay_message(struct wire_writer *w, const struct login_binding *b,
                         const uint8_t welcome_hash[HASH_LEN])
{
    login_put_context(w, "sallyport/1 relay");
    wire_write_bytes(w, span_of(b->exporter, EXPORTER_LEN));
    wire_write_bytes(w, span_of(b->client_key, KEY_LEN));
    wire_write_bytes(w, span_of(b->login_hash, HASH_LEN));
    wire_write_bytes(w, span_of(welcome_hash, HASH_LEN));
}

void login_denied_message(struct wire_writer *w, const struct login_binding *b,
                          const uint8_t denied_hash[HASH_LEN])
{
    login_put_context(w, "sallyport/1 denied");
    wire_write_bytes(w, span_of(b->exporter, EXPORTER_LEN));
    wire_write_bytes(w, span_of(b->client_key, KEY_LEN));
    wire_write_bytes(w, span_of(b->login_hash, HASH_LEN));
    wire_write_bytes(w, span_of(denied_hash, HASH_LEN));
}

void login_next_key_message(struct wire_writer *w,
                            const uint8_t next_key[KEY_LEN])
{
    login_put_context(w, "sallyport/1 next");
    wire_write_bytes(w, span_of(next_key, KEY_LEN));
}
