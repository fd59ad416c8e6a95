/*
 * PROTOCOL.md says what the code does: its tables of frames, errors and limits
 * are read from the document and asked of the code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/head.h"

#define DOCUMENT_MAX (64 * 1024)
#define CELLS_MAX 8

static char document[DOCUMENT_MAX];

static int read_document(void **state)
{
    FILE *file = fopen(TESTS_DIR "/../proto/PROTOCOL.md", "r");
    size_t len;

    (void)state;
    if (file == NULL) {
        return -1;
    }
    len = fread(document, 1, sizeof(document) - 1, file);
    fclose(file);
    document[len] = '\0';
    return len > 0 && len < sizeof(document) - 1 ? 0 : -1;
}

struct table_row {
    char text[512];
    char *cells[CELLS_MAX];
    size_t count;
};

/* Split the table row that begins at |line| into cells without blanks. */
static void split_row(const char *line, struct table_row *row)
{
    size_t len = strcspn(line, "\n");
    char *at;

    assert_true(len < sizeof(row->text));
    memcpy(row->text, line, len);
    row->text[len] = '\0';
    row->count = 0;
    at = row->text + 1;
    while (row->count < CELLS_MAX && strchr(at, '|') != NULL) {
        char *end = strchr(at, '|');

        *end = '\0';
        at += strspn(at, " ");
        row->cells[row->count++] = at;
        at += strlen(at);
        while (at > row->cells[row->count - 1] && at[-1] == ' ') {
            *--at = '\0';
        }
        at = end + 1;
    }
}

/* The row whose first cell is |first| below |heading|; fails without one. */
static void find_row(const char *heading, const char *first,
                     struct table_row *row)
{
    const char *at = strstr(document, heading);
    char begin[64];

    assert_non_null(at);
    (void)snprintf(begin, sizeof(begin), "\n| %s |", first);
    at = strstr(at, begin);
    if (at == NULL) {
        fail_msg("no row %s under %s", first, heading);
    } else {
        split_row(at + 1, row);
    }
}

/* A number with commas for thousands; what follows it goes to |*end|. */
static unsigned number_of(const char *text, const char **end)
{
    unsigned value = 0;

    assert(text != NULL);
    while ((*text >= '0' && *text <= '9') || *text == ',') {
        value = *text == ',' ? value : value * 10 + (unsigned)(*text - '0');
        text++;
    }
    *end = text;
    return value;
}

static bool is_good(struct frame_header h, unsigned len, bool from_relay)
{
    const char *why;

    h.len = (uint16_t)len;
    if (h.type <= FRAME_DENIED) {
        return frame_check_login(&h, from_relay, &why) == ERR_OK;
    }
    return frame_check(&h, from_relay, &why) == ERR_OK;
}

/* Ask the code for what |row| says of frames of |type|. */
static void check_frame_row(uint8_t type, const struct table_row *row)
{
    struct frame_header h = { .type = type };
    const char *rest;
    unsigned shortest = number_of(row->cells[2], &rest);
    unsigned longest = *rest == '\0' ? shortest : number_of(rest + 4, &rest);
    const char *sender = row->cells[4];
    bool by_relay = sender != NULL && strcmp(sender, "client") != 0;
    bool by_client = sender != NULL && strcmp(sender, "relay") != 0;

    assert(row->cells[3] != NULL && row->cells[5] != NULL);
    assert(row->cells[6] != NULL);
    h.stream = row->cells[5][0] == '0' ? 0 : 2;
    if (type == FRAME_HEAD) {
        h.flags = HEAD_TRAILERS << FRAME_HEAD_KIND_SHIFT;
    } else if (type == FRAME_DATA) {
        h.flags = FRAME_FIN;
    }
    assert_true(strstr(row->cells[3], "FIN") == NULL || type == FRAME_OPEN ||
                type == FRAME_HEAD || type == FRAME_DATA);
    assert_int_equal(is_good(h, shortest, true), by_relay);
    assert_int_equal(is_good(h, longest, true), by_relay);
    assert_int_equal(is_good(h, shortest, false), by_client);
    assert_int_equal(is_good(h, longest, false), by_client);
    assert_false(shortest > 0 && is_good(h, shortest - 1, by_relay));
    assert_false(is_good(h, longest + 1, by_relay));
    h.stream = h.stream == 0 ? 2 : 0;
    assert_false(is_good(h, longest, by_relay));
    assert_int_equal(frame_is_sequenced(type),
                     strcmp(row->cells[6], "yes") == 0);
}

static void test_the_frames_are_those_of_the_document(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        struct table_row row = { .count = 0 };
        char first[8];

        (void)snprintf(first, sizeof(first), "0x%02x", type);
        if (frame_is_known((uint8_t)type)) {
            find_row("## 3 Frames", first, &row);
            assert_int_equal(row.count, 7);
            check_frame_row((uint8_t)type, &row);
        } else {
            char begin[16];

            (void)snprintf(begin, sizeof(begin), "\n| %s |", first);
            assert_null(strstr(document, begin));
        }
    }
}

static void test_the_errors_are_those_of_the_document(void **state)
{
    char first[8];

    (void)state;
    for (uint16_t code = 0; error_is_wire((enum err)code); code++) {
        enum err e = error_from_wire(code);
        struct table_row row = { .count = 0 };

        if (e == ERR_PROTOCOL && code != ERR_PROTOCOL) {
            continue; /* no such number */
        }
        (void)snprintf(first, sizeof(first), "%u", (unsigned)code);
        find_row("## 13 Errors", first, &row);
        assert_int_equal(row.count, 3);
        assert_string_equal(row.cells[1], error_name(e));
        assert_string_equal(row.cells[2], error_text(e));
    }
}

/* The second cell of the row |first| of section 14 is |value|. */
static void check_limit(const char *first, const char *value)
{
    struct table_row row = { .count = 0 };

    find_row("## 14 Limits", first, &row);
    assert_string_equal(row.cells[1], value);
}

static void test_the_limits_are_those_of_the_document(void **state)
{
    char value[64];

    (void)state;
    (void)snprintf(value, sizeof(value), "%u KiB; %u; %u KiB", HEAD_MAX / KIB,
                   HEAD_FIELDS_MAX, HEAD_TARGET_MAX / KIB);
    check_limit("head block; fields; target", value);
    (void)snprintf(value, sizeof(value), "%u; %u; %u; %u bytes", NAME_MAX_LEN,
                   URL_MAX_LEN, SENTENCE_MAX_LEN, SOFTWARE_MAX_LEN);
    check_limit("name; URL; sentence; software", value);
    (void)snprintf(value, sizeof(value), "%u KiB; %u MiB", WINDOW_FIRST / KIB,
                   WINDOW_MAX / MIB);
    check_limit("window: first; largest", value);
    (void)snprintf(value, sizeof(value), "%u", TUNNELS_MAX);
    check_limit("tunnels of a session", value);
    (void)snprintf(value, sizeof(value), "%u", SLOTS_MAX);
    check_limit("link slots", value);
    (void)snprintf(value, sizeof(value), "%u KiB or %llu ms", ACK_BYTES / KIB,
                   ACK_DELAY_US / US_PER_MS);
    check_limit("ACK", value);
    (void)snprintf(value, sizeof(value), "%llu s, at most %llu s",
                   GRACE_DEFAULT_US / US_PER_S, GRACE_MAX_US / US_PER_S);
    check_limit("grace", value);
    (void)snprintf(value, sizeof(value), "%llu s or %llu s; %llu s",
                   PING_SILENCE_BUSY_US / US_PER_S,
                   PING_SILENCE_IDLE_US / US_PER_S, PING_ANSWER_US / US_PER_S);
    check_limit("PING; answer", value);
}

/* The bytes of section 3's example, one frame. */
static size_t read_example(uint8_t *out, size_t size)
{
    const char *at = strstr(document, "\n00000002 ");
    size_t len = 0;

    assert_non_null(at);
    while (at != NULL && strncmp(at, "\n```", 4) != 0) {
        char hex[3] = { at[0], at[1], '\0' };
        char *end;

        if (*at == '\n' || *at == ' ') {
            at++;
            continue;
        }
        out[len++] = (uint8_t)strtoul(hex, &end, 16);
        assert_true(end == hex + 2 && len < size);
        /* Three blanks begin a remark. */
        at += strncmp(at + 2, "   ", 3) == 0 ? strcspn(at, "\n") : 2;
    }
    return len;
}

static void test_the_example_of_the_document_is_an_open(void **state)
{
    uint8_t bytes[128];
    size_t len = read_example(bytes, sizeof(bytes));
    static struct head decoded;
    struct frame_header h;
    struct frame_open open;
    struct span block;
    const char *why;

    (void)state;
    assert_int_equal(len, 51);
    frame_header_get(bytes, &h);
    assert_int_equal(h.len, len - FRAME_HEADER_LEN);
    assert_int_equal(frame_check(&h, true, &why), ERR_OK);
    assert_int_equal(frame_get_open(span_of(bytes + 8, h.len), &open, &block),
                     ERR_OK);
    assert_int_equal(open.window, WINDOW_FIRST);
    assert_int_equal(open.visitor_conn, 7);
    assert_int_equal(open.address.port, 443);
    assert_int_equal(head_decode(block, &decoded, &why), ERR_OK);
    assert_true(span_equal(decoded.authority, span_text("a.b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_frames_are_those_of_the_document),
        cmocka_unit_test(test_the_errors_are_those_of_the_document),
        cmocka_unit_test(test_the_limits_are_those_of_the_document),
        cmocka_unit_test(test_the_example_of_the_document_is_an_open),
    };
    return cmocka_run_group_tests(tests, read_document, NULL);
}
