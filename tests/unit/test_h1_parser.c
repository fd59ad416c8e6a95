/*
 * The parser against tests/vectors: each case whole, byte by byte and cut in
 * two at every place must give the same events; and what the vectors cannot
 * say: plain bodies that bypass the parser, what is held while idle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/http/h1_parser.h"

#define TEXT_MAX (512u * KIB)

/* Text that grows by appending. */
struct text {
    size_t len;
    char *data;
};

struct vector {
    char name[128];
    struct text in;
    struct text out;
    struct h1_expect expect;
    bool closes;
};

static void text_add(struct text *t, const char *bytes, size_t len)
{
    assert_true(t->len + len < TEXT_MAX);
    if (t->data == NULL) {
        t->data = calloc(1, TEXT_MAX);
        assert_non_null(t->data);
    }
    memcpy(t->data + t->len, bytes, len);
    t->len += len;
    t->data[t->len] = '\0';
}

static void text_add_text(struct text *t, const char *text)
{
    text_add(t, text, strlen(text));
}

static void text_clear(struct text *t)
{
    t->len = 0;
    if (t->data != NULL) {
        t->data[0] = '\0';
    }
}

/* |text| with its escapes read. */
static void text_add_escaped(struct text *t, const char *text)
{
    static const char letters[] = "rnt0\\";
    static const char bytes[] = "\r\n\t\0\\";

    for (; *text != '\0'; text++) {
        const char *letter;

        if (*text != '\\') {
            text_add(t, text, 1);
            continue;
        }
        text++;
        letter = strchr(letters, *text);
        if (*text == 'x') {
            char digits[3] = { text[1], text[1] == '\0' ? '\0' : text[2] };
            char *end;
            char byte = (char)strtoul(digits, &end, 16);

            assert_true(end == digits + 2);
            text_add(t, &byte, 1);
            text += 2;
        } else {
            assert_non_null(letter);
            text_add(t, bytes + (letter - letters), 1);
        }
    }
}

/* |bytes| with escapes for what is not printable. */
static void text_add_escaping(struct text *t, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char escaped[8];
        uint8_t c = bytes.data[i];

        if (c == '\r' || c == '\n') {
            text_add_text(t, c == '\r' ? "\\r" : "\\n");
        } else if (c < ' ' || c >= 0x7f) {
            (void)snprintf(escaped, sizeof(escaped), "\\x%02x", c);
            text_add_text(t, escaped);
        } else {
            text_add(t, (const char *)&c, 1);
        }
    }
}

static void write_fields(struct text *t, const struct head *h)
{
    for (size_t i = 0; i < h->count; i++) {
        text_add_text(t, "field ");
        text_add_escaping(t, h->fields[i].name);
        text_add_text(t, h->fields[i].value.len > 0 ? ": " : ":");
        text_add_escaping(t, h->fields[i].value);
        text_add_text(t, "\n");
    }
}

static void write_head(struct text *t, struct h1_parser *p)
{
    const struct head *h = h1_parser_head(p);
    char number[64];

    text_add_text(t, "head ");
    if (h->status != 0) {
        (void)snprintf(number, sizeof(number), "%u", h->status);
        text_add_text(t, number);
    } else {
        text_add_escaping(t, h->method);
        text_add_text(t, " ");
        text_add_escaping(t, h->target);
        text_add_text(t, " host=");
        text_add_escaping(t, h->authority);
    }
    (void)snprintf(number, sizeof(number), " length=%llu",
                   (unsigned long long)h->body_len);
    text_add_text(t, h->framing == BODY_NONE      ? " none"
                     : h->framing == BODY_UNKNOWN ? " unknown"
                                                  : number);
    text_add_text(t, h1_parser_version(p) == 11 ? " 1.1" : " 1.0");
    text_add_text(t, h1_parser_keeps_alive(p) ? " keep" : "");
    text_add_text(t, h->is_upgrade ? " upgrade" : "");
    text_add_text(t, h1_parser_expects_continue(p) ? " continue" : "");
    text_add_text(t, "\n");
    write_fields(t, h);
}

/* What is being written down, and whether a body line is open. */
struct notes {
    struct text text;
    bool in_body;
};

static void note(struct notes *n, struct h1_parser *p, enum h1_event event)
{
    if (event == H1_BODY) {
        text_add_text(&n->text, n->in_body ? "" : "body ");
        text_add_escaping(&n->text, h1_parser_body(p));
        n->in_body = true;
        return;
    }
    if (event == H1_MORE) {
        return;
    }
    text_add_text(&n->text, n->in_body ? "\n" : "");
    n->in_body = false;
    if (event == H1_HEAD) {
        write_head(&n->text, p);
    } else if (event == H1_TRAILERS) {
        text_add_text(&n->text, "trailers\n");
        write_fields(&n->text, h1_parser_head(p));
    } else {
        text_add_text(&n->text, event == H1_END ? "end\n" : "raw\n");
    }
}

static void note_refused(struct notes *n, const struct h1_parser *p)
{
    char line[256];

    (void)snprintf(line, sizeof(line), "%srefused %u %s\n",
                   n->in_body ? "\n" : "", h1_parser_status(p),
                   h1_parser_why(p));
    text_add_text(&n->text, line);
}

/* Feed one piece, in memory of exactly its size; false when it is over. */
static bool feed(struct notes *n, struct h1_parser *p, const char *bytes,
                 size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    struct span in = span_of(copy, len);
    bool goes_on = true;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    for (;;) {
        enum h1_event event;
        size_t used;

        if (h1_parser_step(p, in, &used, &event) != ERR_OK) {
            note_refused(n, p);
            goes_on = false;
            break;
        }
        in = span_after(in, used);
        note(n, p, event);
        if (event == H1_MORE || event == H1_RAW) {
            assert_true(event == H1_RAW || in.len == 0);
            goes_on = event == H1_MORE;
            break;
        }
    }
    free(copy);
    return goes_on;
}

/* Run |v| cut at |cut| (0: not), or byte by byte; compare the events. */
static void run_pieces(const struct vector *v, enum h1_role role, size_t first,
                       size_t each)
{
    static struct notes n;
    struct h1_parser *p = h1_parser_new(role);
    bool goes_on = true;
    enum h1_event event;

    assert_non_null(p);
    h1_parser_expect(p, &v->expect);
    text_clear(&n.text);
    text_add_text(&n.text, "");
    n.in_body = false;
    for (size_t at = 0; goes_on && at < v->in.len;) {
        size_t len = at == 0 && first > 0 ? first : each;

        len = len < v->in.len - at ? len : v->in.len - at;
        goes_on = feed(&n, p, v->in.data + at, len);
        at += len;
    }
    if (goes_on && v->closes) {
        if (h1_parser_eof(p, &event) == ERR_OK) {
            note(&n, p, event);
        } else {
            note_refused(&n, p);
        }
    }
    h1_parser_free(p);
    if (strcmp(n.text.data, v->out.data) != 0) {
        fail_msg("%s (first %zu, then %zu):\n%s--- wanted:\n%s", v->name, first,
                 each, n.text.data, v->out.data);
    }
}

static void run_vector(const struct vector *v, enum h1_role role)
{
    size_t cuts = v->in.len < 2000 ? v->in.len : 300;

    run_pieces(v, role, 0, v->in.len + 1);
    run_pieces(v, role, 0, 1);
    run_pieces(v, role, 0, 7);
    for (size_t cut = 1; cut < cuts; cut++) {
        run_pieces(v, role, cut, v->in.len);
    }
}

static void read_line(struct vector *v, char *line)
{
    if (strncmp(line, "times ", 6) == 0) {
        char *text;
        unsigned long count = strtoul(line + 6, &text, 10);

        assert_int_equal(*text, ' ');
        while (count-- > 0) {
            text_add_escaped(&v->in, text + 1);
        }
    } else if (strncmp(line, "case ", 5) == 0) {
        text_clear(&v->in);
        text_clear(&v->out);
        v->expect = (struct h1_expect){ false, false };
        v->closes = false;
        (void)snprintf(v->name, sizeof(v->name), "%s", line + 5);
    } else if (strncmp(line, "in ", 3) == 0) {
        text_add_escaped(&v->in, line + 3);
    } else if (strncmp(line, "out ", 4) == 0) {
        text_add_text(&v->out, line + 4);
        text_add_text(&v->out, "\n");
    } else if (strcmp(line, "close") == 0) {
        v->closes = true;
    } else if (strncmp(line, "expect ", 7) == 0) {
        v->expect.is_head = strcmp(line + 7, "head") == 0;
        v->expect.is_upgrade = strcmp(line + 7, "upgrade") == 0;
    } else {
        fail_msg("a line that is none: %s", line);
    }
}

/* Run every case of |path|; at least |least| there must be. */
static void run_file(const char *path, enum h1_role role, unsigned least)
{
    static struct vector v;
    char line[4096];
    unsigned count = 0;
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    v.name[0] = '\0';
    for (;;) {
        bool is_end = fgets(line, sizeof(line), f) == NULL;

        line[is_end ? 0 : strcspn(line, "\n")] = '\0';
        if ((is_end || strncmp(line, "case ", 5) == 0) && v.name[0] != '\0') {
            run_vector(&v, role);
            count++;
        }
        if (is_end) {
            break;
        }
        if (line[0] != '\0' && line[0] != '#') {
            read_line(&v, line);
        }
    }
    (void)fclose(f);
    assert_true(count >= least);
}

static void test_requests_are_read_or_refused_as_written(void **state)
{
    (void)state;
    run_file(TESTS_DIR "/vectors/requests.txt", H1_REQUESTS, 100);
}

static void test_responses_are_read_or_refused_as_written(void **state)
{
    (void)state;
    run_file(TESTS_DIR "/vectors/responses.txt", H1_RESPONSES, 40);
}

/* Step over |text| until |wanted| is told; what is left of it. */
static struct span step_to(struct h1_parser *p, struct span in,
                           enum h1_event wanted)
{
    for (;;) {
        enum h1_event event;
        size_t used;

        assert_int_equal(h1_parser_step(p, in, &used, &event), ERR_OK);
        in = span_after(in, used);
        if (event == wanted) {
            return in;
        }
        assert_int_not_equal(event, H1_MORE);
    }
}

static void test_plain_bodies_may_bypass_the_parser(void **state)
{
    struct h1_parser *p = h1_parser_new(H1_REQUESTS);

    (void)state;
    (void)step_to(p,
                  span_text("PUT / HTTP/1.1\r\nHost: a\r\n"
                            "Content-Length: 10\r\n\r\n"),
                  H1_HEAD);
    assert_true(h1_parser_has_body(p));
    assert_int_equal(h1_parser_plain_body(p), 10);
    h1_parser_skip(p, 4);
    (void)step_to(p, span_text("56"), H1_BODY);
    assert_int_equal(h1_parser_plain_body(p), 4);
    h1_parser_skip(p, 4);
    assert_int_equal(h1_parser_plain_body(p), 0);
    (void)step_to(p, span_text(""), H1_END);
    assert_true(h1_parser_is_idle(p));
    h1_parser_free(p);
}

static void test_chunked_bodies_may_not_bypass_it(void **state)
{
    struct h1_parser *p = h1_parser_new(H1_RESPONSES);

    (void)state;
    (void)step_to(p,
                  span_text("HTTP/1.1 200 OK\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n"),
                  H1_HEAD);
    assert_true(h1_parser_has_body(p));
    assert_int_equal(h1_parser_plain_body(p), 0);
    h1_parser_free(p);
}

static void test_a_body_until_close_bypasses_without_end(void **state)
{
    struct h1_parser *p = h1_parser_new(H1_RESPONSES);
    enum h1_event event;

    (void)state;
    (void)step_to(p, span_text("HTTP/1.1 200 OK\r\n\r\n"), H1_HEAD);
    assert_true(h1_parser_plain_body(p) == UINT64_MAX);
    h1_parser_skip(p, 1u << 30);
    assert_true(h1_parser_plain_body(p) == UINT64_MAX);
    assert_int_equal(h1_parser_eof(p, &event), ERR_OK);
    assert_int_equal(event, H1_END);
    h1_parser_free(p);
}

static void test_an_end_between_messages_is_no_error(void **state)
{
    struct h1_parser *p = h1_parser_new(H1_REQUESTS);
    enum h1_event event;

    (void)state;
    assert_true(h1_parser_is_idle(p));
    assert_int_equal(h1_parser_eof(p, &event), ERR_OK);
    assert_int_equal(event, H1_MORE);
    (void)step_to(p, span_text("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), H1_END);
    assert_true(h1_parser_is_idle(p));
    assert_int_equal(h1_parser_eof(p, &event), ERR_OK);
    assert_int_equal(event, H1_MORE);
    h1_parser_free(p);
}

static void test_a_refused_parser_stays_refused(void **state)
{
    struct h1_parser *p = h1_parser_new(H1_REQUESTS);
    enum h1_event event;
    size_t used;

    (void)state;
    assert_int_equal(h1_parser_step(p, span_text("\n"), &used, &event),
                     ERR_HEAD);
    assert_int_equal(h1_parser_step(p,
                                    span_text("GET / HTTP/1.1\r\n"
                                              "Host: a\r\n\r\n"),
                                    &used, &event),
                     ERR_HEAD);
    assert_int_equal(h1_parser_eof(p, &event), ERR_HEAD);
    h1_parser_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_are_read_or_refused_as_written),
        cmocka_unit_test(test_responses_are_read_or_refused_as_written),
        cmocka_unit_test(test_plain_bodies_may_bypass_the_parser),
        cmocka_unit_test(test_chunked_bodies_may_not_bypass_it),
        cmocka_unit_test(test_a_body_until_close_bypasses_without_end),
        cmocka_unit_test(test_an_end_between_messages_is_no_error),
        cmocka_unit_test(test_a_refused_parser_stays_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
