/* One connection of the measuring visitor. */
#include "tests/bench/visitor.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (256u * 1024u)
#define RECORD 16384u
#define STAMP_DIGITS 16u
#define FAILED_MAX 1000u

static char block[BLOCK];

uint64_t visitor_now_us(void)
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

void visitor_watch(struct load *l, struct visitor *v, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = v };

    if (v->watched != events) {
        epoll_ctl(l->poll, v->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                  v->fd, &event);
        v->watched = events;
    }
}

void visitor_open(struct load *l, struct visitor *v)
{
    int one = 1;

    *v = (struct visitor){ .is_connecting = true };
    v->asked_us = visitor_now_us();
    v->up_left = l->mode == MODE_PUT ? l->size : 0;
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (v->fd < 0 ||
        (connect(v->fd, (struct sockaddr *)&l->to, sizeof(l->to)) != 0 &&
         errno != EINPROGRESS)) {
        die("connect");
    }
    setsockopt(v->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (l->tls != NULL) {
        v->ssl = SSL_new(l->tls);
        assert(v->ssl != NULL);
        SSL_set_fd(v->ssl, v->fd);
        SSL_set_tlsext_host_name(v->ssl, l->name);
        SSL_set_connect_state(v->ssl);
        if (l->mode == MODE_AGAIN && l->session != NULL) {
            SSL_set_session(v->ssl, l->session);
        }
    }
    visitor_watch(l, v, EPOLLOUT);
}

static void visitor_close(struct visitor *v)
{
    SSL_free(v->ssl);
    close(v->fd);
    v->watched = 0;
}

static void visitor_failed(struct load *l, struct visitor *v)
{
    l->failed++;
    visitor_close(v);
    if (l->failed > FAILED_MAX) {
        fprintf(stderr, "bench_probe: too many failures\n");
        exit(1);
    }
    visitor_open(l, v);
}

static void sample(struct load *l, uint64_t since_us)
{
    if (l->count < l->samples_max) {
        l->samples[l->count++] = (uint32_t)(visitor_now_us() - since_us);
    }
}

static void visitor_answered(struct load *l, struct visitor *v)
{
    sample(l, v->asked_us);
    if (l->mode == MODE_IDLE || l->mode == MODE_SOCKET) {
        v->is_done = true;
        l->waiting--;
        return;
    }
    if (l->mode == MODE_NEW || l->mode == MODE_AGAIN) {
        visitor_close(v);
        visitor_open(l, v);
        return;
    }
    v->request_sent = 0;
    v->up_left = l->mode == MODE_PUT ? l->size : 0;
    v->head_len = 0;
    v->has_head = false;
    v->asked_us = visitor_now_us();
}

/* Send what there is to send. 0: it is all sent or must wait; -1: failed. */
static int visitor_send(struct load *l, struct visitor *v)
{
    ssize_t len = 0;

    while (v->request_sent < l->request_len || v->up_left > 0) {
        if (v->request_sent < l->request_len) {
            len = visitor_write(v, l->request + v->request_sent,
                                l->request_len - v->request_sent);
            v->request_sent += len > 0 ? (size_t)len : 0;
        } else {
            len = visitor_write(v, block,
                                v->up_left < BLOCK ? v->up_left : BLOCK);
            v->up_left -= len > 0 ? (uint64_t)len : 0;
            l->bytes += len > 0 ? (uint64_t)len : 0;
        }
        if (len <= 0) {
            break;
        }
    }
    if (len < 0 && errno != EAGAIN) {
        return -1;
    }
    visitor_watch(l, v, len < 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
    return 0;
}

/* Every event carries '@' and the sixteen digits of when it was sent. */
static void visitor_stamps(struct load *l, struct visitor *v, const char *data,
                           size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '@') {
            v->stamp_digits = 1;
            v->stamp_us = 0;
        } else if (v->stamp_digits > 0) {
            v->stamp_us = v->stamp_us * 10 + (uint64_t)(data[i] - '0');
            if (v->stamp_digits++ == STAMP_DIGITS) {
                v->stamp_digits = 0;
                sample(l, v->stamp_us);
            }
        }
    }
}

/* More of the head; true when its end was there. */
static bool visitor_head(struct load *l, struct visitor *v)
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
    if (l->mode == MODE_TOKENS) {
        v->down_left = UINT64_MAX;
        visitor_stamps(l, v, end + 4, extra);
    }
    v->down_left -= extra;
    l->bytes += extra;
    return true;
}

/* One read. 1: go on; 0: wait; -1: failed. */
static int visitor_receive(struct load *l, struct visitor *v)
{
    ssize_t len;

    if (v->has_head) {
        len = visitor_read(v, block, BLOCK);
        if (len > 0) {
            l->bytes += (uint64_t)len;
            v->down_left -= (uint64_t)len;
            if (l->mode == MODE_TOKENS) {
                visitor_stamps(l, v, block, (size_t)len);
            }
        }
    } else {
        len = visitor_read(v, v->head + v->head_len,
                           VISITOR_HEAD_MAX - v->head_len);
        if (len > 0) {
            v->head_len += (size_t)len;
            if (visitor_head(l, v) &&
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
        visitor_answered(l, v);
        return 0;
    }
    return 1;
}

void visitor_turn(struct load *l, struct visitor *v)
{
    int result = 1;

    if (v->is_connecting && v->ssl != NULL) {
        ssize_t done = ssl_result(v, SSL_do_handshake(v->ssl));

        if (done <= 0) {
            if (errno != EAGAIN) {
                visitor_failed(l, v);
                return;
            }
            visitor_watch(l, v, EPOLLIN);
            return;
        }
        l->resumed += SSL_session_reused(v->ssl) != 0 ? 1 : 0;
    }
    v->is_connecting = false;
    if (visitor_send(l, v) != 0) {
        visitor_failed(l, v);
        return;
    }
    while (result > 0 && !v->is_done) {
        result = visitor_receive(l, v);
    }
    if (result < 0 || (!v->is_connecting && !v->is_done &&
                       v->request_sent == 0 && visitor_send(l, v) != 0)) {
        visitor_failed(l, v);
    }
}
