/*
 * The visitors of the soak: exchanges of a seed over some connections at once
 * in one thread, every byte checked. Prints a line of JSON each few seconds
 * and one at the end.
 *
 *   soak_visitor HOST PORT CA SEED EXCHANGES SECONDS CONNECTIONS
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "tests/soak/visit.h"

#define EVENTS 64
#define SAY_EACH_US 5000000ull
#define CONNECTIONS_MAX 200u
/* An exchange that stands for longer than this has failed for us. */
#define STUCK_MS 120000

static int by_size(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return (a > b) - (a < b);
}

static uint32_t percentile(const struct swarm *s, double part)
{
    size_t at = (size_t)((double)s->took_count * part);

    return s->took_count == 0
               ? 0
               : s->took_us[at < s->took_count ? at : s->took_count - 1];
}

static void say(const struct swarm *s, uint64_t begun_us)
{
    printf("{\"s\": %.1f, \"done\": %" PRIu64 ", \"wrong\": %" PRIu64
           ", \"failed\": %" PRIu64 ", \"sockets\": %" PRIu64
           ", \"left_down\": %" PRIu64 ", \"left_up\": %" PRIu64
           ", \"handshakes\": %" PRIu64 ", \"bytes_up\": %" PRIu64
           ", \"bytes_down\": %" PRIu64,
           (double)(visit_now_us() - begun_us) / 1e6, s->done, s->wrong,
           s->failed, s->sockets, s->left_down, s->left_up, s->handshakes,
           s->bytes_up, s->bytes_down);
}

static bool prepare(struct swarm *s, char **argv)
{
    s->host = argv[1];
    s->relay = (struct sockaddr_in){ .sin_family = AF_INET };
    s->relay.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->relay.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
    s->seed = strtoull(argv[4], NULL, 10);
    s->wanted = strtoull(argv[5], NULL, 10);
    s->until_us = visit_now_us() + strtoull(argv[6], NULL, 10) * 1000000;
    plan_pattern(s->seed, s->pattern);
    s->took_max = 4000000;
    s->took_us = malloc(s->took_max * sizeof(*s->took_us));
    s->poll = epoll_create1(0);
    s->tls = SSL_CTX_new(TLS_method());
    if (s->tls == NULL || s->took_us == NULL || s->poll < 0 ||
        SSL_CTX_load_verify_locations(s->tls, argv[3], NULL) != 1) {
        fprintf(stderr, "visitor: cannot begin (is %s a CA?)\n", argv[3]);
        return false;
    }
    SSL_CTX_set_verify(s->tls, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(s->tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return true;
}

/* Till every place is idle. False: nothing moves any more. */
static bool run(struct swarm *s, uint64_t begun_us)
{
    uint64_t said_us = begun_us;

    while (s->busy > 0) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(s->poll, events, EVENTS, STUCK_MS);

        if (count == 0) {
            return false;
        }
        for (int i = 0; i < count; i++) {
            visit_turn(events[i].data.ptr);
        }
        if (visit_now_us() - said_us > SAY_EACH_US) {
            said_us = visit_now_us();
            say(s, begun_us);
            printf("}\n");
            (void)fflush(stdout);
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct swarm s;
    static struct visit *places;
    unsigned count;
    uint64_t begun_us;

    if (argc != 8) {
        fprintf(stderr, "usage: soak_visitor HOST PORT CA SEED EXCHANGES "
                        "SECONDS CONNECTIONS\n");
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    count = (unsigned)strtoul(argv[7], NULL, 10);
    places = calloc(count, sizeof(*places));
    if (places == NULL || count > CONNECTIONS_MAX || !prepare(&s, argv)) {
        return 1;
    }
    begun_us = visit_now_us();
    s.busy = count;
    for (unsigned i = 0; i < count; i++) {
        places[i] = (struct visit){ .swarm = &s, .index = i, .ch.fd = -1 };
        visit_begin(&places[i]);
    }
    if (!run(&s, begun_us)) {
        s.failed += s.busy;
        fprintf(stderr, "visitor: %u exchanges stand still\n", s.busy);
    }
    qsort(s.took_us, s.took_count, sizeof(*s.took_us), by_size);
    say(&s, begun_us);
    printf(", \"p50_us\": %u, \"p90_us\": %u, \"p99_us\": %u, \"p999_us\": %u, "
           "\"max_us\": %u}\n",
           percentile(&s, 0.5), percentile(&s, 0.9), percentile(&s, 0.99),
           percentile(&s, 0.999), percentile(&s, 1.0));
    return s.wrong + s.failed > 0 ? 1 : 0;
}
