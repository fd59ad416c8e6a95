/* One direction of a line, see lane.h. */
#include "tests/support/lane.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000u
#define NS_PER_US 1000u
#define MILLION 1000000u

/* |at_ns|: when it came, and from its turn on when it arrives. */
struct packet {
    uint64_t at_ns;
    size_t len;
    unsigned char *data;
};

/* head..served are under way, served..tail wait. */
struct lane {
    struct lane_settings settings;
    struct lane_counts counts;
    uint64_t chance;
    uint64_t busy_until_ns;
    uint64_t last_ns; /* of the arrivals so far: none overtakes another */
    uint64_t waiting_bytes;
    size_t head;
    size_t served;
    size_t tail;
    unsigned char *gone; /* the packet that was given out last */
    struct packet ring[LANE_PACKETS_MAX];
};

struct lane *lane_new(uint64_t seed)
{
    struct lane *l = calloc(1, sizeof(*l));

    if (l != NULL) {
        l->chance = seed;
    }
    return l;
}

static struct packet *at(struct lane *l, size_t index)
{
    return &l->ring[index % LANE_PACKETS_MAX];
}

/* All that is on the way is no more. */
static void empty(struct lane *l)
{
    for (; l->head != l->tail; l->head++) {
        free(at(l, l->head)->data);
        at(l, l->head)->data = NULL;
        l->counts.cut++;
    }
    l->served = l->tail;
    l->waiting_bytes = 0;
}

void lane_free(struct lane *l)
{
    if (l == NULL) {
        return;
    }
    empty(l);
    free(l->gone);
    free(l);
}

/* Give every packet whose turn has come by now the time of its arrival. */
static void serve(struct lane *l, uint64_t now_ns)
{
    while (l->served != l->tail) {
        struct packet *p = at(l, l->served);
        uint64_t rate = l->settings.rate_bits;
        uint64_t start =
            p->at_ns > l->busy_until_ns ? p->at_ns : l->busy_until_ns;

        if (start > now_ns) {
            return;
        }
        l->busy_until_ns =
            start + (rate == 0 ? 0 : p->len * 8u * NS_PER_S / rate);
        p->at_ns = l->busy_until_ns + l->settings.delay_us * NS_PER_US;
        if (p->at_ns < l->last_ns) {
            p->at_ns = l->last_ns;
        }
        l->last_ns = p->at_ns;
        l->waiting_bytes -= p->len;
        l->served++;
    }
}

void lane_set(struct lane *l, uint64_t now_ns, struct lane_settings settings)
{
    serve(l, now_ns);
    l->settings = settings;
    if (settings.is_cut != 0) {
        empty(l);
    }
}

struct lane_settings lane_settings(const struct lane *l)
{
    return l->settings;
}

struct lane_counts lane_counts(const struct lane *l)
{
    return l->counts;
}

/* splitmix64. */
static uint64_t dice(struct lane *l)
{
    uint64_t z = l->chance += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Whether it may wait here: the one that finds nobody waiting always may. */
static bool has_room(const struct lane *l, size_t len)
{
    if (l->tail - l->head == LANE_PACKETS_MAX) {
        return false;
    }
    return l->settings.queue_bytes == 0 || l->waiting_bytes == 0 ||
           l->waiting_bytes + len <= l->settings.queue_bytes;
}

void lane_push(struct lane *l, uint64_t now_ns, const void *data, size_t len)
{
    struct packet *p = at(l, l->tail);

    assert(len > 0 && len <= LANE_PACKET_MAX);
    serve(l, now_ns);
    l->counts.packets++;
    l->counts.bytes += len;
    if (l->settings.is_cut != 0) {
        l->counts.cut++;
        return;
    }
    if (dice(l) % MILLION < l->settings.loss_ppm) {
        l->counts.lost++;
        return;
    }
    if (!has_room(l, len) || (p->data = malloc(len)) == NULL) {
        l->counts.dropped++;
        return;
    }
    memcpy(p->data, data, len);
    p->len = len;
    p->at_ns = now_ns;
    l->tail++;
    l->waiting_bytes += len;
    if (l->waiting_bytes > l->counts.waited) {
        l->counts.waited = l->waiting_bytes;
    }
    serve(l, now_ns);
}

const void *lane_pop(struct lane *l, uint64_t now_ns, size_t *len)
{
    struct packet *p = at(l, l->head);

    serve(l, now_ns);
    if (l->head == l->served || p->at_ns > now_ns) {
        return NULL;
    }
    free(l->gone);
    l->gone = p->data;
    *len = p->len;
    p->data = NULL;
    l->head++;
    l->counts.arrived++;
    return l->gone;
}

uint64_t lane_next_ns(const struct lane *l)
{
    /* Who waits has one before it that is under way, or has its turn. */
    if (l->head != l->served) {
        return l->ring[l->head % LANE_PACKETS_MAX].at_ns;
    }
    return l->served == l->tail ? LANE_NEVER : l->busy_until_ns;
}
