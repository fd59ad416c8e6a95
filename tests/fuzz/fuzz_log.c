/*
 * Any text in a log line: what is written is one line of printable ASCII from
 * which the text can be read back, and a stranger's value cannot end its own
 * quotes. Input: one byte (the size of the escaper's output), then the text.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define LINE_ROOM 8192u

static uint8_t nibble(char c)
{
    assert((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'));
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Read |text| back into |out|; how many bytes it stands for. */
static size_t unescape(struct span text, uint8_t *out)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        assert(c >= 0x20 && c < 0x7f && c != '"');
        if (c == '\\') {
            assert(i + 3 < text.len && text.data[i + 1] == 'x');
            c = (uint8_t)(nibble((char)text.data[i + 2]) << 4 |
                          nibble((char)text.data[i + 3]));
            i += 3;
        }
        out[len++] = c;
    }
    return len;
}

/* Into |size| bytes, in memory of just that: as much as fits, no half escape.
 */
static void check_escape(struct span text, size_t size)
{
    char *out = malloc(size);
    uint8_t *back = malloc(size);
    size_t len;

    assert(out != NULL && back != NULL);
    memset(out, 'x', size);
    log_escape(text, out, size);
    assert(memchr(out, 0, size) != NULL);
    len = unescape(span_text(out), back);
    assert(len <= text.len && (len == 0 || memcmp(back, text.data, len) == 0));
    /* It stops only where the next byte has no room. */
    assert(len == text.len || strlen(out) + 4 >= size);
    free(back);
    free(out);
}

/* Byte by byte: each escaped alone, put together, is the whole escaped. */
static void check_joined(struct span text)
{
    char *whole = malloc(4 * text.len + 1);
    size_t at = 0;

    assert(whole != NULL);
    log_escape(text, whole, 4 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        char one[5];

        log_escape(span_of(text.data + i, 1), one, sizeof(one));
        assert(memcmp(whole + at, one, strlen(one)) == 0);
        at += strlen(one);
    }
    assert(whole[at] == '\0');
    free(whole);
}

/* The line that log_write() makes of |text| and a number. */
static size_t write_line(struct span text, char *out, size_t size)
{
    static int fd = -1;
    ssize_t len;

    if (fd < 0) {
        fd = memfd_create("log", MFD_CLOEXEC);
        assert(fd >= 0);
        log_set_fd(fd);
    }
    if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0) {
        abort();
    }
    LOG(LOG_ERROR, "event", log_span("value", text), log_u64("after", 7));
    len = pread(fd, out, size, 0);
    assert(len > 0 && (size_t)len < size);
    out[len] = '\0';
    return (size_t)len;
}

static void check_line(struct span text)
{
    static const char tail[] = " after=7\n";
    static char line[LINE_ROOM];
    static uint8_t back[LINE_ROOM];
    size_t len = write_line(text, line, sizeof(line));
    char *value = strstr(line, " error event value=");
    struct span shown;
    size_t kept = text.len < LOG_VALUE_MAX ? text.len : LOG_VALUE_MAX;

    assert(strlen(line) == len && value != NULL && len > strlen(tail));
    assert(strcmp(line + len - strlen(tail), tail) == 0);
    value += strlen(" error event value=");
    shown = span_of(value, (size_t)(line + len - strlen(tail) - value));
    if (value[0] == '"') {
        size_t around = kept < text.len ? strlen("\"...\"") : 2;

        assert(shown.len >= around && shown.data[shown.len - 1] == '"');
        shown = span_of(shown.data + 1, shown.len - around);
    } else {
        assert(text.len > 0 && memchr(value, ' ', shown.len) == NULL);
        assert(memchr(value, '=', shown.len) == NULL);
    }
    assert(span_equal(span_of(back, unescape(shown, back)),
                      span_of(text.data, kept)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span text = span_of(bytes + 1, len > 0 ? len - 1 : 0);

    if (len == 0) {
        return 0;
    }
    check_escape(text, bytes[0] + 1u);
    check_joined(text);
    check_line(text);
    return 0;
}
