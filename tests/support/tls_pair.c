/* Two TLS connections joined in memory. */
#include "tests/support/tls_pair.h"

#include <assert.h>
#include <stdlib.h>

static void end_init(struct tls_end *e, struct tls *t)
{
    assert(t != NULL);
    *e = (struct tls_end){ .tls = t };
    wire_writer_init(&e->out, malloc(TLS_PAIR_ROOM), TLS_PAIR_ROOM);
    assert(e->out.data != NULL);
    tls_lend_output(t, &e->out);
}

void tls_pair_init(struct tls_pair *p, struct tls_context *server,
                   struct tls_context *client, const char *host)
{
    end_init(&p->server, tls_new_server(server, span_text("test")));
    end_init(&p->client, tls_new_client(client, host));
}

void tls_pair_deinit(struct tls_pair *p)
{
    tls_free(p->server.tls);
    tls_free(p->client.tls);
    free(p->server.out.data);
    free(p->client.out.data);
}

static struct span waiting(const struct tls_end *from)
{
    return span_after(wire_written(&from->out), from->taken);
}

static void step(struct tls_end *e, struct tls_end *other)
{
    struct span in = waiting(other);
    size_t before = in.len;

    tls_lend_input(e->tls, &in);
    e->status = tls_handshake(e->tls);
    tls_lend_input(e->tls, NULL);
    other->taken += before - in.len;
    e->is_up = e->status == TLS_OK;
}

bool tls_pair_handshake(struct tls_pair *p)
{
    for (unsigned i = 0; i < 10; i++) {
        if (!p->client.is_up) {
            step(&p->client, &p->server);
        }
        if (!p->server.is_up) {
            step(&p->server, &p->client);
        }
        if (p->client.status == TLS_FAILED || p->server.status == TLS_FAILED) {
            return false;
        }
    }
    return p->client.is_up && p->server.is_up;
}

size_t tls_pair_read(struct tls_end *from, struct tls_end *to, uint8_t *out,
                     size_t size, size_t at_a_time)
{
    size_t total = 0;

    do {
        struct span in = waiting(from);
        size_t before;

        in.len = in.len < at_a_time ? in.len : at_a_time;
        before = in.len;
        tls_lend_input(to->tls, &in);
        do {
            size_t len;

            to->status = tls_read(to->tls, out + total, size - total, &len);
            total += len;
        } while (to->status == TLS_OK && total < size);
        tls_lend_input(to->tls, NULL);
        from->taken += before - in.len;
    } while (to->status == TLS_WANT_INPUT && waiting(from).len > 0);
    return total;
}
