/*
 * One transfer without end, and what of it arrived when: from the service to
 * the visitor or the other way, through a tunnel or in one TCP connection.
 * Prints a line of JSON: bytes that arrived in each 100 ms, the first of which
 * begins when the visitor has connected and asked.
 *
 *   net_bulk NETWORK PORT HOST HOST_PORT NAME|- get|put SECONDS [CONGESTION]
 *
 * NETWORK is the service's (ends.h); with NAME - the visitor connects to HOST
 * without TLS, and HOST_PORT is PORT.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/net/ends.h"

#define SLOT_US 100000u
#define SLOTS_MAX 6000u
#define BLOCK ENDS_READ_MAX
#define LENGTH "1000000000000"

static char block[BLOCK];
static uint64_t slots[SLOTS_MAX];

static void ended(const char *who)
{
    fprintf(stderr, "net_bulk: %s ended before its time: %s\n", who,
            strerror(errno));
    exit(1);
}

/* Send while it takes it, a block at most. */
static void fill(struct end *from)
{
    size_t sent = 0;

    while (sent < BLOCK) {
        ssize_t len = end_write(from, block, BLOCK - sent);

        if (len < 0 && errno == EAGAIN) {
            return;
        }
        if (len <= 0) {
            ended("who sends");
        }
        sent += (size_t)len;
    }
}

/* Read what is there, a block at most; how much. */
static size_t drain(struct end *to)
{
    static char sink[BLOCK];
    size_t got = 0;

    while (got < BLOCK) {
        ssize_t len = end_read(to, sink, BLOCK - got);

        if (len < 0 && errno == EAGAIN) {
            break;
        }
        if (len <= 0) {
            errno = len == 0 ? 0 : errno;
            ended("who receives");
        }
        got += (size_t)len;
    }
    return got;
}

static void transfer(struct end *from, struct end *to, uint64_t duration_us)
{
    uint64_t start = ends_now_us();
    uint64_t now = start;

    while (now < start + duration_us) {
        struct pollfd ready[] = {
            { .fd = from->fd, .events = POLLOUT },
            { .fd = to->fd, .events = POLLIN },
        };
        size_t len;

        if (poll(ready, 2, 50) < 0 && errno != EINTR) {
            ended("poll()");
        }
        if (ready[0].revents != 0) {
            fill(from);
        }
        /* Whatever poll() says: TLS may hold some already. */
        len = drain(to);
        now = ends_now_us();
        if ((now - start) / SLOT_US < SLOTS_MAX) {
            slots[(now - start) / SLOT_US] += len;
        }
    }
}

static void report(uint64_t duration_us)
{
    uint64_t sum = 0;

    printf("{\"slot_ms\": %u, \"slots\": [", SLOT_US / 1000u);
    for (size_t i = 0; i < duration_us / SLOT_US; i++) {
        printf("%s%" PRIu64, i == 0 ? "" : ", ", slots[i]);
        sum += slots[i];
    }
    printf("], \"bytes\": %" PRIu64 "}\n", sum);
}

int main(int argc, char **argv)
{
    struct ends_place place;
    struct end visitor;
    struct end service;
    uint64_t duration_us;
    bool is_get;

    if (argc < 8 || argc > 9) {
        fprintf(stderr, "usage: net_bulk NETWORK PORT HOST HOST_PORT NAME|- "
                        "get|put SECONDS [CONGESTION]\n");
        return 2;
    }
    place = ends_place_of(argv + 1);
    place.congestion = argc == 9 ? argv[8] : NULL;
    is_get = strcmp(argv[6], "get") == 0;
    duration_us = ends_number(argv[7]) * 1000000u;
    if (duration_us / SLOT_US > SLOTS_MAX) {
        fprintf(stderr, "net_bulk: at most %u slots\n", SLOTS_MAX);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    memset(block, 'x', sizeof(block));
    if (is_get) {
        ends_join(&place, "GET /bulk HTTP/1.1\r\n",
                  "HTTP/1.1 200 OK\r\n"
                  "Content-Type: application/octet-stream\r\n"
                  "Content-Length: " LENGTH "\r\n\r\n",
                  &visitor, &service);
    } else {
        ends_join(&place,
                  "PUT /bulk HTTP/1.1\r\nContent-Length: " LENGTH "\r\n", NULL,
                  &visitor, &service);
    }
    transfer(is_get ? &service : &visitor, is_get ? &visitor : &service,
             duration_us);
    end_close(&visitor);
    end_close(&service);
    report(duration_us);
    return 0;
}
