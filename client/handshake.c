/*
 * One dial, one LOGIN, one answer, under one deadline. The relay's
 * certificate proves nothing here and is not looked at: its signature over
 * this connection's exporter is checked against the pinned keys. A proxy that
 * ends the TLS in between has another exporter, so nothing it forwards fits.
 */
#include "client/handshake.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/dial.h"
#include "common/timer.h"
#include "proto/frame.h"

#define HANDSHAKE_WHY_MAX 512u
#define ANSWER_MAX (FRAME_HEADER_LEN + DENIED_LONGEST)
#define SOFTWARE "sallyport/" SALLYPORT_VERSION

_Static_assert(WELCOME_LONGEST <= DENIED_LONGEST, "the answer fits");

struct handshake {
    struct loop *loop;
    struct relay_pin relay;
    const struct key_pair *key;
    struct key_pair enrol;
    bool is_enrolling;
    struct login login;
    void (*on_ready)(void *owner);
    handshake_fn *on_done;
    void *owner;
    struct tls_context *tls;
    struct dial *dial;
    struct conn *conn;
    struct timer *timer;
    struct login_binding binding;
    size_t answer_len;
    uint8_t answer[ANSWER_MAX];
    char why[HANDSHAKE_WHY_MAX];
};

static void handshake_free(struct handshake *h)
{
    if (h == NULL) {
        return;
    }
    dial_cancel(h->dial);
    conn_close(h->conn, 0);
    timer_close(h->timer);
    tls_context_free(h->tls);
    keys_wipe(&h->enrol, sizeof(h->enrol));
    free(h);
}

void handshake_cancel(struct handshake *h)
{
    handshake_free(h);
}

/* Tell the owner how it ended, |welcome| if well; |h| is gone after it. */
static void finish(struct handshake *h, enum err error,
                   const struct welcome *welcome)
{
    struct handshake_result result = { .error = error, .why = h->why };

    assert((error == ERR_OK) == (welcome != NULL));
    if (welcome != NULL) {
        result.conn = h->conn;
        result.welcome = *welcome;
        h->conn = NULL;
    }
    h->on_done(h->owner, &result);
    handshake_free(h);
}

static void fail(struct handshake *h, enum err error, const char *why)
{
    assert(error != ERR_OK);
    snprintf(h->why, sizeof(h->why), "%s", why);
    finish(h, error, NULL);
}

/* Whoever answered there, it is not a relay whose key we have. */
static void fail_stranger(struct handshake *h)
{
    unsigned port = h->relay.port;
    char issuer[128];

    tls_peer_issuer(conn_tls(h->conn), issuer, sizeof(issuer));
    if (strstr(issuer, "sallyport") != NULL) {
        snprintf(h->why, sizeof(h->why),
                 "%s:%u is a relay, but not the one you were invited to: its "
                 "key is another. Ask its operator for a new invitation",
                 h->relay.host, port);
    } else {
        snprintf(h->why, sizeof(h->why),
                 "something between this machine and %s:%u ends the TLS "
                 "connection (an intercepting proxy): the certificate comes "
                 "from %s",
                 h->relay.host, port, issuer);
    }
    finish(h, ERR_BINDING, NULL);
}

/* What the relay signs for an answer whose body has this hash. */
typedef void answer_message(struct wire_writer *w,
                            const struct login_binding *b,
                            const uint8_t hash[HASH_LEN]);

/* Whether the relay we know signed |body|, over this very connection. */
static bool is_signed(struct handshake *h, answer_message *message,
                      struct span body, const uint8_t signature[SIGNATURE_LEN])
{
    uint8_t bytes[LOGIN_MESSAGE_MAX];
    uint8_t hash[HASH_LEN];
    struct wire_writer w;

    keys_hash(body, NULL, hash);
    wire_writer_init(&w, bytes, sizeof(bytes));
    message(&w, &h->binding, hash);
    assert(wire_writer_done(&w));
    return keys_verify(h->binding.relay_key, wire_written(&w), signature);
}

/* What the relay may answer to our LOGIN: PROTOCOL.md, "Login". */
static bool fits(const struct welcome *m, const struct login *l)
{
    return m->epoch == l->epoch && m->slot == l->slot &&
           m->minor >= l->minor_min && m->minor <= l->minor_max &&
           (m->features & ~l->features) == 0 &&
           (!m->is_resumed || (l->is_resuming && memcmp(m->session, l->session,
                                                        SESSION_ID_LEN) == 0));
}

static void on_welcome(struct handshake *h, struct span payload)
{
    struct welcome m;
    struct span body;

    if (welcome_get(payload, &m, &body) != ERR_OK) {
        fail(h, ERR_PROTOCOL, "the relay's WELCOME is malformed");
        return;
    }
    if (!is_signed(h, login_relay_message, body, m.signature)) {
        fail_stranger(h);
        return;
    }
    if (!fits(&m, &h->login)) {
        fail(h, ERR_PROTOCOL, "the relay's WELCOME does not fit our LOGIN");
        return;
    }
    m.software = span_of(NULL, 0);
    finish(h, ERR_OK, &m);
}

static void on_denied(struct handshake *h, struct span payload)
{
    struct denied d;
    struct span body;

    if (denied_get(payload, &d, &body) != ERR_OK) {
        fail(h, ERR_PROTOCOL, "the relay's DENIED is malformed");
        return;
    }
    if (!is_signed(h, login_denied_message, body, d.signature)) {
        fail_stranger(h);
        return;
    }
    snprintf(h->why, sizeof(h->why), "%.*s", (int)d.sentence.len,
             (const char *)d.sentence.data);
    finish(h, d.code, NULL);
}

/* Move input to the answer until it has |len| bytes; whether it has. */
static bool gather(struct handshake *h, size_t len)
{
    struct span in = conn_input(h->conn);
    size_t take = len - h->answer_len;

    if (h->answer_len >= len) {
        return true;
    }
    take = in.len < take ? in.len : take;
    if (take > 0) {
        memcpy(h->answer + h->answer_len, in.data, take);
        conn_consume(h->conn, take);
        h->answer_len += take;
    }
    return h->answer_len == len;
}

/* The answer is one whole frame; what follows it is the session's. */
static void read_answer(struct handshake *h)
{
    struct frame_header header;
    const char *why;

    if (!gather(h, FRAME_HEADER_LEN)) {
        return;
    }
    frame_header_get(h->answer, &header);
    if (frame_check_login(&header, true, &why) != ERR_OK) {
        fail(h, ERR_PROTOCOL, why);
        return;
    }
    if (!gather(h, FRAME_HEADER_LEN + header.len)) {
        return;
    }
    if (header.type == FRAME_WELCOME) {
        on_welcome(h, span_of(h->answer + FRAME_HEADER_LEN, header.len));
    } else {
        on_denied(h, span_of(h->answer + FRAME_HEADER_LEN, header.len));
    }
}

static void sign(const struct key_pair *key,
                 void (*message)(struct wire_writer *,
                                 const struct login_binding *),
                 const struct login_binding *b, uint8_t *signature)
{
    uint8_t bytes[LOGIN_MESSAGE_MAX];
    struct wire_writer w;

    wire_writer_init(&w, bytes, sizeof(bytes));
    message(&w, b);
    assert(wire_writer_done(&w));
    keys_sign(key, wire_written(&w), signature);
}

static void send_login(struct handshake *h)
{
    uint8_t frame[FRAME_HEADER_LEN + LOGIN_LONGEST];
    struct frame_header header = { .type = FRAME_LOGIN };
    struct login *l = &h->login;
    struct wire_writer w;

    if (tls_exporter(conn_tls(h->conn), h->binding.exporter) != ERR_OK) {
        fail(h, ERR_TLS, "TLS gave no exporter");
        return;
    }
    memcpy(l->client_key, h->key->public_key, KEY_LEN);
    memcpy(h->binding.client_key, h->key->public_key, KEY_LEN);
    memcpy(h->binding.relay_key, h->relay.keys[0], KEY_LEN);
    l->is_enrolling = h->is_enrolling;
    memcpy(l->enrol_key, h->enrol.public_key, KEY_LEN);
    l->software = span_text(SOFTWARE);
    wire_writer_init(&w, frame + FRAME_HEADER_LEN,
                     sizeof(frame) - FRAME_HEADER_LEN);
    login_put_body(&w, l);
    keys_hash(wire_written(&w), NULL, h->binding.login_hash);
    sign(h->key, login_client_message, &h->binding, l->signature);
    if (h->is_enrolling) {
        sign(&h->enrol, login_enrol_message, &h->binding, l->enrol_signature);
    }
    login_put_signatures(&w, l);
    assert(wire_writer_done(&w));
    header.len = (uint16_t)w.len;
    frame_header_put(frame, &header);
    if (conn_write(h->conn, span_of(frame, FRAME_HEADER_LEN + w.len)) !=
        ERR_OK) {
        fail(h, ERR_IO, "the connection broke during the login");
    }
}

static void on_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct handshake *h = owner;

    switch (event) {
    case CONN_UP:
    case CONN_SENT:
        break;
    case CONN_DATA:
        read_answer(h);
        break;
    case CONN_EOF:
        fail(h, ERR_CLOSED, "the relay closed the connection during the login");
        break;
    case CONN_DOWN:
        fail(h, conn_error(c), conn_why(c));
        break;
    }
}

static void on_dial(struct conn *c, enum err error, const char *why,
                    void *owner)
{
    struct handshake *h = owner;

    h->dial = NULL;
    if (error != ERR_OK) {
        snprintf(h->why, sizeof(h->why), "cannot reach %s:%u: %s",
                 h->relay.host, (unsigned)h->relay.port, why);
        finish(h, error, NULL);
        return;
    }
    h->conn = c;
    conn_set_owner(c, on_conn, h);
    if (h->on_ready != NULL) {
        h->on_ready(h->owner);
    } else {
        send_login(h);
    }
}

void handshake_login(struct handshake *h, const struct login *login)
{
    assert(h->conn != NULL);
    h->login = *login;
    send_login(h);
}

static void on_deadline(void *owner)
{
    struct handshake *h = owner;

    snprintf(h->why, sizeof(h->why), "%s:%u did not answer the login in time",
             h->relay.host, (unsigned)h->relay.port);
    finish(h, ERR_TIMEOUT, NULL);
}

enum err handshake_start(struct loop *l, const struct handshake_options *o,
                         struct handshake **out)
{
    struct handshake *h = calloc(1, sizeof(*h));
    struct dial_options dial = { .deadline_us = LOGIN_US };
    struct visitor_address at;
    char host[ADDRESS_TEXT_MAX];
    enum err err = ERR_NOMEM;

    if (h == NULL) {
        return ERR_NOMEM;
    }
    assert(o->relay->key_count > 0);
    h->loop = l;
    h->relay = *o->relay;
    h->key = o->key;
    h->login = o->login;
    h->on_ready = o->on_ready;
    h->on_done = o->on_done;
    h->owner = o->owner;
    if (o->enrol != NULL) {
        h->enrol = *o->enrol;
        h->is_enrolling = true;
    }
    h->timer = timer_new(l, on_deadline, h);
    if (h->timer == NULL) {
        goto fail;
    }
    err = tls_context_link_client(&h->tls);
    if (err != ERR_OK) {
        goto fail;
    }
    dial.host = h->relay.host;
    dial.tls_host = h->relay.host;
    if (o->at != NULL && o->at->ss_family != AF_UNSPEC) {
        address_to_visitor(o->at, &at);
        address_visitor_text(&at, host, sizeof(host));
        dial.host = host;
    }
    dial.port = h->relay.port;
    dial.tls = h->tls;
    dial.on_done = on_dial;
    dial.owner = h;
    err = dial_start(l, &dial, &h->dial);
    if (err != ERR_OK) {
        goto fail;
    }
    timer_set(h->timer, loop_now(l) + LOGIN_US);
    *out = h;
    return ERR_OK;
fail:
    handshake_free(h);
    return err;
}

bool handshake_is_final(enum err error, bool was_up)
{
    switch ((int)error) {
    case ERR_AUTH:
    case ERR_REVOKED:
    case ERR_VERSION:
        return true;
    case ERR_BINDING:
        return !was_up;
    default:
        return false;
    }
}
