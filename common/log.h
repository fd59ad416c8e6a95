/*
 * Log lines: a level and key=value pairs, one line a decision, to standard
 * error. Text from outside is escaped here, so a stranger can neither forge a
 * line nor steer a terminal. The sink and level are the process's only
 * globals.
 */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include "proto/span.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* One pair; made by the inline functions below, ends with LOG_END. */
struct log_pair {
    const char *key; /* NULL ends the list */
    enum { LOG_KIND_TEXT, LOG_KIND_SPAN, LOG_KIND_U64 } kind;
    union {
        const char *text;
        struct span span;
        uint64_t u64;
    } as;
};

/* One pair of a line. |key| and the value are borrowed for the call. */
static inline struct log_pair log_text(const char *key, const char *text)
{
    return (struct log_pair){ key, LOG_KIND_TEXT, { .text = text } };
}

/* See log_text(). */
static inline struct log_pair log_span(const char *key, struct span s)
{
    return (struct log_pair){ key, LOG_KIND_SPAN, { .span = s } };
}

/* See log_text(). */
static inline struct log_pair log_u64(const char *key, uint64_t v)
{
    return (struct log_pair){ key, LOG_KIND_U64, { .u64 = v } };
}

/*
 * Write one line: `time level event key=value ...`. Values longer than
 * LOG_VALUE_MAX bytes are cut; values with spaces, quotes or bytes outside
 * printable ASCII are quoted and escaped. |pairs| may be NULL. LOG() wants one
 * pair at least: LOG(LOG_INFO, "link-up", log_u64("link", 7),
 * log_text("peer", text));
 */
#define LOG_VALUE_MAX 512u
void log_write(enum log_level level, const char *event,
               const struct log_pair *pairs);
#define LOG(level, event, ...)                                                 \
    log_write(level, event, (const struct log_pair[]){ __VA_ARGS__, { 0 } })

/* Only lines up to |level| are written. The start is LOG_INFO. */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/* Write to the descriptor |fd| instead of standard error. */
void log_set_fd(int fd);

/*
 * Escape |text| for a terminal or a log into |out| of |size| bytes, always
 * zero-terminated: bytes outside printable ASCII, quotes and backslashes as
 * \xHH. Valid UTF-8 letters are not kept: logs are ASCII.
 */
void log_escape(struct span text, char *out, size_t size);

#endif
