/*
 * A line between two networks: the one it is started in ("far") and a new one
 * that it makes ("near"), joined by a device in each. What goes into one comes
 * out of the other as two lanes say: "up" carries what near sends, "down" what
 * far sends. Ends, and the near network with it, when its control does.
 *
 *   net_link <SOCKET
 *
 * Standard input is a socket that takes commands, a line each, and gives an
 * answer of a line: "set up|down|both WHAT NUMBER" (rate in bits a second,
 * delay in us, queue in bytes, loss in packets of a million, cut 0 or 1),
 * answered by "ok"; "counts", answered by JSON; anything else by "no: WHY".
 * It refuses to work in a network that has any device but loopback.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/lane.h"

#define TUN "/dev/net/tun"
#define QUEUE_PACKETS 10000 /* in the device, for us to be late by */
#define READS_MAX 64        /* packets in one turn, of each device */
#define SLEEP_MIN_NS 100000u
#define SLEEP_MAX_NS 1000000000u
#define NS_PER_S 1000000000u
#define LINE_MAX_BYTES 256u
#define ANSWER_MAX 512u
#define SEED 7u
#define LANES 2u

/* lanes[0] is up: from devices[0], the near one, to devices[1]. */
struct line {
    int devices[LANES];
    struct lane *lanes[LANES];
    uint64_t refused[LANES]; /* packets, by the device they arrived at */
    char command[LINE_MAX_BYTES];
    size_t command_len;
    bool is_over;
};

static const char *const lane_names[LANES] = { "up", "down" };

static void die(const char *what)
{
    fprintf(stderr, "net_link: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* A machine's own network has other devices; we stay out of it. */
static void check_alone(void)
{
    struct if_nameindex *all = if_nameindex();

    if (all == NULL) {
        die("if_nameindex");
    }
    for (size_t i = 0; all[i].if_index != 0; i++) {
        struct ifreq request = { .ifr_flags = 0 };
        int fd = socket(AF_INET, SOCK_DGRAM, 0);

        (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s",
                       all[i].if_name);
        if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) {
            die(all[i].if_name);
        }
        close(fd);
        /* Fallback tunnels are in each new network, and down. */
        if (strcmp(all[i].if_name, "lo") != 0 &&
            (request.ifr_flags & IFF_UP) != 0) {
            fprintf(stderr, "net_link: this network has %s: not ours\n",
                    all[i].if_name);
            exit(1);
        }
    }
    if_freenameindex(all);
}

/* A device of the network we are in now. */
static int open_device(const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
    int fd = open(TUN, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int at = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if (fd < 0 || at < 0 || ioctl(fd, TUNSETIFF, &request) != 0) {
        die(TUN);
    }
    request.ifr_qlen = QUEUE_PACKETS;
    if (ioctl(at, SIOCSIFTXQLEN, &request) != 0) {
        die("SIOCSIFTXQLEN");
    }
    close(at);
    return fd;
}

static void line_open(struct line *l)
{
    check_alone();
    l->devices[1] = open_device("far");
    if (unshare(CLONE_NEWNET) != 0) {
        die("unshare");
    }
    l->devices[0] = open_device("near");
    for (unsigned i = 0; i < LANES; i++) {
        l->lanes[i] = lane_new(SEED + i);
        if (l->lanes[i] == NULL) {
            die("lane_new");
        }
    }
}

static void answer(struct line *l, const char *text)
{
    size_t len = strlen(text);

    /* A line is short; who does not read his answers has gone. */
    if (send(STDIN_FILENO, text, len, MSG_NOSIGNAL) != (ssize_t)len) {
        l->is_over = true;
    }
}

static void answer_counts(struct line *l)
{
    char text[LANES * ANSWER_MAX];
    size_t len = 0;

    for (unsigned i = 0; i < LANES; i++) {
        struct lane_counts c = lane_counts(l->lanes[i]);

        len += (size_t)snprintf(
            text + len, sizeof(text) - len,
            "%s\"%s\": {\"packets\": %" PRIu64 ", \"bytes\": %" PRIu64
            ", \"arrived\": %" PRIu64 ", \"lost\": %" PRIu64
            ", \"dropped\": %" PRIu64 ", \"cut\": %" PRIu64
            ", \"waited\": %" PRIu64 ", \"refused\": %" PRIu64 "}",
            i == 0 ? "{" : ", ", lane_names[i], c.packets, c.bytes, c.arrived,
            c.lost, c.dropped, c.cut, c.waited, l->refused[i]);
    }
    (void)snprintf(text + len, sizeof(text) - len, "}\n");
    answer(l, text);
}

static uint64_t *setting(struct lane_settings *s, const char *what)
{
    const struct {
        const char *name;
        uint64_t *at;
    } all[] = { { "rate", &s->rate_bits },
                { "delay", &s->delay_us },
                { "queue", &s->queue_bytes },
                { "loss", &s->loss_ppm },
                { "cut", &s->is_cut } };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strcmp(all[i].name, what) == 0) {
            return all[i].at;
        }
    }
    return NULL;
}

/* Whether there are such a lane and such a setting. */
static bool set(struct line *l, const char *lane, const char *what,
                uint64_t value)
{
    bool is_both = strcmp(lane, "both") == 0;
    bool has_set = false;

    for (unsigned i = 0; i < LANES; i++) {
        struct lane_settings s = lane_settings(l->lanes[i]);
        uint64_t *at = setting(&s, what);

        if (at != NULL && (is_both || strcmp(lane, lane_names[i]) == 0)) {
            *at = value;
            lane_set(l->lanes[i], now_ns(), s);
            has_set = true;
        }
    }
    return has_set;
}

static void obey(struct line *l, const char *text)
{
    char lane[8];
    char what[8];
    char number[24];
    char *end;
    uint64_t value;

    if (strcmp(text, "counts") == 0) {
        answer_counts(l);
        return;
    }
    if (sscanf(text, "set %7s %7s %23s", lane, what, number) != 3) {
        answer(l, "no: it is set LANE WHAT NUMBER, or counts\n");
        return;
    }
    errno = 0;
    value = strtoull(number, &end, 10);
    if (errno != 0 || *end != '\0' || number[0] == '-') {
        answer(l, "no: that is no number\n");
    } else if (!set(l, lane, what, value)) {
        answer(l, "no: no such lane or setting\n");
    } else {
        answer(l, "ok\n");
    }
}

static void read_commands(struct line *l)
{
    ssize_t len = read(STDIN_FILENO, l->command + l->command_len,
                       sizeof(l->command) - l->command_len);
    char *end;

    if (len <= 0) {
        l->is_over = len == 0 || errno != EINTR;
        return;
    }
    l->command_len += (size_t)len;
    while ((end = memchr(l->command, '\n', l->command_len)) != NULL) {
        size_t used = (size_t)(end + 1 - l->command);

        *end = '\0';
        obey(l, l->command);
        l->command_len -= used;
        memmove(l->command, end + 1, l->command_len);
    }
    if (l->command_len == sizeof(l->command)) {
        fprintf(stderr, "net_link: a command is too long\n");
        l->is_over = true;
    }
}

/* What has come in, and what has arrived. A device that is down for a moment
 * refuses it, as a line without anyone at its end. */
static void carry(struct line *l)
{
    static unsigned char packet[LANE_PACKET_MAX];

    for (unsigned i = 0; i < LANES; i++) {
        const void *arrived;
        size_t size;
        ssize_t len = 1;

        for (unsigned n = 0; n < READS_MAX && len > 0; n++) {
            len = read(l->devices[i], packet, sizeof(packet));
            if (len > 0) {
                lane_push(l->lanes[i], now_ns(), packet, (size_t)len);
            }
        }
        while ((arrived = lane_pop(l->lanes[i], now_ns(), &size)) != NULL) {
            if (write(l->devices[LANES - 1 - i], arrived, size) < 0) {
                l->refused[i]++;
            }
        }
    }
}

/* Packets that arrive within a tenth of a millisecond leave together. */
static struct timespec until_next(const struct line *l)
{
    uint64_t now = now_ns();
    uint64_t sleep = SLEEP_MAX_NS;

    for (unsigned i = 0; i < LANES; i++) {
        uint64_t next = lane_next_ns(l->lanes[i]);
        uint64_t left = next > now ? next - now : 0;

        sleep = left < sleep ? left : sleep;
    }
    sleep = sleep < SLEEP_MIN_NS ? SLEEP_MIN_NS : sleep;
    return (struct timespec){ .tv_sec = (time_t)(sleep / NS_PER_S),
                              .tv_nsec = (long)(sleep % NS_PER_S) };
}

int main(void)
{
    static struct line line;
    struct sched_param first = { .sched_priority = 2 };

    line_open(&line);
    /* A line does not get slower because the machine does; best effort. */
    (void)sched_setscheduler(0, SCHED_FIFO, &first);
    answer(&line, "ready\n");
    while (!line.is_over) {
        struct pollfd ready[] = {
            { .fd = line.devices[0], .events = POLLIN },
            { .fd = line.devices[1], .events = POLLIN },
            { .fd = STDIN_FILENO, .events = POLLIN },
        };
        struct timespec sleep = until_next(&line);

        if (ppoll(ready, 3, &sleep, NULL) < 0 && errno != EINTR) {
            die("ppoll");
        }
        if (ready[2].revents != 0) {
            read_commands(&line);
        }
        carry(&line);
    }
    for (unsigned i = 0; i < LANES; i++) {
        lane_free(line.lanes[i]);
        close(line.devices[i]);
    }
    return 0;
}
