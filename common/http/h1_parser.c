/*
 * Messages as a sequence of events. Heads and trailers are collected whole
 * into a store of their own, which is given up at the step after they were
 * told; bodies are never copied.
 */
#include "common/http/h1_parser.h"

#include <stdlib.h>

#include "common/http/fields.h"
#include "common/http/h1_agree.h"
#include "common/http/h1_chunks.h"

/* A head's usual size, and what a split one begins with. */
#define STORE_FIRST (2u * KIB)

enum h1_state {
    H1S_HEAD,     /* collecting a head, or before its first byte */
    H1S_PLAIN,    /* |left| bytes of body, then END */
    H1S_CLOSE,    /* body until the connection ends */
    H1S_CHUNKS,   /* in the chunked coding */
    H1S_TRAILERS, /* collecting the trailer section */
    H1S_END,      /* tell the end, then HEAD */
    H1S_RAW,      /* not HTTP any more */
    H1S_BAD       /* refused */
};

/* A head being collected, or told: its bytes and what they say. */
struct h1_store {
    size_t capacity;
    size_t len;
    struct head head;
    uint8_t bytes[];
};

struct h1_parser {
    enum h1_role role;
    enum h1_state state;
    bool is_told;    /* the store's head was told: free it at the next step */
    bool saw_blank;  /* the one CRLF that may stand before a request line */
    unsigned status; /* why it was refused */
    const char *why;
    struct h1_expect expect;
    struct h1_message message;
    struct h1_store *store;
    uint64_t left; /* of a plain body */
    struct h1_chunks chunks;
    struct span body;
};

/* One for each kept-alive connection. */
_Static_assert(sizeof(struct h1_parser) <= 256, "idle parsers stay small");

struct h1_parser *h1_parser_new(enum h1_role role)
{
    struct h1_parser *p = calloc(1, sizeof(*p));

    if (p != NULL) {
        p->role = role;
    }
    return p;
}

void h1_parser_free(struct h1_parser *p)
{
    if (p != NULL) {
        free(p->store);
        free(p);
    }
}

void h1_parser_expect(struct h1_parser *p, const struct h1_expect *e)
{
    p->expect = *e;
}

static enum err h1_parser_refuse(struct h1_parser *p, unsigned status,
                                 const char *why)
{
    p->state = H1S_BAD;
    p->status = status;
    p->why = why;
    return ERR_HEAD;
}

static unsigned h1_parser_bad_status(const struct h1_parser *p)
{
    return p->role == H1_REQUESTS ? 400 : 502;
}

static void h1_parser_drop_store(struct h1_parser *p)
{
    free(p->store);
    p->store = NULL;
    p->is_told = false;
}

/* Append |bytes| to the store, which grows by doubling. */
static enum err h1_parser_keep(struct h1_parser *p, struct span bytes)
{
    struct h1_store *s = p->store;
    size_t need = (s == NULL ? 0 : s->len) + bytes.len;
    size_t capacity = s == NULL ? STORE_FIRST : s->capacity;

    if (s == NULL || need > s->capacity) {
        while (capacity < need) {
            capacity *= 2;
        }
        s = realloc(p->store, sizeof(*s) + capacity);
        if (s == NULL) {
            p->state = H1S_BAD;
            p->status = 503;
            p->why = "out of memory";
            return ERR_NOMEM;
        }
        if (p->store == NULL) {
            memset(s, 0, offsetof(struct h1_store, head.fields));
        }
        s->capacity = capacity;
        p->store = s;
    }
    memcpy(s->bytes + s->len, bytes.data, bytes.len);
    s->len += bytes.len;
    return ERR_OK;
}

static struct span h1_parser_kept(const struct h1_parser *p)
{
    return p->store == NULL ? span_of(NULL, 0)
                            : span_of(p->store->bytes, p->store->len);
}

/* A checked head's meaning, and how its body is read. */
static enum err h1_parser_understand(struct h1_parser *p,
                                     enum head_check_kind kind,
                                     const struct head_check *c)
{
    struct head *h = &p->store->head;
    const char *why = NULL;
    enum err err;

    h1_head_split(h, c);
    switch (h1_agree(h1_parser_kept(p), kind, c, h)) {
    case H1_AGREES:
        break;
    case H1_NO_METHOD:
        return h1_parser_refuse(p, 501, "an unknown method");
    case H1_DIFFERS:
        return h1_parser_refuse(p, h1_parser_bad_status(p),
                                "the head can be read in two ways");
    }
    err = kind == HEAD_CHECK_REQUEST
              ? h1_head_request(h, c, &p->message, &why)
              : h1_head_response(h, c, &p->expect, &p->message, &why);
    if (err != ERR_OK) {
        return h1_parser_refuse(p, h1_parser_bad_status(p), why);
    }

    p->left = p->message.length;
    memset(&p->chunks, 0, sizeof(p->chunks));
    switch (p->message.body) {
    case H1_NO_BODY:
        p->state = h->status == 101                      ? H1S_RAW
                   : h->status >= 100 && h->status < 200 ? H1S_HEAD
                                                         : H1S_END;
        break;
    case H1_PLAIN:
        p->state = H1S_PLAIN;
        break;
    case H1_CHUNKS:
        p->state = H1S_CHUNKS;
        break;
    case H1_UNTIL_CLOSE:
        p->state = H1S_CLOSE;
        break;
    }
    return ERR_OK;
}

/* One CRLF before a request line is tolerated (RFC 9112 section 2.2), also
 * when it comes alone: then nothing has begun. */
static void h1_parser_drop_blank(struct h1_parser *p, struct span *in)
{
    struct span kept = h1_parser_kept(p);
    uint8_t first[2] = { 0, 0 };
    size_t len = kept.len;

    if (p->role != H1_REQUESTS || p->saw_blank || kept.len > 1) {
        return;
    }
    if (kept.len == 1) {
        first[0] = kept.data[0];
    }
    for (size_t i = 0; len < 2 && i < in->len; i++) {
        first[len++] = in->data[i];
    }
    if (len == 2 && first[0] == '\r' && first[1] == '\n') {
        *in = span_after(*in, 2 - kept.len);
        h1_parser_drop_store(p);
        p->saw_blank = true;
    }
}

static enum err h1_parser_collect_head(struct h1_parser *p, struct span in,
                                       size_t *used, enum h1_event *event)
{
    enum head_check_kind kind =
        p->role == H1_REQUESTS ? HEAD_CHECK_REQUEST : HEAD_CHECK_RESPONSE;
    struct span all = in;
    struct head_check check;
    size_t before;
    size_t end;

    h1_parser_drop_blank(p, &in);
    *used = all.len;
    if (in.len == 0) {
        return ERR_OK;
    }
    before = h1_parser_kept(p).len;
    if (in.len > HEAD_MAX - before) {
        in.len = HEAD_MAX - before;
    }
    /* A head that comes whole is kept without what follows it. */
    end = before == 0 ? head_check_end(in, 0) : 0;
    if (end > 0) {
        in.len = end;
    }
    TRY(h1_parser_keep(p, in));

    end = head_check_end(h1_parser_kept(p), before);
    if (end == 0) {
        if (head_check_part(h1_parser_kept(p), before, kind, &check) !=
            ERR_OK) {
            return h1_parser_refuse(p, check.status, check.why);
        }
        return ERR_OK;
    }
    *used = (size_t)(in.data - all.data) + (end - before);
    p->store->len = end;
    if (head_check(h1_parser_kept(p), kind, &check) != ERR_OK) {
        return h1_parser_refuse(p, check.status, check.why);
    }
    p->saw_blank = false;
    p->is_told = true;
    TRY(h1_parser_understand(p, kind, &check));
    *event = H1_HEAD;
    return ERR_OK;
}

/* Where the trailer section ends that begins |s|: "\r\n" or fields and it. */
static size_t h1_parser_trailers_end(struct span s, size_t from)
{
    if (s.len >= 2 && memcmp(s.data, "\r\n", 2) == 0) {
        return 2;
    }
    return head_check_end(s, from);
}

static enum err h1_parser_collect_trailers(struct h1_parser *p, struct span in,
                                           size_t *used, enum h1_event *event)
{
    size_t before = h1_parser_kept(p).len;
    struct head_check check;
    size_t end;

    if (in.len > TRAILERS_MAX - before) {
        in.len = TRAILERS_MAX - before;
    }
    *used = in.len;
    if (in.len == 0) {
        return ERR_OK;
    }
    TRY(h1_parser_keep(p, in));
    end = h1_parser_trailers_end(h1_parser_kept(p), before);
    if (end == 0) {
        if (head_check_part(h1_parser_kept(p), before, HEAD_CHECK_REQUEST,
                            &check) != ERR_OK) {
            return h1_parser_refuse(p, h1_parser_bad_status(p), check.why);
        }
        return p->store->len < TRAILERS_MAX
                   ? ERR_OK
                   : h1_parser_refuse(p, h1_parser_bad_status(p),
                                      "the trailers are too long");
    }
    *used = end - before;
    p->store->len = end;
    p->state = H1S_END;
    if (head_check_trailers(h1_parser_kept(p), &check) != ERR_OK) {
        return h1_parser_refuse(p, h1_parser_bad_status(p), check.why);
    }
    h1_head_split(&p->store->head, &check);
    fields_trailers(&p->store->head);
    if (p->store->head.count == 0) {
        h1_parser_drop_store(p);
        return ERR_OK;
    }
    p->is_told = true;
    *event = H1_TRAILERS;
    return ERR_OK;
}

static enum err h1_parser_chunks(struct h1_parser *p, struct span in,
                                 size_t *used, enum h1_event *event)
{
    const char *why = NULL;

    if (h1_chunks_step(&p->chunks, in, used, &p->body, &why) != ERR_OK) {
        return h1_parser_refuse(p, h1_parser_bad_status(p), why);
    }
    if (p->body.len > 0) {
        *event = H1_BODY;
    } else if (p->chunks.state == CHUNKS_LAST) {
        p->state = H1S_TRAILERS;
    }
    return ERR_OK;
}

static void h1_parser_plain(struct h1_parser *p, struct span in, size_t *used,
                            enum h1_event *event)
{
    uint64_t most = h1_parser_plain_body(p);
    size_t len = most < in.len ? (size_t)most : in.len;

    if (len > 0) {
        p->body = span_of(in.data, len);
        *used = len;
        *event = H1_BODY;
        h1_parser_skip(p, len);
    }
}

/* One turn: may leave |*event| H1_MORE with input unused when only the state
 * has changed. */
static enum err h1_parser_turn(struct h1_parser *p, struct span in,
                               size_t *used, enum h1_event *event)
{
    *used = 0;
    *event = H1_MORE;
    switch (p->state) {
    case H1S_HEAD:
        return h1_parser_collect_head(p, in, used, event);
    case H1S_PLAIN:
    case H1S_CLOSE:
        h1_parser_plain(p, in, used, event);
        return ERR_OK;
    case H1S_CHUNKS:
        return h1_parser_chunks(p, in, used, event);
    case H1S_TRAILERS:
        return h1_parser_collect_trailers(p, in, used, event);
    case H1S_END:
        p->state = H1S_HEAD;
        *event = H1_END;
        return ERR_OK;
    case H1S_RAW:
        *event = H1_RAW;
        return ERR_OK;
    case H1S_BAD:
        break;
    }
    return p->status == 503 ? ERR_NOMEM : ERR_HEAD;
}

enum err h1_parser_step(struct h1_parser *p, struct span in, size_t *used,
                        enum h1_event *event)
{
    size_t turn = 0;

    if (p->is_told) {
        h1_parser_drop_store(p);
    }
    *used = 0;
    do {
        enum h1_state before = p->state;

        TRY(h1_parser_turn(p, span_after(in, *used), &turn, event));
        *used += turn;
        if (*event == H1_MORE && turn == 0 && p->state == before) {
            break;
        }
    } while (*event == H1_MORE);
    return ERR_OK;
}

enum err h1_parser_eof(struct h1_parser *p, enum h1_event *event)
{
    *event = H1_MORE;
    if (p->state == H1S_CLOSE) {
        p->state = H1S_END;
    }
    if (p->state == H1S_END) {
        p->state = H1S_HEAD;
        *event = H1_END;
        return ERR_OK;
    }
    if (p->state == H1S_RAW || h1_parser_is_idle(p)) {
        return ERR_OK;
    }
    if (p->state == H1S_BAD) {
        return ERR_HEAD;
    }
    return h1_parser_refuse(p, h1_parser_bad_status(p),
                            "the connection ended inside a message");
}

struct head *h1_parser_head(struct h1_parser *p)
{
    assert(p->is_told);
    return &p->store->head;
}

void h1_parser_drop_head(struct h1_parser *p)
{
    if (p->is_told) {
        h1_parser_drop_store(p);
    }
}

struct span h1_parser_body(const struct h1_parser *p)
{
    return p->body;
}

enum h1_role h1_parser_role(const struct h1_parser *p)
{
    return p->role;
}

unsigned h1_parser_version(const struct h1_parser *p)
{
    return p->message.version;
}

bool h1_parser_keeps_alive(const struct h1_parser *p)
{
    return p->message.keeps_alive;
}

bool h1_parser_expects_continue(const struct h1_parser *p)
{
    return p->message.expects_continue;
}

bool h1_parser_has_body(const struct h1_parser *p)
{
    return p->message.body != H1_NO_BODY;
}

bool h1_parser_is_idle(const struct h1_parser *p)
{
    return p->state == H1S_HEAD && (p->store == NULL || p->is_told);
}

uint64_t h1_parser_plain_body(const struct h1_parser *p)
{
    if (p->state == H1S_CLOSE) {
        return UINT64_MAX;
    }
    return p->state == H1S_PLAIN ? p->left : 0;
}

void h1_parser_skip(struct h1_parser *p, uint64_t len)
{
    assert(len <= h1_parser_plain_body(p));
    if (p->state == H1S_PLAIN) {
        p->left -= len;
        if (p->left == 0) {
            p->state = H1S_END;
        }
    }
}

const char *h1_parser_why(const struct h1_parser *p)
{
    return p->why;
}

unsigned h1_parser_status(const struct h1_parser *p)
{
    return p->status;
}
