/*
 * The life of one stranger: TCP, the hello or the whole handshake, what it asks
 * and whether it reads. One thread, epoll, as little work of its own as
 * possible, since it shares the machine with those it attacks.
 */
#include "tests/attacks/stranger.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define DRIP_US 1000000u
#define HALF_US 200000u /* after which half a hello is given up */
#define SMALL_BUFFER 4096
#define PIECE_MAX 97u /* of an odd hello */

uint8_t stranger_block[BLOCK];

uint64_t stranger_now_us(void)
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

bool stranger_can(const struct crowd *c, enum ability ability)
{
    return (c->kind->abilities & (unsigned)ability) != 0;
}

static void watch(struct crowd *c, struct stranger *s, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = s };

    if (s->watched != events) {
        epoll_ctl(c->poll, s->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD,
                  s->fd, &event);
        s->watched = events;
    }
}

static bool is_held(const struct crowd *c, const struct stranger *s)
{
    return s->phase == UP || (!stranger_can(c, CAN_TLS) && s->phase == SHAKING);
}

/* Leave without a goodbye, as floods do. */
static void leave(struct crowd *c, struct stranger *s)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };

    c->held -= is_held(c, s);
    c->shaking -= s->phase == CONNECTING || s->phase == SHAKING;
    SSL_free(s->ssl);
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(s->fd);
    *s = (struct stranger){ .phase = CLOSED };
}

void stranger_begin(struct crowd *c, struct stranger *s)
{
    struct sockaddr_in from = { .sin_family = AF_INET };
    int one = 1;
    int small = SMALL_BUFFER;

    from.sin_addr.s_addr = htonl(c->address + c->turn++ % c->addresses);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0) {
        die("socket");
    }
    setsockopt(s->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (!stranger_can(c, CAN_READ)) {
        setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    }
    s->phase = CONNECTING;
    c->shaking++;
    c->opened++;
    if (bind(s->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
        (connect(s->fd, (struct sockaddr *)&c->to, sizeof(c->to)) != 0 &&
         errno != EINPROGRESS)) {
        die("connect");
    }
    if (stranger_can(c, CAN_TLS)) {
        s->ssl = SSL_new(c->tls);
        assert(s->ssl != NULL);
        SSL_set_fd(s->ssl, s->fd);
        SSL_set_tlsext_host_name(s->ssl, c->name);
        SSL_set_connect_state(s->ssl);
    }
    watch(c, s, EPOLLOUT);
}

/* --- hellos ---------------------------------------------------------------*/

/* Send what is due of the hello. False: the relay has left. */
static bool send_hello(struct crowd *c, struct stranger *s)
{
    size_t end = stranger_can(c, CAN_MUTE)   ? 0
                 : stranger_can(c, CAN_HALF) ? c->hello_len / 2
                                             : c->hello_len;
    size_t len = end - s->sent;
    ssize_t sent;

    if (stranger_can(c, CAN_ODD) && len > s->piece) {
        len = s->piece;
    }
    sent = len > 0 ? send(s->fd, c->hello + s->sent, len, MSG_NOSIGNAL) : 0;
    if (sent < 0) {
        return errno == EAGAIN;
    }
    s->sent += (size_t)sent;
    watch(c, s, s->sent == end ? EPOLLIN : EPOLLIN | EPOLLOUT);
    return true;
}

static void take_hellos_answer(struct crowd *c, struct stranger *s)
{
    uint8_t first = 0;
    ssize_t len = recv(s->fd, stranger_block, sizeof(stranger_block), 0);

    if (len < 0 && errno == EAGAIN) {
        return;
    }
    if (len > 0) {
        first = stranger_block[0];
    }
    c->flights += first == 22;
    c->alerts += first == 21;
    c->refused += len <= 0;
    leave(c, s);
}

/* --- requests -------------------------------------------------------------*/

/* As read() and write(): -1 with EAGAIN when it must wait. */
static ssize_t ssl_result(struct stranger *s, int result)
{
    int error;

    if (result > 0) {
        return result;
    }
    error = SSL_get_error(s->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    errno = EIO;
    return -1;
}

static bool ask(struct crowd *c, struct stranger *s)
{
    ssize_t len;

    if (!stranger_can(c, CAN_ASK) || s->sent == c->request_len) {
        return true;
    }
    len = ssl_result(s, SSL_write(s->ssl, c->request, (int)c->request_len));
    if (len > 0) {
        s->sent = c->request_len;
    }
    s->next_us = stranger_now_us() + DRIP_US;
    return len > 0 || errno == EAGAIN;
}

static void answered(struct crowd *c, struct stranger *s)
{
    uint64_t now = stranger_now_us();

    if (c->last_us != 0 && now - c->last_us > c->gap_us) {
        c->gap_us = now - c->last_us;
    }
    c->last_us = now;
    c->answered++;
    s->sent = 0;
    s->head_len = 0;
}

/* The part of an answer that |stranger_block| holds. A head comes in one
 * record. */
static bool take_answer(struct crowd *c, struct stranger *s, size_t len)
{
    const char *end;
    const char *length;

    if (s->head_len == 0) {
        stranger_block[len] = '\0';
        end = strstr((char *)stranger_block, "\r\n\r\n");
        length = strcasestr((char *)stranger_block, "\r\ncontent-length:");
        if (strncmp((char *)stranger_block, "HTTP/1.1 200", 12) != 0 ||
            end == NULL || length == NULL) {
            return false;
        }
        s->head_len = (size_t)(end + 4 - (char *)stranger_block);
        s->left = strtoull(length + 17, NULL, 10);
        len -= s->head_len;
    }
    if (len > s->left) {
        return false;
    }
    s->left -= len;
    if (s->left == 0) {
        answered(c, s);
        return ask(c, s);
    }
    return true;
}

static bool read_answers(struct crowd *c, struct stranger *s)
{
    ssize_t len;

    do {
        len = ssl_result(s, SSL_read(s->ssl, stranger_block, BLOCK - 1));
        if (len > 0 && stranger_can(c, CAN_READ) &&
            !take_answer(c, s, (size_t)len)) {
            return false;
        }
    } while (len > 0);
    return errno == EAGAIN;
}

/* False: it is over. */
static bool turn_tls(struct crowd *c, struct stranger *s)
{
    if (s->phase == SHAKING) {
        if (ssl_result(s, SSL_do_handshake(s->ssl)) < 0) {
            watch(c, s, EPOLLIN);
            return errno == EAGAIN;
        }
        s->phase = UP;
        c->shaking--;
        c->settled++;
        c->held++;
        if (!ask(c, s)) {
            return false;
        }
        /* Who does not read hears of the end alone. */
        watch(c, s, stranger_can(c, CAN_STALL) ? EPOLLRDHUP : EPOLLIN);
        return true;
    }
    return read_answers(c, s);
}

static void over(struct crowd *c, struct stranger *s)
{
    if (s->phase == UP) {
        c->ended++;
    } else {
        c->refused++;
    }
    leave(c, s);
}

void stranger_turn(struct crowd *c, struct stranger *s, uint32_t events)
{
    bool goes_on = true;

    if (s->phase == CONNECTING) {
        if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
            over(c, s);
            return;
        }
        s->phase = SHAKING;
        s->next_us = stranger_now_us() + HALF_US;
        s->piece = 1 + c->opened % PIECE_MAX;
        c->held += is_held(c, s);
        watch(c, s, EPOLLIN);
    }
    if (stranger_can(c, CAN_TLS)) {
        goes_on = turn_tls(c, s);
    } else if ((events & ~(uint32_t)EPOLLOUT) != 0) {
        take_hellos_answer(c, s);
        return;
    } else if (stranger_can(c, CAN_HELLO)) {
        goes_on = send_hello(c, s);
    }
    if (!goes_on) {
        over(c, s);
    }
}

void stranger_drip(struct crowd *c, struct stranger *s, uint64_t now)
{
    if (s->phase == UP && stranger_can(c, CAN_DRIP) && now >= s->next_us) {
        s->next_us = now + DRIP_US;
        if (ssl_result(s, SSL_write(s->ssl, "a", 1)) < 0 && errno != EAGAIN) {
            over(c, s);
        }
    } else if (s->phase == SHAKING && stranger_can(c, CAN_HALF) &&
               now >= s->next_us) {
        leave(c, s);
    }
}
