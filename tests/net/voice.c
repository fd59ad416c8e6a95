/*
 * A call: WebSocket frames at fixed times both ways, each carrying the time
 * at which it was meant to leave. What counts is when it is there, seen from
 * that time: who is late in sending is late in arriving. Prints a line of JSON
 * for both ways: frames, those that did not come, p50, p99 and most of the
 * delay, the longest time without a frame, in milliseconds.
 *
 *   net_voice NETWORK PORT HOST HOST_PORT NAME|- SECONDS
 *             [LEAST MOST EVERY_MS [CONGESTION]]
 *
 * NETWORK is the service's (ends.h); with NAME - the visitor connects to HOST
 * without TLS, and HOST_PORT is PORT. A payload has LEAST to MOST bytes, 160
 * to 640 each 20 ms by default.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/net/ends.h"

#define PAYLOAD_MIN 126u /* so that all have their length in two bytes */
#define PAYLOAD_MAX 65535u
#define BINARY 0x82u
#define LENGTH_16 126u
#define MASKED 0x80u
#define HEADER 4u
#define MASK 4u
#define STEP 37u
#define SENT_MAX (1024u * 1024u) /* bytes that wait for the socket */
#define SHOWN 32u                /* bytes of what is no frame */
#define FRAMES_MAX 200000u
#define LAST_US 10000000u /* that the last frames may take */

/* One way: from |from| to |to|. A frame from the visitor is masked. */
struct way {
    const char *label;
    struct end *from;
    struct end *to;
    bool is_masked;
    uint64_t due_us; /* the next frame */
    size_t sent;
    size_t came;
    uint64_t last_us;
    uint64_t gap_us;
    uint32_t *delays;
    size_t out_len;
    size_t in_len;
    unsigned char out[SENT_MAX];
    unsigned char in[ENDS_READ_MAX];
};

struct call {
    size_t least;
    size_t most;
    uint64_t every_us;
    size_t frames; /* each way */
    struct way ways[2];
};

static void end(const char *why)
{
    fprintf(stderr, "net_voice: %s\n", why);
    exit(1);
}

/* The mask is zero, which masks nothing and is allowed. */
static void way_speak(const struct call *c, struct way *w)
{
    size_t len = c->least + w->sent * STEP % (c->most - c->least + 1);
    unsigned char *p = w->out + w->out_len;
    size_t head = HEADER + (w->is_masked ? MASK : 0);

    if (w->out_len + head + len > sizeof(w->out)) {
        end("a megabyte of voice waits to be sent");
    }
    memset(p, 0, head + len);
    p[0] = BINARY;
    p[1] = (unsigned char)(LENGTH_16 | (w->is_masked ? MASKED : 0));
    p[2] = (unsigned char)(len >> 8);
    p[3] = (unsigned char)len;
    memcpy(p + head, &w->due_us, sizeof(w->due_us));
    w->out_len += head + len;
    w->sent++;
    w->due_us += c->every_us;
}

static void way_send(struct way *w)
{
    while (w->out_len > 0) {
        ssize_t len = end_write(w->from, w->out, w->out_len);

        if (len < 0 && errno == EAGAIN) {
            return;
        }
        if (len <= 0) {
            end("the connection of the call is over");
        }
        w->out_len -= (size_t)len;
        memmove(w->out, w->out + len, w->out_len);
    }
}

static void way_note(struct way *w, const unsigned char *payload, uint64_t now)
{
    uint64_t meant;

    memcpy(&meant, payload, sizeof(meant));
    if (w->came == FRAMES_MAX || meant > now) {
        end("this frame was never sent");
    }
    if (w->came > 0 && now - w->last_us > w->gap_us) {
        w->gap_us = now - w->last_us;
    }
    w->last_us = now;
    w->delays[w->came++] = (uint32_t)(now - meant);
}

/* Tell what came, and where: it is somebody's mistake. */
static void way_bad(const struct way *w, size_t at)
{
    fprintf(stderr,
            "net_voice: %s: no frame of ours after %zu of %zu:", w->label,
            w->came, w->sent);
    for (size_t i = at; i < w->in_len && i < at + SHOWN; i++) {
        fprintf(stderr, " %02x", w->in[i]);
    }
    end("");
}

/* Take whole frames off what was read. */
static void way_frames(struct way *w)
{
    uint64_t now = ends_now_us();
    size_t used = 0;

    while (w->in_len - used >= HEADER) {
        const unsigned char *p = w->in + used;
        size_t head = HEADER + ((p[1] & MASKED) != 0 ? MASK : 0);
        size_t len = (size_t)p[2] << 8 | p[3];

        if (p[0] != BINARY || (p[1] & ~MASKED) != LENGTH_16) {
            way_bad(w, used);
        }
        if (w->in_len - used < head + len) {
            break;
        }
        way_note(w, p + head, now);
        used += head + len;
    }
    w->in_len -= used;
    memmove(w->in, w->in + used, w->in_len);
}

static void way_hear(struct way *w)
{
    for (;;) {
        ssize_t len =
            end_read(w->to, w->in + w->in_len, sizeof(w->in) - w->in_len);

        if (len < 0 && errno == EAGAIN) {
            return;
        }
        if (len <= 0) {
            end("the connection of the call is over");
        }
        w->in_len += (size_t)len;
        way_frames(w);
    }
}

static int compare(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return (*x > *y) - (*x < *y);
}

static double percentile(const struct way *w, size_t of_1000)
{
    size_t at = w->came == 0 ? 0 : (w->came - 1) * of_1000 / 1000;

    return w->came == 0 ? 0 : w->delays[at] / 1000.0;
}

static void way_report(struct way *w)
{
    qsort(w->delays, w->came, sizeof(*w->delays), compare);
    printf("\"%s\": {\"frames\": %zu, \"missing\": %zu, \"p50_ms\": %.2f, "
           "\"p99_ms\": %.2f, \"max_ms\": %.2f, \"gap_ms\": %.2f}",
           w->label, w->came, w->sent - w->came, percentile(w, 500),
           percentile(w, 990), percentile(w, 1000), (double)w->gap_us / 1000.0);
}

/* Speak until all is said, and listen until it is heard. */
static void hold(struct call *c)
{
    uint64_t end_us = ends_now_us() + c->frames * c->every_us + LAST_US;
    bool is_done = false;

    while (!is_done && ends_now_us() < end_us) {
        struct pollfd ready[2];
        uint64_t now = ends_now_us();
        uint64_t next = now + c->every_us;
        struct timespec left = { .tv_sec = 0 };

        is_done = true;
        for (unsigned i = 0; i < 2; i++) {
            struct way *w = &c->ways[i];

            while (w->sent < c->frames && w->due_us <= now) {
                way_speak(c, w);
            }
            way_send(w);
            way_hear(w);
            next = w->sent < c->frames && w->due_us < next ? w->due_us : next;
            is_done = is_done && w->came == c->frames;
            ready[i] = (struct pollfd){ .fd = w->to->fd, .events = POLLIN };
        }
        for (unsigned i = 0; i < 2; i++) {
            /* Each end is read by one way and written by the other. */
            ready[1 - i].events =
                (short)(POLLIN | (c->ways[i].out_len > 0 ? POLLOUT : 0));
        }
        left.tv_nsec = next > now ? (long)(next - now) * 1000 : 0;
        left.tv_sec = left.tv_nsec / 1000000000;
        left.tv_nsec %= 1000000000;
        if (!is_done && ppoll(ready, 2, &left, NULL) < 0 && errno != EINTR) {
            end("ppoll");
        }
    }
}

static void join(struct call *c, const struct ends_place *place)
{
    static struct end visitor;
    static struct end service;
    uint64_t now;

    ends_join(place,
              "GET /voice HTTP/1.1\r\nConnection: Upgrade\r\n"
              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
              &visitor, &service);
    now = ends_now_us();
    /* As downloads go, and as uploads. The two speak in turns. */
    c->ways[0].label = "get";
    c->ways[1].label = "put";
    c->ways[0].from = c->ways[1].to = &service;
    c->ways[1].from = c->ways[0].to = &visitor;
    c->ways[1].is_masked = true;
    c->ways[0].due_us = now + c->every_us;
    c->ways[1].due_us = now + c->every_us * 3 / 2;
    for (unsigned i = 0; i < 2; i++) {
        c->ways[i].delays = malloc(FRAMES_MAX * sizeof(uint32_t));
        if (c->ways[i].delays == NULL) {
            end("no memory");
        }
    }
}

int main(int argc, char **argv)
{
    static struct call call = { .least = 160, .most = 640, .every_us = 20000 };
    struct ends_place place;

    if (argc != 7 && argc != 10 && argc != 11) {
        fprintf(stderr, "usage: net_voice NETWORK PORT HOST HOST_PORT NAME|- "
                        "SECONDS [LEAST MOST EVERY_MS [CONGESTION]]\n");
        return 2;
    }
    place = ends_place_of(argv + 1);
    place.congestion = argc == 11 ? argv[10] : NULL;
    if (argc > 7) {
        call.least = ends_number(argv[7]);
        call.most = ends_number(argv[8]);
        call.every_us = ends_number(argv[9]) * 1000;
    }
    call.frames = ends_number(argv[6]) * 1000000 /
                  (call.every_us > 0 ? call.every_us : 1);
    if (call.least < PAYLOAD_MIN || call.most < call.least ||
        call.most > PAYLOAD_MAX || call.every_us == 0 || call.frames == 0 ||
        call.frames > FRAMES_MAX) {
        end("frames have 126 to 65535 bytes, and there are 1 to 200000");
    }
    signal(SIGPIPE, SIG_IGN);
    join(&call, &place);
    hold(&call);
    for (unsigned i = 0; i < 2; i++) {
        end_close(call.ways[i].from);
    }
    printf("{");
    way_report(&call.ways[0]);
    printf(", ");
    way_report(&call.ways[1]);
    printf("}\n");
    return 0;
}
