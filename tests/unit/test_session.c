/* The session: one exchange after the other over two of them joined. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/support/pair.h"

static struct pair *setup(void **state)
{
    return *state;
}

static int begin(void **state)
{
    struct pair *p = calloc(1, sizeof(*p));

    pair_init(p, WINDOW_FIRST);
    pair_bind(p, 1);
    *state = p;
    return 0;
}

static int end(void **state)
{
    pair_deinit(*state);
    free(*state);
    return 0;
}

static struct chunk *chunk_text(const char *text)
{
    return chunk_copy(span_text(text));
}

/* The next event at |to|, which must be |kind|. */
static struct session_event expect(struct pair *p, struct pair_end *from,
                                   struct pair_end *to,
                                   enum session_event_kind kind)
{
    struct session_event event;

    assert_true(pair_next(p, from, to, &event));
    assert_int_equal(event.kind, kind);
    return event;
}

static void expect_bytes(const struct session_event *event, const char *text)
{
    assert_int_equal(event->bytes.len, strlen(text));
    assert_memory_equal(event->bytes.data, text, strlen(text));
}

static uint32_t open_stream(struct pair *p, const char *head, bool fin)
{
    struct frame_open open = pair_open(1);
    uint32_t id = 0;

    assert_int_equal(
        session_open(p->relay.session, &open, span_text(head), fin, &id),
        ERR_OK);
    return id;
}

static void test_an_exchange_goes_both_ways_and_leaves_nothing(void **state)
{
    struct pair *p = setup(state);
    struct session *relay = p->relay.session;
    struct session *client = p->client.session;
    uint32_t id = open_stream(p, "request", false);
    struct session_event event;

    assert_int_equal(id, 2);
    assert_int_equal(session_write_take(relay, id, chunk_text("body")), ERR_OK);
    assert_int_equal(session_write_fin(relay, id), ERR_OK);
    event = expect(p, &p->relay, &p->client, EVENT_OPEN);
    expect_bytes(&event, "request");
    assert_int_equal(event.open.tunnel, 1);
    assert_false(event.fin);
    session_set_owner(client, id, p);
    event = expect(p, &p->relay, &p->client, EVENT_DATA);
    expect_bytes(&event, "body");
    assert_true(event.fin);
    assert_ptr_equal(event.owner, p);
    session_consumed(client, id, 4);

    assert_int_equal(
        session_write_head(client, id, HEAD_FINAL, span_text("answer"), false),
        ERR_OK);
    assert_int_equal(session_write_take(client, id, chunk_text("ok")), ERR_OK);
    assert_int_equal(session_write_fin(client, id), ERR_OK);
    event = expect(p, &p->client, &p->relay, EVENT_HEAD);
    expect_bytes(&event, "answer");
    assert_int_equal(event.head, HEAD_FINAL);
    event = expect(p, &p->client, &p->relay, EVENT_DATA);
    expect_bytes(&event, "ok");
    assert_true(event.fin);
    assert_false(session_has_stream(relay, id));
    assert_false(session_has_stream(client, id));
    session_consumed(relay, id, 2);
    assert_int_equal(p->relay.receive.used, 0);
    assert_int_equal(p->client.receive.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_an_exchange_goes_both_ways_and_leaves_nothing, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
