/*
 * The visitor of every measurement: some connections in one thread, each
 * asking again as soon as it is answered. Plain or TLS 1.3 with our own
 * BoringSSL, always AES-128-GCM and X25519, so that all targets do the same
 * work. Prints one line of JSON. It verifies no certificate.
 *
 *   bench_probe HOST PORT NAME|- MODE SIZE CONNECTIONS SECONDS
 *
 * MODE get: SIZE bytes each; put: SIZE bytes up each; new: as get, on a new
 * connection each time; idle: one request on each connection, then "ready",
 * and wait for the end of input; socket: the same with an upgrade.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define BLOCK (256u * 1024u)
#define HEAD_MAX 4096u
#define RECORD 16384u
#define EVENTS 64
#define SAMPLES_MAX 4000000u
#define GIVE_UP_US 20000000u

enum mode { MODE_GET, MODE_PUT, MODE_NEW, MODE_IDLE, MODE_SOCKET, MODES };

static const char *const mode_names[MODES] = { "get", "put", "new", "idle",
                                               "socket" };

struct visitor {
    int fd;
    SSL *ssl; /* or NULL */
    uint32_t watched;
    bool is_connecting;
    bool is_done;
    size_t request_sent;
    uint64_t up_left;
    size_t head_len;
    bool has_head;
    uint64_t down_left;
    uint64_t asked_us;
    char head[HEAD_MAX + 1];
};

struct probe {
    struct sockaddr_in to;
    const char *name; /* for SNI and Host; NULL when plain */
    enum mode mode;
    uint64_t size;
    SSL_CTX *tls;
    int poll;
    char request[512];
    size_t request_len;
    uint64_t bytes;
    uint64_t failed;
    uint32_t *samples;
    size_t count;
    size_t waiting; /* idle connections that have not their answer yet */
};

static char block[BLOCK];

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* As read() and write(): -1 with EAGAIN when it must wait. */
static ssize_t ssl_result(struct visitor *v, int result)
{
    int error;

    if (result > 0) {
        return result;
    }
    error = SSL_get_error(v->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    errno = EIO;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t visitor_read(struct visitor *v, void *out, size_t size)
{
    return v->ssl == NULL ? read(v->fd, out, size)
                          : ssl_result(v, SSL_read(v->ssl, out, (int)size));
}

static ssize_t visitor_write(struct visitor *v, const void *data, size_t len)
{
    if (v->ssl == NULL) {
        return write(v->fd, data, len);
    }
    len = len < RECORD ? len : RECORD;
    return ssl_result(v, SSL_write(v->ssl, data, (int)len));
}

static void visitor_watch(struct probe *p, struct visitor *v, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = v };

    if (v->watched != events) {
        epoll_ctl(p->poll, v->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                  v->fd, &event);
        v->watched = events;
    }
}

static void visitor_open(struct probe *p, struct visitor *v)
{
    int one = 1;

    *v = (struct visitor){ .is_connecting = true };
    v->asked_us = now_us();
    v->up_left = p->mode == MODE_PUT ? p->size : 0;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0 ||
        (connect(v->fd, (struct sockaddr *)&p->to, sizeof(p->to)) != 0 &&
         errno != EINPROGRESS)) {
        die("connect");
    }
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (p->tls != NULL) {
        v->ssl = SSL_new(p->tls);
        assert(v->ssl != NULL);
        SSL_set_fd(v->ssl, v->fd);
        SSL_set_tlsext_host_name(v->ssl, p->name);
        SSL_set_connect_state(v->ssl);
    }
    visitor_watch(p, v, EPOLLOUT);
}

static void visitor_close(struct visitor *v)
{
    SSL_free(v->ssl);
    close(v->fd);
    v->watched = 0;
}

static void visitor_failed(struct probe *p, struct visitor *v)
{
    p->failed++;
    visitor_close(v);
    if (p->failed > 1000) {
        fprintf(stderr, "bench_probe: too many failures\n");
        exit(1);
    }
    visitor_open(p, v);
}

static void visitor_answered(struct probe *p, struct visitor *v)
{
    if (p->count < SAMPLES_MAX) {
        p->samples[p->count++] = (uint32_t)(now_us() - v->asked_us);
    }
    if (p->mode == MODE_IDLE || p->mode == MODE_SOCKET) {
        v->is_done = true;
        p->waiting--;
        return;
    }
    if (p->mode == MODE_NEW) {
        visitor_close(v);
        visitor_open(p, v);
        return;
    }
    v->request_sent = 0;
    v->up_left = p->mode == MODE_PUT ? p->size : 0;
    v->head_len = 0;
    v->has_head = false;
    v->asked_us = now_us();
}

/* Send what there is to send. 0: it is all sent or must wait; -1: failed. */
static int visitor_send(struct probe *p, struct visitor *v)
{
    ssize_t len = 0;

    while (v->request_sent < p->request_len || v->up_left > 0) {
        if (v->request_sent < p->request_len) {
            len = visitor_write(v, p->request + v->request_sent,
                                p->request_len - v->request_sent);
            v->request_sent += len > 0 ? (size_t)len : 0;
        } else {
            len = visitor_write(v, block,
                                v->up_left < BLOCK ? v->up_left : BLOCK);
            v->up_left -= len > 0 ? (uint64_t)len : 0;
            p->bytes += len > 0 ? (uint64_t)len : 0;
        }
        if (len <= 0) {
            break;
        }
    }
    if (len < 0 && errno != EAGAIN) {
        return -1;
    }
    visitor_watch(p, v, len < 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return 0;
}

/* More of the head; true when its end was there. */
static bool visitor_head(struct probe *p, struct visitor *v)
{
    const char *end;
    const char *length;
    size_t extra;

    v->head[v->head_len] = '\0';
    end = strstr(v->head, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    length = strcasestr(v->head, "\r\ncontent-length:");
    extra = v->head_len - (size_t)(end + 4 - v->head);
    v->has_head = true;
    v->down_left = length == NULL ? 0 : strtoull(length + 17, NULL, 10);
    v->down_left -= extra;
    p->bytes += extra;
    return true;
}

/* One read. 1: go on; 0: wait; -1: failed. */
static int visitor_receive(struct probe *p, struct visitor *v)
{
    ssize_t len;

    if (v->has_head) {
        len = visitor_read(v, block, BLOCK);
        if (len > 0) {
            p->bytes += (uint64_t)len;
            v->down_left -= (uint64_t)len;
        }
    } else {
        len = visitor_read(v, v->head + v->head_len, HEAD_MAX - v->head_len);
        if (len > 0) {
            v->head_len += (size_t)len;
            if (visitor_head(p, v) &&
                strncmp(v->head, "HTTP/1.1 200", 12) != 0 &&
                strncmp(v->head, "HTTP/1.1 101", 12) != 0) {
                return -1;
            }
        }
    }
    if (len <= 0) {
        return len < 0 && errno == EAGAIN ? 0 : -1;
    }
    if (v->has_head && v->down_left == 0) {
        visitor_answered(p, v);
        return 0;
    }
    return 1;
}

static void visitor_turn(struct probe *p, struct visitor *v)
{
    int result = 1;

    if (v->is_connecting && v->ssl != NULL) {
        ssize_t done = ssl_result(v, SSL_do_handshake(v->ssl));

        if (done <= 0) {
            if (errno != EAGAIN) {
                visitor_failed(p, v);
                return;
            }
            visitor_watch(p, v, EPOLLIN);
            return;
        }
    }
    v->is_connecting = false;
    if (visitor_send(p, v) != 0) {
        visitor_failed(p, v);
        return;
    }
    while (result > 0 && !v->is_done) {
        result = visitor_receive(p, v);
    }
    if (result < 0) {
        visitor_failed(p, v);
    } else if (!v->is_connecting && !v->is_done && v->request_sent == 0 &&
               visitor_send(p, v) != 0) {
        visitor_failed(p, v);
    }
}

static void turn(struct probe *p, int wait_ms)
{
    struct epoll_event events[EVENTS];
    int count = epoll_wait(p->poll, events, EVENTS, wait_ms);

    for (int i = 0; i < count; i++) {
        struct visitor *v = events[i].data.ptr;

        if (v->is_done) {
            visitor_watch(p, v, EPOLLRDHUP);
        } else {
            visitor_turn(p, v);
        }
    }
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return (*x > *y) - (*x < *y);
}

static uint32_t percentile(const struct probe *p, size_t of_1000)
{
    return p->count == 0 ? 0 : p->samples[(p->count - 1) * of_1000 / 1000];
}

static void report(struct probe *p, uint64_t elapsed_us)
{
    qsort(p->samples, p->count, sizeof(*p->samples), compare);
    printf("{\"requests\": %zu, \"bytes\": %" PRIu64 ", \"failed\": %" PRIu64
           ", \"seconds\": %.6f, \"p50_us\": %u, \"p99_us\": %u}\n",
           p->count, p->bytes, p->failed, (double)elapsed_us / 1e6,
           percentile(p, 500), percentile(p, 990));
}

static SSL_CTX *tls_new(void)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

    assert(tls != NULL);
    SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
    SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set1_curves_list(tls, "X25519");
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}

static void prepare(struct probe *p, char **argv)
{
    static const char upgrade[] =
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    p->to.sin_family = AF_INET;
    p->to.sin_port = htons((uint16_t)atoi(argv[2]));
    if (inet_pton(AF_INET, argv[1], &p->to.sin_addr) != 1) {
        die(argv[1]);
    }
    p->name = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
    p->tls = p->name == NULL ? NULL : tls_new();
    while (p->mode < MODES && strcmp(mode_names[p->mode], argv[4]) != 0) {
        p->mode++;
    }
    if (p->mode == MODES) {
        die(argv[4]);
    }
    p->size = strtoull(argv[5], NULL, 10);
    p->request_len =
        (size_t)snprintf(p->request, sizeof(p->request),
                         "%s /%" PRIu64 " HTTP/1.1\r\nHost: %s\r\n",
                         p->mode == MODE_PUT ? "PUT" : "GET", p->size,
                         p->name == NULL ? "localhost" : p->name);
    if (p->mode == MODE_PUT) {
        p->request_len += (size_t)snprintf(
            p->request + p->request_len, sizeof(p->request) - p->request_len,
            "Content-Length: %" PRIu64 "\r\n", p->size);
    }
    p->request_len += (size_t)snprintf(
        p->request + p->request_len, sizeof(p->request) - p->request_len,
        "%s\r\n", p->mode == MODE_SOCKET ? upgrade : "");
    p->samples = malloc(SAMPLES_MAX * sizeof(*p->samples));
    p->poll = epoll_create1(0);
    assert(p->samples != NULL && p->poll >= 0);
}

int main(int argc, char **argv)
{
    static struct probe probe;
    size_t connections = argc == 8 ? strtoul(argv[6], NULL, 10) : 0;
    struct visitor *visitors = calloc(connections + 1, sizeof(*visitors));
    uint64_t start;
    uint64_t end;
    char ignored;
    bool is_idle;

    if (connections == 0 || visitors == NULL) {
        fprintf(stderr, "usage: bench_probe HOST PORT NAME|- "
                        "get|put|new|idle|socket SIZE CONNECTIONS SECONDS\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    prepare(&probe, argv);
    is_idle = probe.mode == MODE_IDLE || probe.mode == MODE_SOCKET;
    start = now_us();
    end = start +
          (is_idle ? GIVE_UP_US : (uint64_t)(strtod(argv[7], NULL) * 1e6));
    for (size_t i = 0; i < connections && now_us() < end; i++) {
        probe.waiting++;
        visitor_open(&probe, &visitors[i]);
        /* A few at a time where thousands stay. */
        while (is_idle && probe.waiting > 8 && now_us() < end) {
            turn(&probe, 100);
        }
    }
    while (now_us() < end && probe.waiting > 0) {
        turn(&probe, 100);
    }
    if (is_idle) {
        printf("%s\n", probe.waiting == 0 ? "ready" : "late");
        fflush(stdout);
        while (read(STDIN_FILENO, &ignored, 1) > 0) {
        }
    }
    report(&probe, now_us() - start);
    return 0;
}
