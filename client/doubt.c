/*
 * Two questions to the session, and one to the kernel, see doubt.h.
 */
#include "client/doubt.h"

#include "common/address.h"
#include "common/conn.h"
#include "common/platform.h"

void doubt_begin(struct redial *r, const struct redial_pace *pace)
{
    if (redial_is_on(r)) {
        redial_go(r);
    } else {
        redial_start(r, pace);
    }
}

void doubt_ask_others(struct carrier *c, unsigned slot, uint64_t now_us)
{
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        if (i != slot && c->links[i] != NULL) {
            session_probe(c->session, i, now_us);
            link_wake(c->links[i]);
        }
    }
}

bool doubt_is_over(const struct carrier *c, unsigned slot, uint64_t now_us)
{
    return c->links[slot] != NULL && !session_is_asked(c->session, slot) &&
           !session_is_suspect(c->session, slot, now_us);
}

bool doubt_may_login(const struct carrier *c, unsigned slot, struct redial *r,
                     uint64_t now_us)
{
    if (doubt_is_over(c, slot, now_us)) {
        redial_stop(r);
        return false;
    }
    return c->links[slot] == NULL ||
           session_is_suspect(c->session, slot, now_us);
}

/* Whether |l| goes out from an address where a new link would not. */
static bool is_elsewhere(struct link *l)
{
    struct sockaddr_storage peer, ours, source;
    struct visitor_address before, now;

    conn_peer(link_conn(l), &peer);
    conn_name(link_conn(l), &ours);
    platform_source(&peer, &source);
    address_to_visitor(&ours, &before);
    address_to_visitor(&source, &now);
    return source.ss_family != AF_UNSPEC &&
           memcmp(before.bytes, now.bytes, sizeof(now.bytes)) != 0;
}

bool doubt_network(const struct carrier *c, unsigned slot, struct redial *r,
                   enum watch_event event, uint64_t now_us)
{
    if (event == WATCH_WAKE || redial_is_elsewhere(r)) {
        redial_hurry(r);
    }
    if (c->links[slot] == NULL) {
        return false;
    }
    session_probe(c->session, slot, now_us);
    link_wake(c->links[slot]);
    return event == WATCH_WAKE || is_elsewhere(c->links[slot]);
}
