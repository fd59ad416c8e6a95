/*
 * A short list, newest last, that a timer clears from the front: a client has
 * as many idle connections as it has visitors' connections, a few dozen.
 */
#include "client/conn_pool.h"

#include <stdlib.h>

#include "common/timer.h"

#define CONN_POOL_MAX 256u

struct idle {
    struct conn_pool *pool;
    struct idle *prev;
    struct idle *next;
    struct pooled what;
    uint64_t expires_us;
    uint32_t visitor_conn;
    uint16_t tunnel;
};

struct conn_pool {
    struct loop *loop;
    struct timer *timer;
    struct idle list; /* head of a ring, oldest first */
    size_t count;
};

static void unlink_idle(struct idle *i)
{
    i->prev->next = i->next;
    i->next->prev = i->prev;
    i->pool->count--;
}

static void drop(struct idle *i)
{
    unlink_idle(i);
    conn_close(i->what.conn, 0);
    h1_parser_free(i->what.parser);
    free(i);
}

static void set_timer(struct conn_pool *p)
{
    const struct idle *first = p->list.next;

    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): unlinked by neighbours */
    timer_set(p->timer, first == &p->list ? UINT64_MAX : first->expires_us);
}

static void on_timer(void *owner)
{
    struct conn_pool *p = owner;

    for (struct idle *i = p->list.next, *next;
         i != &p->list && i->expires_us <= p->loop->now_us; i = next) {
        next = i->next;
        drop(i);
    }
    set_timer(p);
}

/* Whatever an idle connection says, it is of no more use. */
static void on_idle(struct conn *c, enum conn_event event, void *owner)
{
    struct idle *i = owner;
    struct conn_pool *p = i->pool;

    (void)c;
    if (event == CONN_SENT) {
        return;
    }
    drop(i);
    set_timer(p);
}

struct conn_pool *conn_pool_new(struct loop *loop)
{
    struct conn_pool *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    p->loop = loop;
    p->list.next = p->list.prev = &p->list;
    p->timer = timer_new(loop, on_timer, p);
    if (p->timer == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

void conn_pool_free(struct conn_pool *p)
{
    if (p == NULL) {
        return;
    }
    conn_pool_clear(p);
    timer_close(p->timer);
    free(p);
}

void conn_pool_clear(struct conn_pool *p)
{
    for (struct idle *i = p->list.next, *next; i != &p->list; i = next) {
        next = i->next;
        drop(i);
    }
    timer_set(p->timer, UINT64_MAX);
}

static struct idle *find(struct conn_pool *p, uint16_t tunnel,
                         uint32_t visitor_conn)
{
    for (struct idle *i = p->list.prev; i != &p->list; i = i->prev) {
        if (i->visitor_conn == visitor_conn && i->tunnel == tunnel) {
            return i;
        }
    }
    return NULL;
}

void conn_pool_put(struct conn_pool *p, uint16_t tunnel, uint32_t visitor_conn,
                   struct pooled what)
{
    struct idle *old = find(p, tunnel, visitor_conn);
    struct idle *i = calloc(1, sizeof(*i));

    if (old != NULL) {
        drop(old);
    }
    if (i == NULL) {
        conn_close(what.conn, 0);
        h1_parser_free(what.parser);
        return;
    }
    if (p->count >= CONN_POOL_MAX) {
        drop(p->list.next);
    }
    i->pool = p;
    i->what = what;
    i->tunnel = tunnel;
    i->visitor_conn = visitor_conn;
    i->expires_us = p->loop->now_us + LOCAL_IDLE_US;
    i->prev = p->list.prev;
    i->next = &p->list;
    i->prev->next = i->next->prev = i;
    p->count++;
    conn_set_owner(what.conn, on_idle, i);
    conn_resume(what.conn);
    set_timer(p);
}

bool conn_pool_take(struct conn_pool *p, uint16_t tunnel, uint32_t visitor_conn,
                    struct pooled *out)
{
    struct idle *i = find(p, tunnel, visitor_conn);

    if (i == NULL) {
        return false;
    }
    *out = i->what;
    unlink_idle(i);
    free(i);
    set_timer(p);
    return true;
}
