/*
 * The slot of the second link. Its streams are known by their slot; those that
 * have to go are told like the streams of a session that ends.
 */
#include "relay/bulk_link.h"

#include "common/log.h"
#include "relay/client_session.h"
#include "relay/drain.h"
#include "relay/exchange.h"
#include "relay/relay_settings.h"
#include "relay/worker.h"

/* What it carried is over. May end |s|'s exchanges, and with them |s|, which
 * is there till the end of the tick. */
static void begin_anew(struct client_session *s)
{
    struct session *session = s->carrier.session;
    struct exchange *next;

    timer_stop(s->bulk.timer);
    for (struct exchange *x = s->exchanges; x != NULL; x = next) {
        next = x->next;
        if (x->slot == SLOT_BULK) {
            exchange_lost(x, ERR_EXPIRED);
        }
    }
    session_slot_clear(session, SLOT_BULK);
}

static void on_bulk_grace(void *owner)
{
    struct client_session *s = owner;

    LOG(LOG_INFO, "bulk-link-expired", log_u64("session", s->number));
    begin_anew(s);
}

enum err bulk_link_init(struct client_session *s)
{
    s->bulk = (struct bulk_link){
        .timer = timer_new(&s->worker->loop, on_bulk_grace, s),
    };
    return s->bulk.timer == NULL ? ERR_NOMEM : ERR_OK;
}

void bulk_link_deinit(struct client_session *s)
{
    timer_close(s->bulk.timer);
    s->bulk.timer = NULL;
}

static void close_link(struct client_session *s)
{
    link_close(s->carrier.links[SLOT_BULK], 0);
    s->carrier.links[SLOT_BULK] = NULL;
    timer_set(s->bulk.timer,
              loop_now(&s->worker->loop) + s->worker->settings->grace_us);
}

void bulk_link_lost(struct client_session *s)
{
    close_link(s);
    if (drain_is_on(s->worker)) {
        begin_anew(s); /* nobody is let in any more */
    }
}

void bulk_link_leave(struct client_session *s)
{
    if (s->carrier.links[SLOT_BULK] == NULL) {
        begin_anew(s);
    }
}

void bulk_link_fence(struct client_session *s, uint32_t epoch, bool is_resumed)
{
    if (s->carrier.links[SLOT_BULK] != NULL) {
        LOG(LOG_INFO, "link-fenced", log_u64("session", s->number),
            log_u64("slot", SLOT_BULK));
        close_link(s);
    }
    session_fence(s->carrier.session, SLOT_BULK, epoch,
                  loop_now(&s->worker->loop));
    if (!is_resumed) {
        begin_anew(s);
    }
}

enum err bulk_link_take(struct client_session *s, struct conn *c,
                        bool is_resumed, uint64_t received)
{
    struct session *session = s->carrier.session;
    uint64_t now_us = loop_now(&s->worker->loop);
    enum err e = ERR_OK;

    conn_peer(c, &s->peers[SLOT_BULK]);
    if (is_resumed) {
        e = session_link_resume(session, SLOT_BULK, received, now_us);
        s->resumes += e == ERR_OK ? 1 : 0;
    } else {
        session_link_up(session, SLOT_BULK, now_us);
    }
    if (e == ERR_OK) {
        e = client_session_link(
            s, SLOT_BULK, c, is_resumed ? "bulk-link-resumed" : "bulk-link-up");
        if (e != ERR_OK) {
            session_link_lost(session, SLOT_BULK, now_us);
        }
    }
    if (e == ERR_OK) {
        timer_stop(s->bulk.timer);
    }
    return e;
}
