/*
 * The socket is never blocked on: what cannot be written waits in |out|, and
 * no more is encrypted meanwhile.
 */
#include "tests/peer/peer_link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CIPHER_MAX (64u * KIB)
#define TURNS_MAX 16u
#define LAST_READS 64u

struct peer_link {
    int fd;
    struct tls_context *context;
    struct tls *tls;
    struct peer_handler handler;
    bool is_up;
    bool is_muted;
    uint8_t exporter[EXPORTER_LEN];
    uint8_t *job; /* what is being sent, */
    size_t job_len, job_at;
    uint64_t job_count; /* and how often still */
    size_t out_at;      /* of |out|: written to the socket */
    struct wire_writer out;
    size_t frame_len;
    uint8_t out_bytes[CIPHER_MAX];
    uint8_t in_bytes[CIPHER_MAX];
    uint8_t frame[FRAME_MAX];
};

static void link_release(struct peer_link *l)
{
    close(l->fd);
    tls_free(l->tls);
    tls_context_free(l->context);
    free(l->job);
    free(l);
}

static void link_end(struct peer_link *l, const char *why)
{
    l->handler.on_end(l, why);
    link_release(l);
}

static struct peer_link *link_new(int fd, const struct peer_handler *h)
{
    struct peer_link *l = calloc(1, sizeof(*l));
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (l != NULL) {
        l->fd = fd;
        l->handler = *h;
        wire_writer_init(&l->out, l->out_bytes, sizeof(l->out_bytes));
    }
    return l;
}

/* Its TLS is there: the handshake may begin. */
static struct peer_link *link_begun(struct peer_link *l)
{
    if (l->tls == NULL) {
        link_release(l);
        return NULL;
    }
    tls_lend_output(l->tls, &l->out);
    return l;
}

struct peer_link *peer_link_client(int fd, const struct peer_handler *h)
{
    struct peer_link *l = link_new(fd, h);

    if (l == NULL) {
        return NULL;
    }
    if (tls_context_link_client(&l->context) == ERR_OK) {
        l->tls = tls_new_client(l->context, NULL);
    }
    l = link_begun(l);
    if (l != NULL) {
        (void)tls_handshake(l->tls);
    }
    return l;
}

struct peer_link *peer_link_server(int fd, const struct peer_handler *h)
{
    struct peer_link *l = link_new(fd, h);

    if (l == NULL) {
        return NULL;
    }
    if (tls_context_link_server(&l->context) == ERR_OK) {
        l->tls = tls_new_server(l->context, span_text("hostile"));
    }
    return link_begun(l);
}

/* Write what is encrypted, as far as the socket takes it. */
static bool link_write(struct peer_link *l)
{
    while (l->out_at < l->out.len) {
        ssize_t n = send(l->fd, l->out_bytes + l->out_at,
                         l->out.len - l->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN;
        }
        l->out_at += (size_t)n;
    }
    wire_writer_init(&l->out, l->out_bytes, sizeof(l->out_bytes));
    l->out_at = 0;
    return true;
}

/* Encrypt the next part of the job. */
static bool link_fill(struct peer_link *l)
{
    size_t len = l->job_len - l->job_at;

    len = len > TLS_RECORD_MAX ? TLS_RECORD_MAX : len;
    if (tls_write(l->tls, span_of(l->job + l->job_at, len)) != TLS_OK) {
        return false;
    }
    l->job_at += len;
    if (l->job_at == l->job_len) {
        l->job_at = 0;
        l->job_count--;
    }
    if (l->job_count == 0) {
        free(l->job);
        l->job = NULL;
    }
    return true;
}

/* One byte string after the other into frames; false: |l| is gone. */
static void link_frames(struct peer_link *l, struct span in)
{
    while (in.len > 0) {
        size_t want = FRAME_HEADER_LEN;
        struct frame_header h;

        if (l->frame_len >= FRAME_HEADER_LEN) {
            frame_header_get(l->frame, &h);
            want += h.len;
        }
        want = want > sizeof(l->frame) ? sizeof(l->frame) : want;
        want -= l->frame_len;
        want = want > in.len ? in.len : want;
        memcpy(l->frame + l->frame_len, in.data, want);
        l->frame_len += want;
        in = span_after(in, want);
        if (l->frame_len < FRAME_HEADER_LEN) {
            return;
        }
        frame_header_get(l->frame, &h);
        if (l->frame_len == FRAME_HEADER_LEN + (size_t)h.len) {
            l->frame_len = 0;
            l->handler.on_frame(l, &h,
                                span_of(l->frame + FRAME_HEADER_LEN, h.len));
        }
    }
}

static enum tls_status link_shake(struct peer_link *l)
{
    enum tls_status status = tls_handshake(l->tls);

    if (status == TLS_OK && tls_exporter(l->tls, l->exporter) == ERR_OK) {
        l->is_up = true;
        l->handler.on_up(l);
    }
    return status;
}

static enum tls_status link_decrypt(struct peer_link *l)
{
    uint8_t plain[TLS_RECORD_MAX];
    enum tls_status status = l->is_up ? TLS_OK : link_shake(l);
    size_t len;

    while (status == TLS_OK) {
        status = tls_read(l->tls, plain, sizeof(plain), &len);
        if (status == TLS_OK) {
            link_frames(l, span_of(plain, len));
        }
    }
    return status;
}

/* Read once; the end's sentence, or NULL. */
static const char *link_read(struct peer_link *l)
{
    ssize_t n = recv(l->fd, l->in_bytes, sizeof(l->in_bytes), MSG_DONTWAIT);
    struct span in = span_of(l->in_bytes, n > 0 ? (size_t)n : 0);
    enum tls_status status;

    if (n < 0) {
        return errno == EAGAIN ? NULL : "reset";
    }
    if (n == 0) {
        return "cut";
    }
    tls_lend_input(l->tls, &in);
    status = link_decrypt(l);
    tls_lend_input(l->tls, NULL);
    return status == TLS_CLOSED   ? "closed"
           : status == TLS_FAILED ? "failed"
                                  : NULL;
}

/* Nothing can be sent any more: what came before that is still read. */
static const char *link_broken(struct peer_link *l)
{
    const char *why = NULL;

    for (unsigned i = 0; why == NULL && i < LAST_READS; i++) {
        why = link_read(l);
    }
    return "reset";
}

void peer_link_ready(struct peer_link *l, short events)
{
    const char *why = NULL;
    unsigned turns = 0;

    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        why = link_read(l);
    }
    if (why == NULL && !link_write(l)) {
        why = link_broken(l);
    }
    /* Now and then the other end is heard, however much there is to say. */
    while (why == NULL && l->job != NULL && l->out.len == 0 &&
           turns++ < TURNS_MAX) {
        why = link_fill(l) && link_write(l) ? NULL : link_broken(l);
    }
    if (why != NULL) {
        link_end(l, why);
    }
}

short peer_link_wants(const struct peer_link *l)
{
    bool has_output = l->out.len > 0 || l->job != NULL;

    return (short)((l->is_muted ? 0 : POLLIN) | (has_output ? POLLOUT : 0));
}

void peer_link_send(struct peer_link *l, uint8_t *bytes, size_t len,
                    uint64_t count)
{
    assert(l->is_up && l->job == NULL && len > 0 && count > 0);
    l->job = bytes;
    l->job_len = len;
    l->job_count = count;
}

void peer_link_free(struct peer_link *l, enum peer_end how)
{
    struct linger reset = { .l_onoff = 1 };

    if (l == NULL) {
        return;
    }
    if (how == PEER_ABORT) {
        (void)setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    } else if (l->is_up && l->out.len == 0) {
        tls_close(l->tls);
        (void)link_write(l);
    }
    link_release(l);
}

bool peer_link_is_up(const struct peer_link *l)
{
    return l->is_up;
}

int peer_link_fd(const struct peer_link *l)
{
    return l->fd;
}

void peer_link_mute(struct peer_link *l, bool is_muted)
{
    l->is_muted = is_muted;
}

bool peer_link_is_sending(const struct peer_link *l)
{
    return l->job != NULL || l->out.len > 0;
}

const uint8_t *peer_link_exporter(const struct peer_link *l)
{
    return l->exporter;
}
