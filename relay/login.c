/*
 * A link before its WELCOME. All of the LOGIN fits a small buffer; nothing
 * that costs (signatures, the store) happens before it is whole. Whether it is
 * let in, admission says.
 */
#include "relay/login.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/address.h"
#include "common/log.h"
#include "proto/frame.h"
#include "relay/admission.h"
#include "relay/client_session.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

#define LOGIN_PAYLOAD_MAX (LOGIN_BODY_MAX + 2 * SIGNATURE_LEN)
#define LOGIN_FRAME_MAX (FRAME_HEADER_LEN + LOGIN_PAYLOAD_MAX)
#define DENIED_LINGER_US (2 * US_PER_S)

struct login_link {
    struct login_link *next, *prev;
    struct worker *worker;
    struct conn *conn;
    struct timer *timer;
    struct quota_hold hold;
    struct sockaddr_storage peer;
    size_t len; /* of |frame| so far */
    uint8_t frame[LOGIN_FRAME_MAX];
};

/* Free |k|; its connection is somebody else's, or closed, by now. */
static void forget(struct login_link *k)
{
    struct worker *w = k->worker;

    timer_close(k->timer);
    quota_leave(w->quota, &k->hold, loop_now(&w->loop));
    if (k->prev != NULL) {
        k->prev->next = k->next;
    } else {
        w->logins = k->next;
    }
    if (k->next != NULL) {
        k->next->prev = k->prev;
    }
    free(k);
    drain_look(w);
}

static void drop(struct login_link *k, const char *why)
{
    char peer[ADDRESS_TEXT_MAX];

    address_text(&k->peer, peer, sizeof(peer));
    LOG(LOG_INFO, "link-dropped", log_text("peer", peer), log_text("why", why));
    conn_close(k->conn, 0);
    forget(k);
}

/* --- answers -------------------------------------------------------------*/

/* In one piece, so that it is one TLS record. */
static enum err send_frame(struct conn *c, enum frame_type type,
                           struct span payload)
{
    uint8_t frame[LOGIN_FRAME_MAX];
    struct frame_header h = { .len = (uint16_t)payload.len,
                              .type = (uint8_t)type };

    assert(payload.len <= LOGIN_PAYLOAD_MAX);
    frame_header_put(frame, &h);
    memcpy(frame + FRAME_HEADER_LEN, payload.data, payload.len);
    return conn_write(c, span_of(frame, FRAME_HEADER_LEN + payload.len));
}

/* The relay's signature over what was written into |m|. */
static void sign(const struct worker *w, const struct wire_writer *m,
                 uint8_t signature[SIGNATURE_LEN])
{
    assert(wire_writer_done(m));
    keys_sign(&w->identity, wire_written(m), signature);
}

/*
 * The relay signs its refusal too: a client must be able to tell the relay's
 * own no from that of whoever ended the TLS on the way.
 */
static void deny(struct login_link *k, const struct login_binding *b,
                 const struct admission_refusal *why)
{
    struct denied d = { .code = why->code,
                        .sentence = span_text(why->sentence) };
    uint8_t payload[LOGIN_PAYLOAD_MAX];
    uint8_t message[LOGIN_MESSAGE_MAX];
    uint8_t hash[HASH_LEN];
    char peer[ADDRESS_TEXT_MAX];
    struct wire_writer w, m;

    wire_writer_init(&w, payload, sizeof(payload));
    denied_put_body(&w, &d);
    keys_hash(wire_written(&w), NULL, hash);
    wire_writer_init(&m, message, sizeof(message));
    login_denied_message(&m, b, hash);
    sign(k->worker, &m, d.signature);
    denied_put_signature(&w, &d);
    assert(wire_writer_done(&w));

    address_text(&k->peer, peer, sizeof(peer));
    LOG(LOG_WARN, "login-refused", log_text("peer", peer),
        log_text("reason", error_name(why->code)),
        log_text("why", why->sentence));
    if (send_frame(k->conn, FRAME_DENIED, wire_written(&w)) == ERR_OK) {
        conn_shutdown(k->conn);
    }
    conn_close(k->conn, DENIED_LINGER_US);
    forget(k);
}

static enum err send_welcome(struct login_link *k, struct welcome *m,
                             const struct login_binding *b)
{
    uint8_t payload[LOGIN_PAYLOAD_MAX];
    uint8_t message[LOGIN_MESSAGE_MAX];
    uint8_t hash[HASH_LEN];
    struct wire_writer w, mw;

    wire_writer_init(&w, payload, sizeof(payload));
    welcome_put_body(&w, m);
    keys_hash(wire_written(&w), NULL, hash);
    wire_writer_init(&mw, message, sizeof(message));
    login_relay_message(&mw, b, hash);
    sign(k->worker, &mw, m->signature);
    welcome_put_signature(&w, m);
    assert(wire_writer_done(&w));
    return send_frame(k->conn, FRAME_WELCOME, wire_written(&w));
}

/*
 * A session that this client comes back to: whether it was found, and answered
 * with |m|. The signature was checked; only now the older link is fenced, and
 * what was received counts from then.
 */
static bool come_back(struct login_link *k, const struct login *l,
                      const struct login_binding *b, struct welcome *m)
{
    static const struct admission_refusal stale = {
        ERR_STALE, "a newer login for this session was here already"
    };
    struct client_session *s =
        client_session_resumable(k->worker, l->session, l->client_key);

    if (s == NULL) {
        return false;
    }
    switch (session_judge(s->carrier.session, SLOT_EXPRESS, l->epoch,
                          l->received)) {
    case CLAIM_FALSE:
        return false;
    case CLAIM_STALE:
        deny(k, b, &stale);
        return true;
    case CLAIM_TRUE:
        break;
    }
    client_session_fence(s, l->epoch, &k->peer);
    m->is_resumed = true;
    m->received = session_received(s->carrier.session, SLOT_EXPRESS);
    memcpy(m->session, l->session, SESSION_ID_LEN);
    if (send_welcome(k, m, b) != ERR_OK ||
        client_session_resume(s, k->conn, l->received) != ERR_OK) {
        drop(k, "no memory to resume a session");
        return true;
    }
    forget(k);
    return true;
}

/* The second link of a session that lives. */
static void join(struct login_link *k, const struct login *l,
                 const struct login_binding *b, struct welcome *m)
{
    static const struct admission_refusal gone = {
        ERR_STALE, "there is no session that this link could join"
    };
    static const struct admission_refusal stale = {
        ERR_STALE, "a newer login for this link was here already"
    };
    struct client_session *s =
        client_session_resumable(k->worker, l->session, l->client_key);
    enum session_claim claim;

    if (s == NULL) {
        deny(k, b, &gone);
        return;
    }
    claim = session_judge(s->carrier.session, SLOT_BULK, l->epoch, l->received);
    if (claim == CLAIM_STALE) {
        deny(k, b, &stale);
        return;
    }
    m->is_resumed = l->is_resuming && claim == CLAIM_TRUE;
    bulk_link_fence(s, l->epoch, m->is_resumed);
    m->received = session_received(s->carrier.session, SLOT_BULK);
    memcpy(m->session, l->session, SESSION_ID_LEN);
    if (send_welcome(k, m, b) != ERR_OK ||
        bulk_link_take(s, k->conn, m->is_resumed, l->received) != ERR_OK) {
        drop(k, "no memory for a second link");
        return;
    }
    forget(k);
}

static void welcome(struct login_link *k, const struct login *l,
                    const struct login_binding *b)
{
    const struct relay_settings *s = k->worker->settings;
    struct welcome m = {
        .epoch = l->epoch,
        .slot = l->slot,
        .minor = LOGIN_MINOR,
        .limits = { .window_first = WINDOW_FIRST,
                    .streams_max = (uint32_t)s->streams_max,
                    .tunnels_max = TUNNELS_MAX,
                    .grace_s = (uint32_t)(s->grace_us / US_PER_S) },
        .software = span_text("sallyport-relay/" SALLYPORT_VERSION),
    };
    struct client_session_start start = { .key = l->client_key,
                                          .id = m.session,
                                          .own = m.limits,
                                          .peer = l->limits,
                                          .address = k->peer,
                                          .epoch = l->epoch };

    if (l->slot == SLOT_BULK) {
        join(k, l, b, &m);
        return;
    }
    if (l->is_resuming && come_back(k, l, b, &m)) {
        return;
    }
    keys_random(m.session, sizeof(m.session));
    if (send_welcome(k, &m, b) != ERR_OK ||
        client_session_start(k->worker, k->conn, &start) != ERR_OK) {
        drop(k, "no memory for a session");
        return;
    }
    forget(k);
}

/* --- reading -------------------------------------------------------------*/

static void take_login(struct login_link *k, struct span payload)
{
    struct login_binding b = { 0 };
    struct login l;
    struct span body;
    struct admission_refusal why;

    if (login_get(payload, &l, &body) != ERR_OK) {
        drop(k, "a malformed LOGIN");
        return;
    }
    if (tls_exporter(conn_tls(k->conn), b.exporter) != ERR_OK) {
        drop(k, "no TLS exporter");
        return;
    }
    memcpy(b.relay_key, k->worker->identity.public_key, KEY_LEN);
    memcpy(b.client_key, l.client_key, KEY_LEN);
    keys_hash(body, NULL, b.login_hash);
    if (admission_judge(k->worker, &k->hold, &l, &b, &why) == ERR_OK) {
        welcome(k, &l, &b);
        return;
    }
    if (why.code == ERR_AUTH || why.code == ERR_BINDING ||
        why.code == ERR_REVOKED) {
        quota_login_failed(&k->hold, loop_now(&k->worker->loop));
    }
    deny(k, &b, &why);
}

/* Move bytes from the connection until |len| are in the frame. */
static bool fill(struct login_link *k, size_t len)
{
    struct span in = conn_input(k->conn);
    size_t take = len - k->len;

    if (take > in.len) {
        take = in.len;
    }
    memcpy(k->frame + k->len, in.data, take);
    k->len += take;
    conn_consume(k->conn, take);
    return k->len == len;
}

static void read_login(struct login_link *k)
{
    struct frame_header h;

    if (k->len < FRAME_HEADER_LEN && !fill(k, FRAME_HEADER_LEN)) {
        return;
    }
    frame_header_get(k->frame, &h);
    if (h.type != FRAME_LOGIN || h.stream != 0 || h.flags != 0 ||
        h.len > LOGIN_PAYLOAD_MAX) {
        drop(k, "the first frame is no LOGIN");
        return;
    }
    if (!fill(k, FRAME_HEADER_LEN + (size_t)h.len)) {
        return;
    }
    take_login(k, span_of(k->frame + FRAME_HEADER_LEN, h.len));
}

static void take_up(struct login_link *k)
{
    if (!span_equal(tls_alpn(conn_tls(k->conn)), span_text(LINK_ALPN))) {
        drop(k, "not the link's ALPN");
        return;
    }
    quota_settled(&k->hold);
    timer_set(k->timer, loop_now(&k->worker->loop) + LOGIN_US);
}

static void on_login_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct login_link *k = owner;

    switch (event) {
    case CONN_UP:
        take_up(k);
        break;
    case CONN_DATA:
        read_login(k);
        break;
    case CONN_SENT:
        break;
    case CONN_EOF:
        drop(k, "the client closed the connection");
        break;
    case CONN_DOWN:
        drop(k, conn_why(c));
        break;
    }
}

static void on_login_late(void *owner)
{
    drop(owner, "no LOGIN in time");
}

/* --- begin and end -------------------------------------------------------*/

void login_start(struct worker *w, struct handoff *h)
{
    struct login_link *k = calloc(1, sizeof(*k));

    if (k == NULL) {
        goto fail;
    }
    k->timer = timer_new(&w->loop, on_login_late, k);
    if (k->timer == NULL) {
        goto fail;
    }
    k->worker = w;
    k->conn = h->conn;
    k->peer = h->peer;
    conn_set_owner(h->conn, on_login_conn, k);
    if (conn_start_tls(h->conn, w->link_context, span_text("sallyport link")) !=
        ERR_OK) {
        timer_close(k->timer);
        goto fail;
    }
    k->hold = h->hold;
    k->next = w->logins;
    if (k->next != NULL) {
        k->next->prev = k;
    }
    w->logins = k;
    timer_set(k->timer, h->accepted_us + HANDSHAKE_US);
    return;

fail:
    quota_leave(w->quota, &h->hold, loop_now(&w->loop));
    conn_abort(h->conn);
    free(k);
}

void login_close_all(struct worker *w)
{
    struct login_link *next;

    for (struct login_link *k = w->logins; k != NULL; k = next) {
        next = k->next;
        drop(k, "the relay ends");
    }
}
