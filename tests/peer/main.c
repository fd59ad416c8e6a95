/*
 * hostile_peer: the other end of a link, as a test wants it. Lines on stdin
 * say what to do, lines on stdout what came. The TLS and the login's
 * signatures are real; every other byte is the test's own, right or wrong.
 *
 *   dial PORT FROM          connect from address FROM; LOGIN is ours to send
 *   listen                  be a relay: print `port N`, take one after another
 *   login BODY SEED RELAY [ENROL]   sign and send LOGIN; print `sent FRAME`
 *   welcome|denied BODY SEED        sign and send the answer to the LOGIN
 *   send HEX | repeat N HEX         any bytes
 *   mute | read             stop reading the socket, go on
 *   close | abort           close_notify, or a reset
 *   public SEED             print the public key of a seed
 *   invitation TEXT         print `invitation HOST PORT RELAY SEED`
 *
 * Printed besides: `up EXPORTER`, `frame STREAM TYPE FLAGS LEN HEX` (all
 * but HEX decimal, HEX at most 1 KiB), `end WHY`, `done` after each send.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/invitation.h"
#include "proto/login.h"
#include "tests/peer/peer_link.h"

#define SHOWN_MAX 1024u
#define WORDS_MAX 6u
#define INPUT_MAX (16u * MIB)

struct peer {
    struct peer_link *link;
    int listener;
    bool is_told; /* that the last send is done */
    size_t login_len;
    uint8_t login[LOGIN_LONGEST]; /* the last LOGIN that came */
    size_t input_len;
    char input[INPUT_MAX]; /* lines that are not run yet */
};

static struct peer peer = { .listener = -1, .is_told = true };

static _Noreturn void fail(const char *what)
{
    printf("error %s\n", what);
    exit(1);
}

static void print_hex(struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        printf("%02x", bytes.data[i]);
    }
}

static void print_line(const char *word, struct span bytes)
{
    printf("%s ", word);
    print_hex(bytes);
    printf("\n");
}

/* --- the link ------------------------------------------------------------*/

static void on_up(struct peer_link *l)
{
    print_line("up", span_of(peer_link_exporter(l), EXPORTER_LEN));
}

static void on_frame(struct peer_link *l, const struct frame_header *h,
                     struct span payload)
{
    (void)l;
    if (h->type == FRAME_LOGIN && payload.len <= sizeof(peer.login)) {
        memcpy(peer.login, payload.data, payload.len);
        peer.login_len = payload.len;
    }
    printf("frame %" PRIu32 " %u %u %u ", h->stream, h->type, h->flags, h->len);
    payload.len = payload.len > SHOWN_MAX ? SHOWN_MAX : payload.len;
    print_hex(payload);
    printf("\n");
}

static void on_end(struct peer_link *l, const char *why)
{
    (void)l;
    peer.link = NULL;
    printf("end %s\n", why);
}

static const struct peer_handler handler = { on_up, on_frame, on_end };

static void dial(uint16_t port, const char *from)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || inet_pton(AF_INET, from, &a.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        fail("no socket");
    }
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        printf("end refused\n");
        return;
    }
    peer.link = peer_link_client(fd, &handler);
    if (peer.link == NULL) {
        fail("no memory");
    }
}

static void listen_now(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof(a);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (peer.listener < 0 ||
        bind(peer.listener, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(peer.listener, 64) != 0 ||
        getsockname(peer.listener, (struct sockaddr *)&a, &len) != 0) {
        fail("no listener");
    }
    printf("port %u\n", ntohs(a.sin_port));
}

static void accept_one(void)
{
    int fd = accept(peer.listener, NULL, NULL);

    if (fd >= 0) {
        peer.link = peer_link_server(fd, &handler);
    }
}

/* --- words ---------------------------------------------------------------*/

static int nibble(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

/* |text| as bytes, to be freed. */
static uint8_t *from_hex(const char *text, size_t *len)
{
    uint8_t *out = malloc(strlen(text) / 2 + 1);

    *len = strlen(text) / 2;
    for (size_t i = 0; i < *len && out != NULL; i++) {
        int high = nibble(text[2 * i]);
        int low = nibble(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            fail("no hex");
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    if (out == NULL) {
        fail("no memory");
    }
    return out;
}

static void read_key(const char *text, uint8_t out[KEY_LEN])
{
    size_t len;
    uint8_t *bytes = from_hex(text, &len);

    if (len != KEY_LEN) {
        fail("no key");
    }
    memcpy(out, bytes, KEY_LEN);
    free(bytes);
}

static void read_seed(const char *text, struct key_pair *k)
{
    uint8_t seed[KEY_SEED_LEN];

    read_key(text, seed);
    keys_from_seed(k, seed);
}

/* --- signed frames -------------------------------------------------------*/

static void put_signature(struct wire_writer *w, const struct key_pair *k,
                          const struct wire_writer *message)
{
    uint8_t signature[SIGNATURE_LEN];

    assert(wire_writer_done(message));
    keys_sign(k, wire_written(message), signature);
    wire_write_bytes(w, span_of(signature, sizeof(signature)));
}

/* A frame of |type| with |body|; its signatures are to be appended. */
static void begin_frame(struct wire_writer *w, enum frame_type type,
                        const char *body, size_t signatures)
{
    size_t len;
    uint8_t *bytes = from_hex(body, &len);
    size_t payload = len + signatures * SIGNATURE_LEN;
    struct frame_header h = { .type = (uint8_t)type, .len = (uint16_t)payload };

    wire_writer_init(w, malloc(FRAME_HEADER_LEN + payload),
                     FRAME_HEADER_LEN + payload);
    frame_header_put(w->data, &h);
    w->len = FRAME_HEADER_LEN;
    wire_write_bytes(w, span_of(bytes, len));
    free(bytes);
}

static void send_frame(struct wire_writer *w)
{
    assert(wire_writer_done(w));
    peer_link_send(peer.link, w->data, w->len, 1);
}

static void login(char **words, size_t count)
{
    struct login_binding b = { 0 };
    uint8_t bytes[LOGIN_MESSAGE_MAX];
    struct wire_writer w, message;
    struct key_pair key;

    begin_frame(&w, FRAME_LOGIN, words[1], count > 4 ? 2 : 1);
    read_seed(words[2], &key);
    read_key(words[3], b.relay_key);
    memcpy(b.exporter, peer_link_exporter(peer.link), EXPORTER_LEN);
    memcpy(b.client_key, key.public_key, KEY_LEN);
    keys_hash(span_of(w.data + FRAME_HEADER_LEN, w.len - FRAME_HEADER_LEN),
              NULL, b.login_hash);
    wire_writer_init(&message, bytes, sizeof(bytes));
    login_client_message(&message, &b);
    put_signature(&w, &key, &message);
    if (count > 4) {
        read_seed(words[4], &key);
        wire_writer_init(&message, bytes, sizeof(bytes));
        login_enrol_message(&message, &b);
        put_signature(&w, &key, &message);
    }
    print_line("sent", wire_written(&w));
    send_frame(&w);
}

static void answer(char **words, enum frame_type type)
{
    struct login_binding b = { 0 };
    uint8_t bytes[LOGIN_MESSAGE_MAX];
    uint8_t hash[HASH_LEN];
    struct wire_writer w, message;
    struct key_pair key;
    struct login l;
    struct span body;

    if (login_get(span_of(peer.login, peer.login_len), &l, &body) != ERR_OK) {
        fail("no LOGIN came");
    }
    begin_frame(&w, type, words[1], 1);
    read_seed(words[2], &key);
    memcpy(b.exporter, peer_link_exporter(peer.link), EXPORTER_LEN);
    memcpy(b.client_key, l.client_key, KEY_LEN);
    keys_hash(body, NULL, b.login_hash);
    keys_hash(span_of(w.data + FRAME_HEADER_LEN, w.len - FRAME_HEADER_LEN),
              NULL, hash);
    wire_writer_init(&message, bytes, sizeof(bytes));
    if (type == FRAME_WELCOME) {
        login_relay_message(&message, &b, hash);
    } else {
        login_denied_message(&message, &b, hash);
    }
    put_signature(&w, &key, &message);
    send_frame(&w);
}

/* --- verbs ---------------------------------------------------------------*/

static void show_public(const char *seed)
{
    struct key_pair key;

    read_seed(seed, &key);
    print_line("public", span_of(key.public_key, KEY_LEN));
}

static void show_invitation(const char *text)
{
    struct invitation i;
    const char *why;

    if (invitation_decode(span_text(text), &i, &why) != ERR_OK) {
        fail(why);
    }
    printf("invitation %s %u ", i.host, (unsigned)i.port);
    print_hex(span_of(i.relay_key, KEY_LEN));
    print_line("", span_of(i.seed, KEY_SEED_LEN));
}

static void send_bytes(const char *text, uint64_t count)
{
    size_t len;
    uint8_t *bytes = from_hex(text, &len);

    peer_link_send(peer.link, bytes, len, count);
}

static bool is(const char *word, const char *verb)
{
    return strcmp(word, verb) == 0;
}

/* What needs a link that is up; false: no such verb. */
static bool run_on_link(char **words, size_t count)
{
    peer.is_told = true;
    if (is(words[0], "mute") || is(words[0], "read")) {
        peer_link_mute(peer.link, is(words[0], "mute"));
        return true;
    }
    if (is(words[0], "close") || is(words[0], "abort")) {
        peer_link_free(peer.link,
                       is(words[0], "close") ? PEER_CLOSE : PEER_ABORT);
        peer.link = NULL;
        printf("end own\n");
        return true;
    }
    peer.is_told = false;
    if (is(words[0], "login") && count >= 4) {
        login(words, count);
    } else if (is(words[0], "welcome") && count == 3) {
        answer(words, FRAME_WELCOME);
    } else if (is(words[0], "denied") && count == 3) {
        answer(words, FRAME_DENIED);
    } else if (is(words[0], "send") && count == 2) {
        send_bytes(words[1], 1);
    } else if (is(words[0], "repeat") && count == 3) {
        send_bytes(words[2], strtoull(words[1], NULL, 10));
    } else {
        return false;
    }
    return true;
}

static void run(char **words, size_t count)
{
    if (is(words[0], "dial") && count == 3 && peer.link == NULL) {
        dial((uint16_t)strtoul(words[1], NULL, 10), words[2]);
    } else if (is(words[0], "listen")) {
        listen_now();
    } else if (is(words[0], "public") && count == 2) {
        show_public(words[1]);
    } else if (is(words[0], "invitation") && count == 2) {
        show_invitation(words[1]);
    } else if (peer.link == NULL) {
        printf("gone %s\n", words[0]);
    } else if (!run_on_link(words, count)) {
        fail(words[0]);
    }
}

static void run_line(char *line)
{
    char *words[WORDS_MAX];
    size_t count = 0;
    char *rest = NULL;
    char *word = strtok_r(line, " \n", &rest);

    while (word != NULL && count < WORDS_MAX) {
        words[count++] = word;
        word = strtok_r(NULL, " \n", &rest);
    }
    if (count > 0) {
        run(words, count);
    }
}

/* Whether a line may be read: a dial and a send are waited for. */
static bool is_free(void)
{
    return peer.link == NULL ||
           (peer_link_is_up(peer.link) && !peer_link_is_sending(peer.link));
}

static void read_more(void)
{
    ssize_t n = read(STDIN_FILENO, peer.input + peer.input_len,
                     sizeof(peer.input) - peer.input_len);

    if (n <= 0) {
        exit(0);
    }
    peer.input_len += (size_t)n;
}

/* Run one line of the input; false: there is no whole one. */
static bool run_next(void)
{
    char *end = memchr(peer.input, '\n', peer.input_len);
    size_t len = end == NULL ? 0 : (size_t)(end - peer.input) + 1;

    if (end == NULL) {
        return false;
    }
    *end = '\0';
    run_line(peer.input);
    peer.input_len -= len;
    memmove(peer.input, peer.input + len, peer.input_len);
    return true;
}

/* Wait for what can happen next. */
static void wait_once(bool takes_line)
{
    struct pollfd wait[] = {
        { .fd = takes_line ? STDIN_FILENO : -1, .events = POLLIN },
        { .fd = peer.link == NULL ? peer.listener : -1, .events = POLLIN },
        { .fd = peer.link == NULL ? -1 : peer_link_fd(peer.link),
          .events = peer.link == NULL ? 0 : peer_link_wants(peer.link) },
    };

    if (poll(wait, sizeof(wait) / sizeof(wait[0]), -1) < 0) {
        fail("poll");
    }
    if (wait[2].revents != 0) {
        peer_link_ready(peer.link, wait[2].revents);
    }
    if (wait[1].revents != 0) {
        accept_one();
    }
    if (wait[0].revents != 0) {
        read_more();
    }
}

int main(void)
{
    if (keys_start() != ERR_OK) {
        fail("no libsodium");
    }
    for (;;) {
        bool takes_line = is_free();

        if (takes_line && !peer.is_told) {
            printf("done\n");
            peer.is_told = true;
        }
        if (!takes_line || !run_next()) {
            fflush(stdout);
            wait_once(takes_line);
        }
    }
}
