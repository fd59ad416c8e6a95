/*
 * The visitor of every measurement: some connections in one thread, each
 * asking again as soon as it is answered. Plain or TLS 1.3 with our own
 * BoringSSL, always AES-128-GCM and X25519, so that all targets do the same
 * work. Prints one line of JSON. It verifies no certificate.
 *
 *   bench_probe HOST PORT NAME|- MODE SIZE CONNECTIONS SECONDS
 *
 * MODE get: SIZE bytes each; put: SIZE bytes up each; new: as get, on a new
 * connection each time; again: as new, with the TLS session of one before;
 * tokens: one answer without end, of events that say when they were sent, and
 * the times are their delays; idle: one request on each connection, then
 * "ready", and wait for the end of input; socket: the same with an upgrade.
 */
#include "tests/bench/visitor.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 64
#define SAMPLES_MAX 4000000u
#define GIVE_UP_US 20000000u

static const char *const mode_names[MODES] = { "get",   "put",    "new",
                                               "again", "tokens", "idle",
                                               "socket" };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void turn(struct load *l, int wait_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(l->poll, events, EVENTS, wait_ms);

    for (int i = 0; i < count; i++) {
        struct visitor *v = events[i].data.ptr;

        if (v->is_done) {
            visitor_watch(l, v, EPOLLRDHUP);
        } else {
            visitor_turn(l, v);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return (*x > *y) - (*x < *y);
}

static uint32_t percentile(const struct load *l, size_t of_1000)
{
    return l->count == 0 ? 0 : l->samples[(l->count - 1) * of_1000 / 1000];
}

static void report(struct load *l, uint64_t elapsed_us)
{
    qsort(l->samples, l->count, sizeof(*l->samples), compare);
    printf("{\"requests\": %zu, \"bytes\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u, "
           "\"resumed\": %" PRIu64 "}\n",
           l->count, l->bytes, l->failed, (double)elapsed_us / 1e6,
           percentile(l, 500), percentile(l, 990), l->resumed);
}

/* The newest is kept: with TLS 1.3 they come after the handshake. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    struct load *l = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(l->session);
    l->session = session;
    return 1;
}

static SSL_CTX *tls_new(struct load *l)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    assert(tls != NULL);
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set1_curves_list(tls, "X25519");
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(tls, l);
    SSL_CTX_sess_set_new_cb(tls, on_session);
    return tls;
}

static void prepare(struct load *l, char **argv)
{
    static const char upgrade[] =
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    l->to.sin_family = AF_INET;
    l->to.sin_port = htons((uint16_t)strtol(argv[2], NULL, 10));
    if (inet_pton(AF_INET, argv[1], &l->to.sin_addr) != 1) {
        die(argv[1]);
    }
    l->name = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
    l->tls = l->name == NULL ? NULL : tls_new(l);
    while (l->mode < MODES && strcmp(mode_names[l->mode], argv[4]) != 0) {
        l->mode++;
    }
    if (l->mode == MODES) {
        die(argv[4]);
    }
    l->size = strtoull(argv[5], NULL, 10);
    l->request_len =
        (size_t)snprintf(l->request, sizeof(l->request),
                         "%s /%s%" PRIu64 " HTTP/1.1\r\nHost: %s\r\n",
                         l->mode == MODE_PUT ? "PUT" : "GET",
                         l->mode == MODE_TOKENS ? "tokens/" : "", l->size,
                         l->name == NULL ? "localhost" : l->name);
    if (l->mode == MODE_PUT) {
        l->request_len += (size_t)snprintf(
            l->request + l->request_len, sizeof(l->request) - l->request_len,
            "Content-Length: %" PRIu64 "\r\n", l->size);
    }
    l->request_len += (size_t)snprintf(
        l->request + l->request_len, sizeof(l->request) - l->request_len,
        "%s\r\n", l->mode == MODE_SOCKET ? upgrade : "");
    l->samples_max = SAMPLES_MAX;
    l->samples = malloc(l->samples_max * sizeof(*l->samples));
    l->poll = epoll_create1(0);
    assert(l->samples != NULL && l->poll >= 0);
}

int main(int argc, char **argv)
{
    static struct load load;
    size_t connections = argc == 8 ? strtoul(argv[6], NULL, 10) : 0;
    struct visitor *visitors = calloc(connections + 1, sizeof(*visitors));
    uint64_t start;
    uint64_t end;
    char ignored;
    bool is_idle;

    if (connections == 0 || visitors == NULL) {
        fprintf(stderr, "usage: bench_probe HOST PORT NAME|- "
                        "MODE SIZE CONNECTIONS SECONDS\n");
        free(visitors);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prepare(&load, argv);
    is_idle = load.mode == MODE_IDLE || load.mode == MODE_SOCKET;
    start = visitor_now_us();
    end = start +
          (is_idle ? GIVE_UP_US : (uint64_t)(strtod(argv[7], NULL) * 1e6));
    for (size_t i = 0; i < connections && visitor_now_us() < end; i++) {
        load.waiting++;
        visitor_open(&load, &visitors[i]);
        /* A few at a time where thousands stay. */
        while (is_idle && load.waiting > 8 && visitor_now_us() < end) {
            turn(&load, 100);
        }
    }
    while (visitor_now_us() < end && load.waiting > 0) {
        turn(&load, 100);
    }
    if (is_idle) {
        printf("%s\n", load.waiting == 0 ? "ready" : "late");
        fflush(stdout);
        while (read(STDIN_FILENO, &ignored, 1) > 0) {
        }
    }
    report(&load, visitor_now_us() - start);
    free(visitors);
    return 0;
}
