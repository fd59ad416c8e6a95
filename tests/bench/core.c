/*
 * A fixed amount of work for the core, in memory: two sessions joined without
 * sockets, TLS or clock. Run by callgrind for two numbers of turns, so that
 * the difference is what one turn costs; it prints nothing worth reading.
 *
 *   bench_core exchange|megabyte TURNS     bench_core compiler
 *
 * exchange: a request without body, answered with 1 KiB; megabyte: one whose
 * answer is 1 MiB, in full frames, as its window allows.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/head.h"
#include "tests/support/pair.h"

#define TUNNEL 1u
#define EXCHANGE_US 400u
#define PUMP_US 20u

struct work {
    struct pair pair;
    uint64_t body_len; /* of every answer */
    uint64_t to_write; /* of the present one */
    uint64_t to_read;
    uint32_t stream;
    bool is_answered;
    bool is_over;
};

static const char *const request_fields[][2] = {
    { "user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko" },
    { "accept", "text/html,application/xhtml+xml,*/*;q=0.8" },
    { "accept-language", "en-US,en;q=0.5" },
    { "accept-encoding", "gzip, deflate, br" },
    { "referer", "https://demo.tunnel.test/chat" },
    { "cookie", "session=0123456789abcdef0123456789abcdef; theme=dark" },
    { "x-forwarded-for", "198.51.100.7" },
    { "x-forwarded-proto", "https" },
};

static const char *const answer_fields[][2] = {
    { "date", "Sat, 21 Nov 2026 14:00:00 GMT" },
    { "server", "uvicorn" },
    { "content-type", "application/json; charset=utf-8" },
    { "cache-control", "no-store" },
    { "vary", "Accept-Encoding" },
};

static void fill(struct head *h, const char *const (*fields)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum err error =
            head_add(h, span_text(fields[i][0]), span_text(fields[i][1]));

        assert(error == ERR_OK);
    }
}

static struct span encode(const struct head *h)
{
    static uint8_t block[HEAD_MAX];
    struct wire_writer w;

    wire_writer_init(&w, block, sizeof(block));
    head_encode(&w, h);
    assert(wire_writer_done(&w));
    return wire_written(&w);
}

static void decode(struct span block)
{
    static struct head h;
    const char *why;
    enum err error = head_decode(block, &h, &why);

    assert(error == ERR_OK);
}

static void ask(struct work *w)
{
    static struct head h;
    struct frame_open open = pair_open(TUNNEL);
    enum err error;

    h = (struct head){ .method = span_text("GET"),
                       .target = span_text("/api/chats/42?page=3"),
                       .authority = span_text("demo.tunnel.test") };
    fill(&h, request_fields, sizeof(request_fields) / sizeof(*request_fields));
    error = session_open(w->pair.relay.session, 0, &open, encode(&h), true,
                         &w->stream);
    assert(error == ERR_OK);
    session_set_owner(w->pair.relay.session, w->stream, w);
}

static void answer(struct work *w)
{
    static struct head h;
    enum err error;

    h = (struct head){ .status = 200,
                       .framing = BODY_LENGTH,
                       .body_len = w->body_len };
    fill(&h, answer_fields, sizeof(answer_fields) / sizeof(*answer_fields));
    session_set_owner(w->pair.client.session, w->stream, w);
    error = session_write_head(w->pair.client.session, w->stream, HEAD_FINAL,
                               encode(&h), false);
    assert(error == ERR_OK);
    w->to_write = w->body_len;
}

/* As much of the answer's body as there is room for. */
static void write_body(struct work *w)
{
    struct session *s = w->pair.client.session;

    while (w->to_write > 0 && session_room(s, w->stream) > 0) {
        size_t len = w->to_write < FRAME_PAYLOAD_MAX ? (size_t)w->to_write
                                                     : FRAME_PAYLOAD_MAX;
        struct chunk *c = chunk_new(FRAME_PAYLOAD_MAX);
        enum err error;

        assert(c != NULL);
        chunk_grow(c, len);
        error = session_write_take(s, w->stream, c);
        assert(error == ERR_OK);
        w->to_write -= len;
        if (w->to_write == 0) {
            error = session_write_fin(s, w->stream);
            assert(error == ERR_OK);
        }
    }
}

static void on_event(struct work *w, const struct session_event *e)
{
    if (e->kind == EVENT_OPEN) {
        decode(e->bytes);
        answer(w);
    } else if (e->kind == EVENT_HEAD) {
        decode(e->bytes);
        w->is_answered = true;
    } else if (e->kind == EVENT_DATA) {
        assert(w->is_answered && e->bytes.len <= w->to_read);
        w->to_read -= e->bytes.len;
        w->is_over = e->fin;
        session_consumed(w->pair.relay.session, e->stream, e->bytes.len);
    } else {
        assert(e->kind == EVENT_NONE);
    }
}

static void tick(struct work *w, struct pair_end *end)
{
    if (session_deadline(end->session, 0) <= w->pair.now_us) {
        enum err error = session_tick(end->session, 0, w->pair.now_us);

        assert(error == ERR_OK);
    }
}

/* Everything one way, with what comes of it. */
static void carry(struct work *w, struct pair_end *from, struct pair_end *to)
{
    struct session_event event;
    uint32_t stream;

    while (pair_next(&w->pair, from, to, &event)) {
        on_event(w, &event);
    }
    while (session_pop_writable(to->session, &stream) != NULL) {
    }
}

static void turn(struct work *w)
{
    w->is_answered = false;
    w->is_over = false;
    w->to_read = w->body_len;
    w->to_write = 0;
    w->pair.now_us += EXCHANGE_US;
    ask(w);
    while (!w->is_over) {
        w->pair.now_us += PUMP_US;
        tick(w, &w->pair.relay);
        tick(w, &w->pair.client);
        carry(w, &w->pair.relay, &w->pair.client);
        write_body(w);
        carry(w, &w->pair.client, &w->pair.relay);
    }
    assert(w->to_read == 0);
}

int main(int argc, char **argv)
{
    static struct work work;
    unsigned long turns = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (argc == 2 && strcmp(argv[1], "compiler") == 0) {
#ifdef __clang__
        printf("clang %s\n", __clang_version__);
#else
        printf("gcc %s\n", __VERSION__);
#endif
        return 0;
    }
    if (turns == 0) {
        fprintf(stderr, "usage: bench_core exchange|megabyte TURNS\n");
        return 2;
    }
    pair_init(&work.pair, WINDOW_FIRST);
    pair_bind(&work.pair, TUNNEL);
    work.body_len = strcmp(argv[1], "megabyte") == 0 ? MIB : KIB;
    while (turns-- > 0) {
        turn(&work);
    }
    pair_settle(&work.pair);
    pair_deinit(&work.pair);
    return 0;
}
