/* What each received frame may do, and what a hostile peer may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/receive.h"
#include "proto/session_state.h"
#include "tests/support/bytes.h"
#include "tests/support/pair.h"

#define WHOLE FRAME_END_HEAD
#define KIND(kind) ((uint8_t)((unsigned)(kind) << FRAME_HEAD_KIND_SHIFT))

/* A pair with tunnel 1 and stream 2 open at both ends. */
static int begin(void **state)
{
    static struct pair p;
    struct frame_open open = pair_open(1);
    struct session_event event;
    uint32_t id;

    pair_init(&p, WINDOW_FIRST);
    pair_bind(&p, 1);
    assert_int_equal(
        session_open(p.relay.session, 0, &open, span_text("get"), false, &id),
        ERR_OK);
    assert_true(pair_next(&p, &p.relay, &p.client, &event));
    *state = &p;
    return 0;
}

static int end(void **state)
{
    pair_deinit(*state);
    return 0;
}

static struct session_event feed(struct session *s, struct span bytes)
{
    struct session_event event;

    assert_int_equal(bytes_feed(s, bytes, SIZE_MAX, &event), ERR_OK);
    return event;
}

static void refuse(struct session *s, struct span bytes, enum err error)
{
    struct session_event event;
    struct span ping = bytes;

    assert_int_equal(bytes_feed(s, bytes, SIZE_MAX, &event), error);
    assert_non_null(session_why(s));
    /* It is dead now, and says so for ever. */
    assert_int_equal(bytes_feed(s, ping, SIZE_MAX, &event), error);
    assert_false(session_has_output(s, 0));
    assert_int_equal(session_output(s, 0, 3000).len, 0);
    assert_int_equal(session_deadline(s, 0), 0);
    assert_int_equal(session_tick(s, 0, 3000), error);
}

static void test_data_past_the_window_is_refused(void **state)
{
    struct pair *p = *state;
    static const uint8_t bytes[FRAME_PAYLOAD_MAX];
    size_t left = WINDOW_FIRST - 3;

    while (left >= sizeof(bytes)) {
        (void)feed(
            p->client.session,
            bytes_frame(2, FRAME_DATA, 0, span_of(bytes, sizeof(bytes))));
        left -= sizeof(bytes);
    }
    refuse(p->client.session,
           bytes_frame(2, FRAME_DATA, 0, span_of(bytes, left + 1)), ERR_FLOW);
}

static void test_a_frame_for_a_stream_never_opened_is_refused(void **state)
{
    struct pair *p = *state;

    refuse(p->client.session, bytes_number(4, FRAME_RESET, 6, 2), ERR_PROTOCOL);
    refuse(p->relay.session, bytes_number(4, FRAME_WINDOW, 6, 4), ERR_PROTOCOL);
}

static void test_a_frame_for_a_stream_that_is_over_is_dropped(void **state)
{
    struct pair *p = *state;
    struct session_event event;
    struct session_stats stats;

    session_reset(p->client.session, 2, ERR_CANCEL);
    event = feed(p->client.session,
                 bytes_frame(2, FRAME_DATA, 0, span_text("late")));
    assert_int_equal(event.kind, EVENT_NONE);
    (void)feed(p->client.session, bytes_number(2, FRAME_WINDOW, 5, 4));
    (void)feed(p->client.session, bytes_number(2, FRAME_RESET, 5, 2));
    session_stats(p->client.session, &stats);
    assert_int_equal(stats.dropped_frames, 3);
    /* But it counts for the position: OPEN 8+19+3, DATA, WINDOW, RESET. */
    assert_int_equal(stats.received_position, 30 + 12 + 12 + 10);
    assert_int_equal(p->client.receive.used, 0);
}

/* BIND for tunnel |id| without a name, as its client sends it. */
static struct span bind_frame(uint16_t id)
{
    static uint8_t payload[3 + TARGET_TAG_LEN];

    payload[0] = (uint8_t)(id >> 8);
    payload[1] = (uint8_t)id;
    return bytes_frame(0, FRAME_BIND, 0, span_of(payload, sizeof(payload)));
}

static void test_a_tunnel_id_in_use_is_not_bound_again(void **state)
{
    struct pair *p = *state;
    struct session *relay = p->relay.session;
    struct frame_verdict no = { .tunnel = 7, .code = ERR_NAME_TAKEN };

    assert_int_equal(feed(relay, bind_frame(7)).kind, EVENT_BIND);
    assert_int_equal(session_refuse(relay, &no), ERR_OK);
    assert_int_equal(feed(relay, bind_frame(7)).kind, EVENT_BIND);
    assert_int_equal(feed(relay, bytes_number(0, FRAME_UNBIND, 7, 2)).kind,
                     EVENT_UNBIND);
    assert_int_equal(feed(relay, bind_frame(7)).kind, EVENT_BIND);
    refuse(relay, bind_frame(7), ERR_PROTOCOL);
}

static void test_binds_past_the_limit_are_the_owners_to_refuse(void **state)
{
    struct pair *p = *state;

    for (unsigned id = 100; id < 100 + 2 * TUNNELS_MAX; id++) {
        assert_int_equal(feed(p->relay.session, bind_frame((uint16_t)id)).kind,
                         EVENT_BIND);
    }
}

static void test_an_open_with_an_old_id_is_refused(void **state)
{
    struct pair *p = *state;

    refuse(p->client.session, bytes_open(2, WHOLE, 1, 1000, span_text("again")),
           ERR_PROTOCOL);
}

static void test_an_open_for_an_unbound_tunnel_is_reset(void **state)
{
    struct pair *p = *state;
    struct session_event event;
    struct frame_open open = pair_open(9);
    uint32_t id;

    assert_int_equal(
        session_open(p->relay.session, 0, &open, span_text("x"), false, &id),
        ERR_OK);
    assert_false(pair_next(p, &p->relay, &p->client, &event));
    assert_true(pair_next(p, &p->client, &p->relay, &event));
    assert_int_equal(event.kind, EVENT_RESET);
    assert_int_equal(event.stream, id);
    assert_int_equal(event.code, ERR_REFUSED);
}

static void test_an_open_past_the_stream_limit_is_reset(void **state)
{
    struct pair *p = *state;
    struct session_event event;

    p->client.session->own.streams_max = 2;
    event = feed(p->client.session,
                 bytes_open(4, WHOLE, 1, 1000, span_text("two")));
    assert_int_equal(event.kind, EVENT_OPEN);
    event = feed(p->client.session,
                 bytes_open(6, WHOLE, 1, 1000, span_text("three")));
    assert_int_equal(event.kind, EVENT_NONE);
    assert_true(session_has_output(p->client.session, 0));
    assert_false(session_has_stream(p->client.session, 6));
}

static void test_head_frames_out_of_turn_are_refused(void **state)
{
    static const uint8_t flags[] = {
        KIND(HEAD_REQUEST) | WHOLE, /* it was whole already */
    };
    static const uint8_t back[] = {
        KIND(HEAD_TRAILERS) | WHOLE, /* before the final head */
    };
    struct pair *p = *state;

    refuse(p->client.session,
           bytes_frame(2, FRAME_HEAD, flags[0], span_text("more")),
           ERR_PROTOCOL);
    refuse(p->relay.session,
           bytes_frame(2, FRAME_HEAD, back[0], span_text("x: y")),
           ERR_PROTOCOL);
}

static void test_two_final_heads_are_refused(void **state)
{
    struct pair *p = *state;
    uint8_t flags = KIND(HEAD_FINAL) | WHOLE;
    struct session_event event = feed(
        p->relay.session, bytes_frame(2, FRAME_HEAD, flags, span_text("200")));

    assert_int_equal(event.kind, EVENT_HEAD);
    assert_int_equal(event.head, HEAD_FINAL);
    refuse(p->relay.session,
           bytes_frame(2, FRAME_HEAD, flags, span_text("200")), ERR_PROTOCOL);
}

static void test_data_before_the_final_head_is_refused(void **state)
{
    struct pair *p = *state;

    refuse(p->relay.session, bytes_frame(2, FRAME_DATA, 0, span_text("early")),
           ERR_PROTOCOL);
}

static void test_data_inside_a_head_is_refused(void **state)
{
    struct pair *p = *state;
    struct session_event event =
        feed(p->relay.session,
             bytes_frame(2, FRAME_HEAD, KIND(HEAD_FINAL), span_text("begin")));

    assert_int_equal(event.kind, EVENT_NONE);
    refuse(p->relay.session, bytes_frame(2, FRAME_DATA, 0, span_text("x")),
           ERR_PROTOCOL);
}

static void test_a_head_inside_another_is_refused(void **state)
{
    struct pair *p = *state;

    (void)feed(p->relay.session, bytes_frame(2, FRAME_HEAD, KIND(HEAD_FINAL),
                                             span_text("begin")));
    refuse(p->relay.session,
           bytes_frame(2, FRAME_HEAD, KIND(HEAD_INFORMATIONAL) | WHOLE,
                       span_text("103")),
           ERR_PROTOCOL);
}

static void test_data_after_the_trailers_is_refused(void **state)
{
    struct pair *p = *state;

    (void)feed(p->client.session,
               bytes_frame(2, FRAME_HEAD, KIND(HEAD_TRAILERS) | WHOLE,
                           span_text("x: y")));
    refuse(p->client.session, bytes_frame(2, FRAME_DATA, 0, span_text("x")),
           ERR_PROTOCOL);
}

static void test_a_frame_after_fin_is_refused(void **state)
{
    struct pair *p = *state;
    struct session_event event =
        feed(p->client.session,
             bytes_frame(2, FRAME_DATA, FRAME_FIN, span_text("last")));

    assert_true(event.fin);
    refuse(p->client.session,
           bytes_frame(2, FRAME_DATA, FRAME_FIN, span_of(NULL, 0)),
           ERR_PROTOCOL);
}

static void test_a_head_longer_than_any_is_refused(void **state)
{
    struct pair *p = *state;
    static const uint8_t bytes[FRAME_PAYLOAD_MAX];
    uint8_t kind = KIND(HEAD_FINAL);

    for (unsigned i = 0; i < 4; i++) {
        (void)feed(
            p->relay.session,
            bytes_frame(2, FRAME_HEAD, kind, span_of(bytes, sizeof(bytes))));
    }
    refuse(p->relay.session,
           bytes_frame(2, FRAME_HEAD, kind, span_of(bytes, 33)), ERR_PROTOCOL);
}

static void test_a_head_in_pieces_is_one_event(void **state)
{
    struct pair *p = *state;
    struct session_event event;

    (void)feed(p->relay.session,
               bytes_frame(2, FRAME_HEAD, KIND(HEAD_FINAL), span_text("200 ")));
    event =
        feed(p->relay.session,
             bytes_frame(2, FRAME_HEAD, KIND(HEAD_FINAL) | WHOLE | FRAME_FIN,
                         span_text("fine")));
    assert_int_equal(event.kind, EVENT_HEAD);
    assert_true(event.fin);
    assert_true(span_equal(event.bytes, span_text("200 fine")));
    assert_int_equal(p->relay.receive.used, 0);
}

static void test_a_window_past_the_largest_is_refused(void **state)
{
    struct pair *p = *state;

    refuse(p->client.session, bytes_number(2, FRAME_WINDOW, WINDOW_MAX, 4),
           ERR_FLOW);
    refuse(p->relay.session, bytes_number(2, FRAME_WINDOW, 0, 4), ERR_PROTOCOL);
}

static void test_an_ack_of_what_was_not_sent_is_refused(void **state)
{
    struct pair *p = *state;

    refuse(p->relay.session, bytes_number(0, FRAME_ACK, 31, 8), ERR_PROTOCOL);
    refuse(p->client.session, bytes_number(0, FRAME_ACK, 1, 8), ERR_PROTOCOL);
}

static void test_a_malformed_open_is_refused(void **state)
{
    struct pair *p = *state;
    uint8_t bytes[64];
    struct span open = bytes_open(4, WHOLE, 1, 1000, span_text("x"));

    memcpy(bytes, open.data, open.len);
    bytes[FRAME_HEADER_LEN + 6] = 9; /* no such kind of stream */
    refuse(p->client.session, span_of(bytes, open.len), ERR_PROTOCOL);
}

static void test_a_coming_key_is_told(void **state)
{
    struct pair *p = *state;
    static const uint8_t both[KEY_LEN + SIGNATURE_LEN] = { 7 };
    struct session_event event =
        feed(p->client.session,
             bytes_frame(0, FRAME_NEXT_KEY, 0, span_of(both, sizeof(both))));

    assert_int_equal(event.kind, EVENT_NEXT_KEY);
    assert_int_equal(event.bytes.len, sizeof(both));
    assert_int_equal(event.bytes.data[0], 7);
}

static void test_a_dead_session_takes_nothing_more(void **state)
{
    struct pair *p = *state;
    struct session *s = p->relay.session;
    struct frame_open open = pair_open(1);
    struct chunk *c = chunk_copy(span_text("x"));
    uint32_t id;

    refuse(s, bytes_number(4, FRAME_WINDOW, 6, 4), ERR_PROTOCOL);
    assert_int_equal(session_open(s, 0, &open, span_text("x"), false, &id),
                     ERR_PROTOCOL);
    assert_int_equal(session_write_take(s, 2, c), ERR_PROTOCOL);
    assert_int_equal(session_write_fin(s, 2), ERR_PROTOCOL);
    assert_int_equal(
        session_write_head(s, 2, HEAD_TRAILERS, span_text("x"), true),
        ERR_PROTOCOL);
    assert_int_equal(session_bound(s, 1, span_text("https://x")), ERR_PROTOCOL);
    assert_int_equal(session_goaway(s, ERR_SHUTDOWN, span_text("bye")),
                     ERR_PROTOCOL);
    assert_int_equal(session_room(s, 2), 0);
    session_reset(s, 2, ERR_CANCEL);
}

static void test_an_optional_frame_is_skipped_and_counted(void **state)
{
    struct pair *p = *state;
    struct session_stats before;
    struct session_stats after;

    session_stats(p->client.session, &before);
    (void)feed(p->client.session,
               bytes_frame(0, 0xf7, 0xff, span_text("of a later version")));
    session_stats(p->client.session, &after);
    assert_int_equal(after.optional_frames, 1);
    assert_int_equal(after.received_position, before.received_position + 26);
}

static void test_frames_of_the_other_side_are_refused(void **state)
{
    struct pair *p = *state;

    refuse(p->relay.session,
           bytes_open(4, WHOLE, 1, 1000, span_text("from the client")),
           ERR_PROTOCOL);
    refuse(p->client.session, bytes_frame(2, FRAME_STOP, 0, span_of(NULL, 0)),
           ERR_PROTOCOL);
}

static void test_a_verdict_for_a_tunnel_given_up_is_dropped(void **state)
{
    struct pair *p = *state;
    struct frame_verdict v = { .tunnel = 1,
                               .code = ERR_NAME_TAKEN,
                               .sentence = span_text("no") };
    struct session_event event;

    assert_int_equal(session_refuse(p->relay.session, &v), ERR_OK);
    assert_int_equal(session_bound(p->relay.session, 1, span_text("https://x")),
                     ERR_OK);
    assert_int_equal(session_unbind(p->client.session, 1), ERR_OK);
    assert_int_equal(session_unbind(p->client.session, 1), ERR_ABSENT);
    assert_false(pair_next(p, &p->relay, &p->client, &event));
    assert_true(pair_next(p, &p->client, &p->relay, &event));
    assert_int_equal(event.kind, EVENT_UNBIND);
    assert_int_equal(event.tunnel, 1);
}

/* Feed |bytes|, one frame, on link |slot|. */
static enum err feed_on(struct session *s, unsigned slot, struct span bytes)
{
    struct session_event event;
    size_t used;

    return session_step(s, slot, 2000, bytes, &used, &event);
}

static void test_a_stream_is_heard_on_its_own_link_only(void **state)
{
    struct pair *p = *state;
    struct session *s = p->client.session;

    session_link_up(s, 1, 2000);
    assert_int_equal(
        feed_on(s, 1, bytes_open(4, WHOLE, 1, WINDOW_FIRST, span_text("get"))),
        ERR_OK);
    assert_int_equal(
        feed_on(s, 1, bytes_frame(4, FRAME_DATA, 0, span_text("own"))), ERR_OK);
    assert_int_equal(
        feed_on(s, 1, bytes_frame(2, FRAME_DATA, 0, span_text("other's"))),
        ERR_PROTOCOL);
    assert_string_equal(session_why(s),
                        "a frame on a link that is not its stream's");
}

/* frame_check() refuses them before; whoever calls is refused here as well. */
static void test_a_login_inside_a_session_is_refused(void **state)
{
    struct pair *p = *state;
    static const uint8_t types[] = { FRAME_LOGIN, FRAME_WELCOME, FRAME_DENIED };
    struct session *s = p->client.session;

    for (size_t i = 0; i < sizeof(types); i++) {
        struct assembly_frame frame = { .header = { .type = types[i] },
                                        .is_whole = true };
        struct session_event event = { .kind = EVENT_NONE };
        uint64_t received = s->slots[0].received;

        assert_int_equal(receive_frame(s, &s->slots[0], &frame, &event),
                         ERR_PROTOCOL);
        assert_int_equal(event.kind, EVENT_NONE);
        assert_int_equal(s->slots[0].received, received);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_data_past_the_window_is_refused),
        CASE(test_a_frame_for_a_stream_never_opened_is_refused),
        CASE(test_a_frame_for_a_stream_that_is_over_is_dropped),
        CASE(test_a_tunnel_id_in_use_is_not_bound_again),
        CASE(test_binds_past_the_limit_are_the_owners_to_refuse),
        CASE(test_an_open_with_an_old_id_is_refused),
        CASE(test_an_open_for_an_unbound_tunnel_is_reset),
        CASE(test_an_open_past_the_stream_limit_is_reset),
        CASE(test_head_frames_out_of_turn_are_refused),
        CASE(test_two_final_heads_are_refused),
        CASE(test_data_before_the_final_head_is_refused),
        CASE(test_data_inside_a_head_is_refused),
        CASE(test_a_head_inside_another_is_refused),
        CASE(test_data_after_the_trailers_is_refused),
        CASE(test_a_frame_after_fin_is_refused),
        CASE(test_a_head_longer_than_any_is_refused),
        CASE(test_a_head_in_pieces_is_one_event),
        CASE(test_a_window_past_the_largest_is_refused),
        CASE(test_an_ack_of_what_was_not_sent_is_refused),
        CASE(test_a_malformed_open_is_refused),
        CASE(test_a_coming_key_is_told),
        CASE(test_a_dead_session_takes_nothing_more),
        CASE(test_an_optional_frame_is_skipped_and_counted),
        CASE(test_frames_of_the_other_side_are_refused),
        CASE(test_a_verdict_for_a_tunnel_given_up_is_dropped),
        CASE(test_a_stream_is_heard_on_its_own_link_only),
        CASE(test_a_login_inside_a_session_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
