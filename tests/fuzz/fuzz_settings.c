/*
 * Any bytes as a settings file: refused with a sentence of one printable line
 * that begins with the file's name, or read; what was read and printed is read
 * again as it was. Bytes that come one by one give the same answer.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/settings.h"
#include "common/settings_yaml.h"
#include "proto/limits.h"
#include "proto/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define FILE_NAME "relay.yaml"
#define PRINTED_MAX (256u * KIB)

/* One row of each kind, a row that is a flag only, and a map. */
struct sample {
    char domain[64];
    uint64_t port;
    uint64_t grace_us;
    bool local_ca;
    struct setting_list listen;
    char config[64];
    size_t items; /* of the map */
};

struct item {
    char target[64];
    uint64_t streams;
};

static const struct setting item_rows[] = {
    { "target", SETTING_TEXT, offsetof(struct item, target), 64, NULL, 0, 0,
      "TARGET", "where it goes" },
    { "streams", SETTING_COUNT, offsetof(struct item, streams), 0, "10", 1, 99,
      "N", "at once" },
};
static const struct settings_table item_table = { .rows = item_rows,
                                                  .count = 2 };

static const struct setting rows[] = {
    { "domain", SETTING_TEXT, offsetof(struct sample, domain), 64, NULL, 0, 0,
      "DOMAIN", "a name" },
    { "public_port", SETTING_COUNT, offsetof(struct sample, port), 0, "443", 1,
      65535, "PORT", "a port" },
    { "grace", SETTING_DURATION, offsetof(struct sample, grace_us), 0, "45s", 0,
      300 * US_PER_S, "DURATION", "a time" },
    { "local_ca", SETTING_SWITCH, offsetof(struct sample, local_ca), 0, "false",
      0, 0, "", "a switch" },
    { "listen", SETTING_LIST, offsetof(struct sample, listen), 0, "[::]:443", 0,
      0, "ADDRESS", "a list" },
    { "config", SETTING_TEXT, offsetof(struct sample, config), 64, NULL, 0, 0,
      "FILE", "a flag" },
};
static const char *const flags_only[] = { "config", NULL };

static enum err on_sample_item(void *settings, const char *key,
                               const void *item, struct settings_error *e)
{
    struct sample *s = settings;
    const struct item *i = item;

    assert(strlen(key) < SETTINGS_ITEM_KEY_MAX && s->items < 64);
    assert(i->streams >= 1 && i->streams <= 99);
    if (i->target[0] == '\0') {
        (void)snprintf(e->text, sizeof(e->text), "an item without a target");
        return ERR_SETTINGS;
    }
    s->items++;
    return ERR_OK;
}

static const struct settings_table table = { .rows = rows,
                                             .count = 6,
                                             .flags_only = flags_only,
                                             .map_key = "tunnels",
                                             .item_table = &item_table,
                                             .item_size = sizeof(struct item),
                                             .on_item = on_sample_item };

/* What is left of the input, and how much of it a read gets. */
struct source {
    struct span rest;
    size_t piece;
};

static ssize_t on_source_read(void *owner, char *out, size_t size)
{
    struct source *s = owner;
    size_t len = s->rest.len < s->piece ? s->rest.len : s->piece;

    len = len < size ? len : size;
    if (len > 0) {
        memcpy(out, s->rest.data, len);
        s->rest = span_after(s->rest, len);
    }
    return (ssize_t)len;
}

static enum err read_pieces(struct span in, size_t piece, struct sample *s,
                            struct settings_error *e)
{
    struct source source = { .rest = in, .piece = piece };
    cookie_io_functions_t calls = { .read = on_source_read };
    FILE *file = fopencookie(&source, "r", calls);
    enum err error;

    assert(file != NULL);
    memset(s, 0, sizeof(*s));
    memset(e, 0, sizeof(*e));
    settings_defaults(&table, s);
    error = settings_yaml_read(&table, file, FILE_NAME, s, e);
    (void)fclose(file);
    return error;
}

static void check_sentence(const struct settings_error *e)
{
    size_t len = strnlen(e->text, sizeof(e->text));

    assert(len < sizeof(e->text));
    assert(strncmp(e->text, FILE_NAME ":", strlen(FILE_NAME ":")) == 0);
    for (size_t i = 0; i < len; i++) {
        assert(e->text[i] >= 0x20 && e->text[i] < 0x7f);
    }
}

static void check_values(const struct sample *s)
{
    assert(s->port >= 1 && s->port <= 65535);
    assert(s->grace_us <= 300 * US_PER_S && s->config[0] == '\0');
    assert(s->listen.count <= SETTING_LIST_MAX);
    assert(memchr(s->domain, 0, sizeof(s->domain)) != NULL);
}

/* Printed and read again; the map is not printed. */
static void check_printed(const struct sample *s)
{
    static char text[PRINTED_MAX];
    FILE *out = fmemopen(text, sizeof(text), "w");
    struct settings_error e;
    static struct sample again;

    assert(out != NULL);
    settings_print(&table, s, out);
    (void)fclose(out);
    if (read_pieces(span_text(text), SIZE_MAX, &again, &e) != ERR_OK) {
        abort();
    }
    again.items = s->items;
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding is 0 */
    assert(memcmp(&again, s, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct sample whole, single;
    struct settings_error e, other;
    struct span in = span_of(bytes, len);
    enum err error = read_pieces(in, SIZE_MAX, &whole, &e);

    if (read_pieces(in, 1, &single, &other) != error) {
        abort();
    }
    assert(strcmp(e.text, other.text) == 0);
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): padding is 0 */
    assert(memcmp(&whole, &single, sizeof(whole)) == 0);
    if (error == ERR_OK) {
        check_values(&whole);
        check_printed(&whole);
    } else {
        assert(error == ERR_SETTINGS);
        check_sentence(&e);
    }
    return 0;
}
