/* A listener, a connection, and two watched ends. */
#include "tests/support/conn_world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "tests/support/certificate.h"
#include "tests/support/slower.h"

#define WRITE_MAX 40000u

/* The pattern from |at| on, in one piece of |*len| bytes at most. */
static const uint8_t *pattern(const struct end *e, uint64_t at, size_t *len)
{
    size_t begin = (size_t)(at % WORLD_PATTERN_LEN);

    if (*len > WORLD_PATTERN_LEN - begin) {
        *len = WORLD_PATTERN_LEN - begin;
    }
    return e->world->pattern + begin;
}

static void end_check(struct end *e, struct span in)
{
    size_t done = 0;

    while (done < in.len) {
        size_t len = in.len - done;
        const uint8_t *want = pattern(e, e->received + done, &len);

        assert_memory_equal(in.data + done, want, len);
        done += len;
    }
    e->received += in.len;
    e->largest = in.len > e->largest ? in.len : e->largest;
}

void end_write(struct end *e)
{
    size_t burst = e->burst != 0 ? e->burst : WRITE_BATCH;

    while (e->to_send > 0 && conn_unsent(e->conn) < burst) {
        size_t len = e->to_send < WRITE_MAX ? (size_t)e->to_send : WRITE_MAX;
        const uint8_t *bytes = pattern(e, e->written, &len);

        assert_int_equal(conn_write(e->conn, span_of(bytes, len)), ERR_OK);
        e->written += len;
        e->to_send -= len;
    }
    if (e->to_send == 0 && e->shuts) {
        e->shuts = false;
        conn_shutdown(e->conn);
    }
}

static void end_data(struct end *e)
{
    if (e->starts_tls) {
        e->starts_tls = false;
        assert_int_equal(
            conn_start_tls(e->conn, e->world->server_tls, span_text("test")),
            ERR_OK);
        return;
    }
    if (conn_input(e->conn).len < e->asks_for) {
        assert_int_equal(conn_more(e->conn, CONN_MORE_MAX), ERR_OK);
        return;
    }
    if (e->closes_on_data) {
        conn_close(e->conn, 0);
        e->conn = NULL;
        return;
    }
    if (e->takes) {
        struct chunk *chunk = conn_take_input(e->conn);

        assert_non_null(chunk);
        assert_true(chunk->len <= FRAME_PAYLOAD_MAX);
        assert_true(chunk->start >= FRAME_HEADER_LEN);
        assert_int_equal(conn_input(e->conn).len, 0);
        end_check(e, chunk_span(chunk));
        chunk_free(chunk);
    } else {
        struct span in = conn_input(e->conn);

        if (e->leaves && in.len > 1) {
            e->leaves = false;
            in.len = 1;
            conn_resume(e->conn);
        }
        if (e->adds > 0 && in.len > 1) {
            in.len--;
            end_check(e, in);
            conn_consume(e->conn, in.len);
            e->adds--;
            assert_int_equal(conn_more(e->conn, CONN_MORE_MAX), ERR_OK);
            return;
        }
        end_check(e, in);
        conn_consume(e->conn, in.len);
    }
    if (e->pauses) {
        conn_pause(e->conn);
    }
}

static void on_end(struct conn *c, enum conn_event event, void *owner)
{
    struct end *e = owner;

    assert_ptr_equal(c, e->conn);
    switch (event) {
    case CONN_UP:
        e->up++;
        end_write(e);
        break;
    case CONN_DATA:
        e->data++;
        end_data(e);
        break;
    case CONN_SENT:
        e->sent++;
        end_write(e);
        break;
    case CONN_EOF:
        e->eof++;
        e->is_clean = conn_eof_is_clean(c);
        break;
    case CONN_DOWN:
        e->down++;
        e->error = conn_error(c);
        assert_true(conn_why(c)[0] != '\0');
        break;
    }
}

static void on_waiting(int fd, void *owner)
{
    struct world *w = owner;
    struct conn_options o = { .on_event = on_end, .owner = &w->server };

    assert_int_equal(conn_adopt(&w->loop, fd, &o, &w->server.conn), ERR_OK);
    if (w->server.stays_dumb) {
        conn_pause(w->server.conn);
    } else if (!w->server.starts_tls) {
        end_write(&w->server);
    }
}

static void on_watchdog(void *owner)
{
    struct world *w = owner;

    w->timed_out = true;
}

void world_open(struct world *w)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    const char *why;

    *w = (struct world){ .timed_out = false };
    for (size_t i = 0; i < WORLD_PATTERN_LEN; i++) {
        w->pattern[i] = (uint8_t)(i * 131 + (i >> 8) * 7);
    }
    w->server.world = w;
    w->client.world = w;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(loop_open(&w->loop), ERR_OK);
    assert_int_equal(listener_open(&w->loop, (struct sockaddr *)&at, on_waiting,
                                   w, &w->listener, &why),
                     ERR_OK);
    w->watchdog = timer_new(&w->loop, on_watchdog, w);
    timer_set(w->watchdog, w->loop.now_us + TEST_US * slower_times());
}

void world_tls(struct world *w)
{
    struct certificate cert;
    const char *why;

    certificate_make("conn.test", &cert);
    assert_int_equal(tls_context_visitors(span_text(cert.chain),
                                          span_text(cert.key), &w->server_tls,
                                          &why),
                     ERR_OK);
    assert_int_equal(
        tls_context_target(NULL, TLS_VERIFY_NOT, &w->client_tls, &why), ERR_OK);
    w->server.starts_tls = true;
}

struct conn_options world_options(struct end *e)
{
    return (struct conn_options){ .on_event = on_end, .owner = e };
}

void world_connect(struct world *w, uint64_t deadline_us)
{
    struct conn_options o = { .on_event = on_end,
                              .owner = &w->client,
                              .tls = w->client_tls,
                              .host = "conn.test",
                              .deadline_us = deadline_us };
    struct sockaddr_storage at;

    listener_name(w->listener, &at);
    assert_int_equal(
        conn_connect(&w->loop, (struct sockaddr *)&at, &o, &w->client.conn),
        ERR_OK);
}

void world_step(struct world *w)
{
    uv_run(&w->loop.uv, UV_RUN_ONCE);
    assert_false(w->timed_out);
}

void world_poll(struct world *w)
{
    uv_run(&w->loop.uv, UV_RUN_NOWAIT);
    assert_false(w->timed_out);
}

void world_until(struct world *w, const unsigned *count)
{
    while (*count == 0) {
        world_step(w);
    }
    assert_int_equal(*count, 1);
}

void world_close(struct world *w)
{
    conn_close(w->client.conn, 0);
    conn_close(w->server.conn, 0);
    listener_close(w->listener);
    timer_close(w->watchdog);
    loop_close(&w->loop);
    tls_context_free(w->server_tls);
    tls_context_free(w->client_tls);
    assert_false(w->timed_out);
}
