/*
 * The strangers of tests/attacks/run, and the visitors they must not disturb.
 * No HTTP client: it knows our relay only.
 *
 *   attacks_stranger KIND PORT NAME COUNT ADDRESS ADDRESSES
 *
 * It keeps COUNT connections to 127.0.0.1:PORT, from ADDRESSES addresses that
 * follow each other from ADDRESS on, and opens each again as soon as it ends.
 * For each line on standard input it prints its counters as one line of JSON;
 * it ends with its input. The kinds are in the table |kinds| below.
 */
#include "tests/attacks/stranger.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define EVENTS 64
#define TURN_MS 10
#define SHAKING_MAX 64u /* handshakes under way, of those who finish them */
#define PROTOCOL_LEN 8
#define PROTOCOLS_LEN 9000u

static const struct kind kinds[] = {
    /* A visitor: one request after the other. */
    { "visit", CAN_TLS | CAN_ASK | CAN_READ,
      "GET /1024 HTTP/1.1\r\nHost: ", "\r\n\r\n" },
    /* Nothing after TCP, nothing after TLS. */
    { "connect", CAN_HELLO | CAN_MUTE, "", "" },
    { "idle", CAN_TLS, "", "" },
    /* Hellos whose answer nobody waits for, halves of them, odd ones. */
    { "hello", CAN_HELLO, "", "" },
    { "half", CAN_HELLO | CAN_HALF, "", "" },
    { "odd", CAN_HELLO | CAN_ODD, "", "" },
    /* Heads and bodies that never end, answers that nobody reads. */
    { "head", CAN_TLS | CAN_ASK | CAN_DRIP,
      "GET / HTTP/1.1\r\nHost: ", "\r\nX: " },
    { "body", CAN_TLS | CAN_ASK | CAN_DRIP,
      "POST / HTTP/1.1\r\nHost: ", "\r\nContent-Length: 1000000\r\n\r\n" },
    /* A request whose body is waited for. */
    { "wait", CAN_TLS | CAN_ASK,
      "POST / HTTP/1.1\r\nHost: ", "\r\nContent-Length: 1000000\r\n\r\n" },
    { "stall", CAN_TLS | CAN_ASK | CAN_STALL,
      "GET /100000000 HTTP/1.1\r\nHost: ", "\r\n\r\n" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* Open what is closed, send what is due. */
static void look_at_all(struct crowd *c)
{
    uint64_t now = stranger_now_us();

    for (size_t i = 0; i < c->count; i++) {
        struct stranger *s = &c->all[i];

        if (s->phase != CLOSED) {
            stranger_drip(c, s, now);
        }
        if (s->phase == CLOSED &&
            (!stranger_can(c, CAN_TLS) || c->shaking < SHAKING_MAX)) {
            stranger_begin(c, s);
        }
    }
}

static void tell(struct crowd *c)
{
    printf("{\"at_us\": %" PRIu64 ", \"opened\": %" PRIu64
           ", \"refused\": %" PRIu64 ", \"flights\": %" PRIu64
           ", \"alerts\": %" PRIu64 ", \"settled\": %" PRIu64
           ", \"answered\": %" PRIu64 ", \"ended\": %" PRIu64
           ", \"gap_us\": %" PRIu64 ", \"held\": %zu}\n",
           stranger_now_us(), c->opened, c->refused, c->flights, c->alerts,
           c->settled, c->answered, c->ended, c->gap_us, c->held);
    fflush(stdout);
    c->gap_us = 0;
}

/* False: the input has ended. */
static bool listen_to_test(struct crowd *c)
{
    ssize_t len = read(STDIN_FILENO, stranger_block, sizeof(stranger_block));

    for (ssize_t i = 0; i < len; i++) {
        if (stranger_block[i] == '\n') {
            tell(c);
        }
    }
    return len > 0;
}

static void run(struct crowd *c)
{
    struct epoll_event events[EVENTS] = { { .events = EPOLLIN } };
    uint64_t looked_us = 0;

    epoll_ctl(c->poll, EPOLL_CTL_ADD, STDIN_FILENO, &events[0]);
    for (;;) {
        int count;

        if (stranger_now_us() - looked_us >= TURN_MS * 1000u) {
            looked_us = stranger_now_us();
            look_at_all(c);
        }
        count = epoll_wait(c->poll, events, EVENTS, TURN_MS);
        for (int i = 0; i < count; i++) {
            struct stranger *s = events[i].data.ptr;

            if (s == NULL) {
                if (!listen_to_test(c)) {
                    return;
                }
            } else if (s->phase != CLOSED) {
                stranger_turn(c, s, events[i].events);
                if (s->phase == CLOSED && stranger_can(c, CAN_HELLO)) {
                    stranger_begin(c, s);
                }
            }
        }
    }
}

/* The bytes of a hello as our own TLS library writes it; a long one offers
 * more protocols. */
static void make_hello(struct crowd *c)
{
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    SSL *ssl = SSL_new(c->tls);
    uint8_t protocols[PROTOCOLS_LEN];
    int len;

    assert(in != NULL && out != NULL && ssl != NULL);
    if (stranger_can(c, CAN_ODD)) {
        for (size_t i = 0; i < sizeof(protocols); i++) {
            protocols[i] = i % (1 + PROTOCOL_LEN) == 0 ? PROTOCOL_LEN : 'x';
        }
        memcpy(protocols + 1, "http/1.1", PROTOCOL_LEN);
        SSL_set_alpn_protos(ssl, protocols, sizeof(protocols));
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_tlsext_host_name(ssl, c->name);
    SSL_set_connect_state(ssl);
    SSL_do_handshake(ssl);
    len = BIO_read(out, c->hello, sizeof(c->hello));
    assert(len > 0);
    c->hello_len = (size_t)len;
    SSL_free(ssl);
}

static void prepare(struct crowd *c, char **argv)
{
    struct in_addr first;
    struct rlimit files;
    size_t kind = 0;

    while (kind < KINDS && strcmp(kinds[kind].name, argv[1]) != 0) {
        kind++;
    }
    if (kind == KINDS || inet_pton(AF_INET, argv[5], &first) != 1) {
        die(argv[1]);
    }
    c->kind = &kinds[kind];
    c->to = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtol(argv[2], NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    c->name = argv[3];
    c->count = strtoul(argv[4], NULL, 10);
    c->address = ntohl(first.s_addr);
    c->addresses = (uint32_t)strtoul(argv[6], NULL, 10);
    c->all = calloc(c->count, sizeof(*c->all));
    c->poll = epoll_create1(0);
    c->tls = SSL_CTX_new(TLS_client_method());
    assert(c->all != NULL && c->addresses > 0 && c->tls != NULL);
    SSL_CTX_set_verify(c->tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_mode(c->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* A browser's: X25519MLKEM768 first. */
    SSL_CTX_set1_curves_list(c->tls, "X25519MLKEM768:X25519");
    c->request_len = (size_t)snprintf(c->request, sizeof(c->request), "%s%s%s",
                                      c->kind->line, c->name, c->kind->rest);
    make_hello(c);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
    static struct crowd crowd;

    if (argc != 7) {
        fprintf(stderr, "usage: attacks_stranger KIND PORT NAME COUNT "
                        "ADDRESS ADDRESSES\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prepare(&crowd, argv);
    run(&crowd);
    return 0;
}
