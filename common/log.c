/*
 * Log lines, see log.h. A line is put together on the stack and leaves in one
 * write, so that lines of two threads do not mix; when the sink is full or
 * gone the line is lost, never waited for.
 */
#include "common/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_LEN 4096u

static int log_sink = STDERR_FILENO;
static enum log_level log_most = LOG_INFO;

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

/* The line so far; what does not fit is left out. */
struct line {
    char text[LINE_MAX_LEN];
    size_t len;
};

/* Room for at least this much is kept for the newline. */
#define LINE_TAIL 1u

static void line_put(struct line *l, const char *bytes, size_t len)
{
    size_t room = sizeof(l->text) - LINE_TAIL - l->len;

    len = len < room ? len : room;
    memcpy(l->text + l->len, bytes, len);
    l->len += len;
}

static void line_put_text(struct line *l, const char *text)
{
    line_put(l, text, strlen(text));
}

/* Bytes that may stand in a line as they are. */
static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* One byte of outside text: as it is, or \xHH. */
static size_t escape_byte(uint8_t c, char out[4])
{
    static const char hex[] = "0123456789abcdef";

    if (is_plain(c)) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

static void line_put_value(struct line *l, struct span v)
{
    bool is_cut = v.len > LOG_VALUE_MAX;
    bool is_quoted = v.len == 0 || is_cut;

    v.len = is_cut ? LOG_VALUE_MAX : v.len;
    for (size_t i = 0; i < v.len && !is_quoted; i++) {
        is_quoted =
            !is_plain(v.data[i]) || v.data[i] == ' ' || v.data[i] == '=';
    }
    if (!is_quoted) {
        line_put(l, (const char *)v.data, v.len);
        return;
    }
    line_put_text(l, "\"");
    for (size_t i = 0; i < v.len; i++) {
        char bytes[4] = "";
        size_t count = escape_byte(v.data[i], bytes);

        line_put(l, bytes, count);
    }
    line_put_text(l, is_cut ? "...\"" : "\"");
}

static void line_put_pair(struct line *l, const struct log_pair *p)
{
    char number[24];

    line_put_text(l, " ");
    line_put_text(l, p->key);
    line_put_text(l, "=");
    switch (p->kind) {
    case LOG_KIND_TEXT:
        line_put_value(l, span_text(p->as.text != NULL ? p->as.text : ""));
        break;
    case LOG_KIND_SPAN:
        line_put_value(l, p->as.span);
        break;
    case LOG_KIND_U64:
        (void)snprintf(number, sizeof(number), "%" PRIu64, p->as.u64);
        line_put_text(l, number);
        break;
    }
}

static void line_put_time(struct line *l)
{
    char text[40];
    struct timespec now;
    struct tm utc;
    size_t len;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0 ||
        gmtime_r(&now.tv_sec, &utc) == NULL) {
        return;
    }
    len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    line_put(l, text, len);
    (void)snprintf(text, sizeof(text), ".%03ldZ ", now.tv_nsec / 1000000);
    line_put_text(l, text);
}

void log_write(enum log_level level, const char *event,
               const struct log_pair *pairs)
{
    struct line l;

    if (!log_is_on(level)) {
        return;
    }
    l.len = 0;
    line_put_time(&l);
    line_put_text(&l, level_names[level]);
    line_put_text(&l, " ");
    line_put_text(&l, event);
    for (; pairs != NULL && pairs->key != NULL; pairs++) {
        line_put_pair(&l, pairs);
    }
    l.text[l.len++] = '\n';
    if (write(log_sink, l.text, l.len) < 0) {
        /* Nowhere to say so: the sink itself is what failed. */
        return;
    }
}

void log_set_level(enum log_level level)
{
    log_most = level;
}

bool log_is_on(enum log_level level)
{
    return level <= log_most;
}

void log_set_fd(int fd)
{
    log_sink = fd;
}

void log_escape(struct span text, char *out, size_t size)
{
    size_t len = 0;

    assert(size > 0);
    for (size_t i = 0; i < text.len; i++) {
        char bytes[4];
        size_t count = escape_byte(text.data[i], bytes);

        if (len + count >= size) {
            break;
        }
        memcpy(out + len, bytes, count);
        len += count;
    }
    out[len] = '\0';
}
