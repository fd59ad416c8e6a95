/*
 * The life of a connection, from a descriptor or connecting to the moment libuv
 * has closed its handle, and what is asked of it in between. Bytes in and out
 * are in conn_read.c and conn_write.c.
 */
#include "common/conn.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/conn_private.h"

void conn_emit(struct conn *c, enum conn_event event)
{
    if (c->phase != PHASE_CLOSED && c->phase != PHASE_LINGER) {
        c->on_event(c, event, c->owner);
    }
}

void conn_wake(struct conn *c)
{
    if (c->phase != PHASE_CLOSED) {
        loop_flush_later(c->loop, &c->flush);
    }
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct conn *c = container_of(handle, struct conn, tcp);

    conn_read_drop(c);
    conn_write_drop(c);
    tls_free(c->tls);
    free(c);
}

/* To the last phase. What the owner borrowed stays till libuv's callback. */
static void conn_finish(struct conn *c)
{
    c->phase = PHASE_CLOSED;
    c->is_reading = false;
    loop_flush_cancel(c->loop, &c->flush);
    loop_flush_cancel(c->loop, &c->leave);
    timer_close(c->timer);
    c->timer = NULL;
    if (c->in == c->loop->spare) {
        c->in = NULL;
    }
}

static void conn_end(struct conn *c)
{
    conn_finish(c);
    uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

void conn_fail(struct conn *c, enum err error, const char *why)
{
    switch (c->phase) {
    case PHASE_CONNECT:
    case PHASE_HANDSHAKE:
    case PHASE_UP:
        break;
    case PHASE_LINGER:
        conn_end(c);
        return;
    case PHASE_DOWN:
    case PHASE_CLOSED:
        return;
    }
    if (c->error == ERR_OK) {
        c->error = error;
        c->why = why;
    }
    c->phase = PHASE_DOWN;
    c->down_due = true;
    conn_read_update(c);
    conn_write_drop(c);
    timer_close(c->timer);
    c->timer = NULL;
    conn_wake(c);
}

static void on_conn_timer(void *owner)
{
    struct conn *c = owner;

    if (c->phase == PHASE_LINGER) {
        conn_end(c);
        return;
    }
    conn_fail(c, ERR_TIMEOUT,
              c->phase == PHASE_CONNECT ? "no connection in time"
                                        : "no TLS handshake in time");
}

static enum err conn_set_timer(struct conn *c, uint64_t after_us)
{
    if (c->timer == NULL) {
        c->timer = timer_new(c->loop, on_conn_timer, c);
    }
    if (c->timer == NULL) {
        return ERR_NOMEM;
    }
    timer_set(c->timer, c->loop->now_us + after_us);
    return ERR_OK;
}

static void conn_tick(struct flush *f)
{
    struct conn *c = container_of(f, struct conn, flush);

    if (c->down_due) {
        c->down_due = false;
        conn_emit(c, CONN_DOWN);
        return;
    }
    if (c->resume_due) {
        c->resume_due = false;
        conn_read_resume(c);
    }
    if (c->phase != PHASE_CLOSED) {
        loop_flush_last(c->loop, &c->leave);
    }
}

/* What was written goes out in one piece: of a link, what many streams wrote,
 * and what they wrote when the first of it had left their queues. */
static void conn_leave(struct flush *f)
{
    struct conn *c = container_of(f, struct conn, leave);

    if (c->phase != PHASE_HANDSHAKE && c->phase != PHASE_UP &&
        c->phase != PHASE_LINGER) {
        return;
    }
    conn_write_flush(c);
    if (c->has_sent && c->phase == PHASE_UP) {
        c->has_sent = false;
        conn_emit(c, CONN_SENT);
    }
    /* Both directions have ended: nothing is left to wait for. */
    if (c->phase == PHASE_LINGER && c->has_eof && c->has_fin) {
        conn_end(c);
    }
}

/* A connection; its socket is made at once when a |family| is given. */
static struct conn *conn_new(struct loop *l, const struct conn_options *o,
                             unsigned family)
{
    struct conn *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        return NULL;
    }
    c->loop = l;
    c->on_event = o->on_event;
    c->owner = o->owner;
    c->flush.run = conn_tick;
    c->leave.run = conn_leave;
    c->why = "";
    c->burst = WRITE_BATCH;
    if (o->tls != NULL) {
        c->tls = tls_new_client(o->tls, o->host);
        if (c->tls == NULL) {
            free(c);
            return NULL;
        }
        tls_lend_output(c->tls, &c->out);
    }
    /* Out of descriptors: connecting makes the socket, and says so. */
    if (uv_tcp_init_ex(&l->uv, &c->tcp, family) != 0 &&
        uv_tcp_init(&l->uv, &c->tcp) != 0) {
        tls_free(c->tls);
        free(c);
        return NULL;
    }
    /* From here on the handle must be closed before the memory goes. */
    if (o->deadline_us != 0 && conn_set_timer(c, o->deadline_us) != ERR_OK) {
        conn_end(c);
        return NULL;
    }
    return c;
}

/* What every socket of ours gets, and reading. */
static void conn_begin(struct conn *c)
{
    conn_socket_tune(c);
    if (c->tls != NULL) {
        c->phase = PHASE_HANDSHAKE;
        c->resume_due = true;
        conn_wake(c);
    } else {
        c->phase = PHASE_UP;
    }
    conn_read_update(c);
}

enum err conn_adopt(struct loop *l, int fd, const struct conn_options *o,
                    struct conn **out)
{
    struct conn *c;

    loop_now(l);
    c = conn_new(l, o, AF_UNSPEC);
    if (c == NULL) {
        (void)close(fd);
        return ERR_NOMEM;
    }
    if (uv_tcp_open(&c->tcp, fd) != 0) {
        (void)close(fd);
        conn_end(c);
        return ERR_IO;
    }
    conn_begin(c);
    *out = c;
    return ERR_OK;
}

void conn_now_up(struct conn *c)
{
    c->phase = PHASE_UP;
    timer_close(c->timer);
    c->timer = NULL;
    conn_emit(c, CONN_UP);
}

static void on_conn_connected(uv_connect_t *request, int status)
{
    struct conn *c = container_of(request, struct conn, request.connect);

    if (c->phase != PHASE_CONNECT) {
        return;
    }
    loop_now(c->loop);
    if (status != 0) {
        conn_fail(c, ERR_IO, uv_strerror(status));
        return;
    }
    conn_begin(c);
    if (c->phase == PHASE_UP) {
        conn_now_up(c);
    }
}

enum err conn_connect(struct loop *l, const struct sockaddr *to,
                      const struct conn_options *o, struct conn **out)
{
    struct conn *c;
    int status;

    loop_now(l);
    c = conn_new(l, o, to->sa_family);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    conn_socket_choose(&c->tcp, to);
    status =
        uv_tcp_connect(&c->request.connect, &c->tcp, to, on_conn_connected);
    if (status != 0) {
        bool is_out = status == UV_EMFILE || status == UV_ENFILE;

        conn_fail(c, is_out ? ERR_LIMIT : ERR_IO, uv_strerror(status));
    }
    *out = c;
    return ERR_OK;
}

enum err conn_start_tls(struct conn *c, struct tls_context *context,
                        struct span session_context)
{
    struct tls *t;

    assert(c->tls == NULL);
    if (c->phase != PHASE_UP || c->has_eof) {
        return ERR_CLOSED;
    }
    t = tls_new_server(context, session_context);
    if (t == NULL) {
        return ERR_NOMEM;
    }
    if (conn_read_into_tls(c) != ERR_OK) {
        tls_free(t);
        return ERR_NOMEM;
    }
    c->tls = t;
    tls_lend_output(t, &c->out);
    c->phase = PHASE_HANDSHAKE;
    conn_resume(c);
    /* The dear part of a handshake happens now, where its cost is counted. */
    c->resume_due = false;
    conn_read_resume(c);
    return ERR_OK;
}

void conn_set_owner(struct conn *c, conn_fn *on_event, void *owner)
{
    c->on_event = on_event;
    c->owner = owner;
}

struct span conn_input(const struct conn *c)
{
    return c->in != NULL ? chunk_span(c->in) : (struct span){ .data = NULL };
}

void conn_consume(struct conn *c, size_t len)
{
    if (len > 0) {
        assert(c->in != NULL);
        chunk_drop(c->in, len);
    }
}

struct chunk *conn_take_input(struct conn *c)
{
    return conn_read_take(c);
}

void conn_pause(struct conn *c)
{
    c->is_paused = true;
    if (c->is_broken) {
        conn_fail(c, c->error, c->why);
    }
    conn_read_update(c);
}

static void conn_go_on(struct conn *c)
{
    c->is_paused = false;
    c->resume_due = true;
    conn_wake(c);
}

void conn_resume(struct conn *c)
{
    /* Whoever waited for more takes what there is, or another owner does. */
    c->wants_more = false;
    conn_go_on(c);
}

enum err conn_more(struct conn *c, size_t most)
{
    TRY(conn_read_more(c, most));
    conn_go_on(c);
    return ERR_OK;
}

void conn_keep_records(struct conn *c)
{
    c->keeps_records = true;
}

size_t conn_unsent(const struct conn *c)
{
    const uv_stream_t *stream = (const uv_stream_t *)&c->tcp;

    return c->out.len + c->queue_bytes + uv_stream_get_write_queue_size(stream);
}

size_t conn_burst(const struct conn *c)
{
    return c->burst;
}

void conn_shutdown(struct conn *c)
{
    if (c->phase != PHASE_UP || c->is_shut) {
        return;
    }
    /* Without memory for the alert the peer sees a FIN alone. */
    if (c->tls != NULL && conn_write_flight_room(c) == ERR_OK) {
        tls_close(c->tls);
    }
    c->is_shut = true;
    conn_wake(c);
}

void conn_flush(struct conn *c)
{
    if (c->phase != PHASE_UP) {
        return;
    }
    conn_write_flush(c);
    conn_wake(c);
}

void conn_close(struct conn *c, uint64_t linger_us)
{
    if (c == NULL) {
        return;
    }
    assert(c->phase != PHASE_CLOSED && c->phase != PHASE_LINGER);
    if (linger_us == 0 || c->phase != PHASE_UP || c->is_broken ||
        conn_set_timer(c, linger_us) != ERR_OK) {
        conn_end(c);
        return;
    }
    conn_shutdown(c);
    c->phase = PHASE_LINGER;
    if (c->in == c->loop->spare) {
        c->in = NULL;
    }
    conn_read_update(c);
    conn_wake(c);
}

void conn_abort(struct conn *c)
{
    if (c == NULL) {
        return;
    }
    conn_finish(c);
    if (uv_tcp_close_reset(&c->tcp, on_conn_closed) != 0) {
        uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
    }
}

bool conn_eof_is_clean(const struct conn *c)
{
    return c->eof_is_clean;
}

const char *conn_why(const struct conn *c)
{
    return c->why;
}

enum err conn_error(const struct conn *c)
{
    return c->error;
}

struct tls *conn_tls(struct conn *c)
{
    return c->tls;
}

struct loop *conn_loop(struct conn *c)
{
    return c->loop;
}
