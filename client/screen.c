/*
 * One function for each thing that can be said, in three styles. JSON lines
 * are made by jansson; the others go through log_escape() where a stranger
 * chose the text.
 */
#include "client/screen.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "client/qr.h"
#include "common/address.h"
#include "common/log.h"

#define BOLD "\033[1m"
#define YELLOW "\033[33m"
#define RED "\033[31m"
#define GREEN "\033[32m"
#define RESET "\033[0m"
#define CLEAR_LINE "\r\033[K"
/* A line too long for the terminal is cut, or CLEAR_LINE would leave a part. */
#define NO_WRAP "\033[?7l"
#define WRAP "\033[?7h"

#define SCREEN_BUFFER (16u * KIB)

static void on_flush(struct flush *f)
{
    struct screen *s = container_of(f, struct screen, flush);

    if (s->status[0] != '\0' && !s->has_status) {
        /* Back to the begin: what else writes there does not follow it. */
        fprintf(s->out, NO_WRAP "%s" WRAP "\r", s->status);
        s->has_status = true;
    }
    fflush(s->out);
}

/* Lines follow: the status, which is the last one, makes room. */
static void begin_lines(struct screen *s)
{
    if (s->has_status) {
        fprintf(s->out, CLEAR_LINE);
        s->has_status = false;
    }
    loop_flush_later(s->loop, &s->flush);
}

void screen_open(struct screen *s, struct loop *loop, FILE *out, bool is_json,
                 bool wants_qr)
{
    const char *no_colour = getenv("NO_COLOR");
    bool is_terminal = isatty(fileno(out)) == 1;

    *s = (struct screen){ .out = out, .loop = loop };
    s->flush.run = on_flush;
    s->style = is_json       ? SCREEN_JSON
               : is_terminal ? SCREEN_TERMINAL
                             : SCREEN_PLAIN;
    s->has_colour = s->style == SCREEN_TERMINAL &&
                    (no_colour == NULL || no_colour[0] == '\0');
    s->has_qr = s->style == SCREEN_TERMINAL && wants_qr;
    setvbuf(out, NULL, _IOFBF, SCREEN_BUFFER);
}

void screen_close(struct screen *s)
{
    if (s->loop != NULL) {
        begin_lines(s);
        loop_flush_cancel(s->loop, &s->flush);
        fflush(s->out);
    }
}

static const char *colour(const struct screen *s, const char *code)
{
    return s->has_colour ? code : "";
}

/* One JSON line; |object| is let go of. */
static void put_json(struct screen *s, json_t *object)
{
    char *text = object == NULL ? NULL : json_dumps(object, JSON_COMPACT);

    if (text != NULL) {
        begin_lines(s);
        fprintf(s->out, "%s\n", text);
    }
    free(text);
    json_decref(object);
}

static void put_json_text(struct screen *s, const char *event, const char *key,
                          const char *text)
{
    put_json(s, json_pack("{s:s, s:s}", "event", event, key, text));
}

static void put_line(struct screen *s, const char *code, const char *mark,
                     const char *text)
{
    begin_lines(s);
    fprintf(s->out, "%s%s%s %s\n", colour(s, code), mark, colour(s, RESET),
            text);
}

void screen_connecting(struct screen *s, const struct relay_pin *relay)
{
    char text[TARGET_TEXT_MAX];

    if (s->style == SCREEN_JSON) {
        return;
    }
    snprintf(text, sizeof(text), "connecting to %s:%u", relay->host,
             (unsigned)relay->port);
    put_line(s, GREEN, "*", text);
}

static void show_url(struct screen *s, const struct tunnel *t)
{
    const char *target = t->local.target.text;

    if (s->style == SCREEN_JSON) {
        put_json(s, json_pack("{s:s, s:s, s:s}", "event", "url", "url", t->url,
                              "target", target));
        return;
    }
    begin_lines(s);
    fprintf(s->out, "\n  %s%s%s  ->  %s\n\n", colour(s, BOLD), t->url,
            colour(s, RESET), target);
    if (s->has_qr && qr_print(t->url, s->out) != ERR_OK) {
        put_line(s, YELLOW, "!", "this URL does not fit a QR code");
    }
    fprintf(s->out, "  Anyone with this URL reaches the service.\n\n");
}

static void show_refused(struct screen *s, const struct uplink_news *news)
{
    const struct tunnel *t = news->tunnel;
    const char *event = news->event == UPLINK_REPLACED ? "replaced" : "refused";
    char why[SENTENCE_MAX_LEN * 4 + 1];
    char text[SENTENCE_MAX_LEN * 4 + 200];

    log_escape(span_text(news->why), why, sizeof(why));
    if (s->style == SCREEN_JSON) {
        put_json(s, json_pack("{s:s, s:s, s:s, s:s}", "event", event, "target",
                              t->local.target.text, "reason",
                              error_name(news->error), "why", why));
        return;
    }
    snprintf(text, sizeof(text), "%s is %s: %s", t->local.target.text,
             news->event == UPLINK_REPLACED ? "shared no longer" : "not shared",
             why);
    put_line(s, RED, "x", text);
}

static void show_link(struct screen *s, const char *event, const char *text,
                      const char *why)
{
    char safe[SENTENCE_MAX_LEN * 4 + 1];
    char line[SENTENCE_MAX_LEN * 4 + 200];

    log_escape(span_text(why), safe, sizeof(safe));
    if (s->style == SCREEN_JSON) {
        put_json_text(s, event, "why", safe);
        return;
    }
    snprintf(line, sizeof(line), "%s%s%s", text, safe[0] == '\0' ? "" : ": ",
             safe);
    put_line(s, YELLOW, "!", line);
}

void screen_news(struct screen *s, const struct uplink_news *news)
{
    switch (news->event) {
    case UPLINK_UP:
        if (s->told_lost) {
            show_link(s, "up", "connected again", "");
        } else if (s->style == SCREEN_JSON) {
            put_json_text(s, "up", "why", "");
        }
        s->told_lost = false;
        break;
    case UPLINK_URL:
        show_url(s, news->tunnel);
        break;
    case UPLINK_REFUSED:
    case UPLINK_REPLACED:
        show_refused(s, news);
        break;
    case UPLINK_LOST:
        s->told_lost = true;
        show_link(s, "lost", "connection to the relay lost, reconnecting",
                  news->why);
        break;
    case UPLINK_RETRY:
        if (!s->told_lost || s->style == SCREEN_JSON) {
            show_link(s, "retry", "no connection yet, trying on", news->why);
        }
        s->told_lost = true;
        break;
    case UPLINK_DENIED:
        show_link(s, "denied", "the relay refuses", news->why);
        break;
    case UPLINK_DRAINED:
        break;
    }
}

static void size_text(uint64_t bytes, char *out, size_t size)
{
    if (bytes < 10 * KIB) {
        snprintf(out, size, "%" PRIu64 " B", bytes);
    } else if (bytes < 10 * MIB) {
        snprintf(out, size, "%" PRIu64 " KiB", bytes / KIB);
    } else {
        snprintf(out, size, "%" PRIu64 " MiB", bytes / MIB);
    }
}

static void time_text(uint64_t us, char *out, size_t size)
{
    if (us < 10 * US_PER_S) {
        snprintf(out, size, "%" PRIu64 " ms", (uint64_t)(us / US_PER_MS));
    } else {
        snprintf(out, size, "%" PRIu64 " s", (uint64_t)(us / US_PER_S));
    }
}

/* Finer than a person needs for requests: a good line has less than 1 ms. */
static void ms_text(uint64_t us, char *out, size_t size)
{
    snprintf(out, size, "%.1f ms", (double)us / US_PER_MS);
}

static void quality_json(struct screen *s, const struct link_quality *q,
                         uint32_t resumes)
{
    put_json(s, json_pack("{s:s, s:f, s:f, s:I, s:I, s:b}", "event", "link",
                          "rtt_ms", (double)q->rtt_us / US_PER_MS, "jitter_ms",
                          (double)q->jitter_us / US_PER_MS, "waiting",
                          (json_int_t)q->waiting_bytes, "resumes",
                          (json_int_t)resumes, "full", (int)q->is_full));
}

static void set_status(struct screen *s, const struct link_quality *q,
                       uint32_t resumes)
{
    char waiting[32], rtt[32], jitter[32];
    char status[SCREEN_STATUS_MAX] = "";

    size_text(q->waiting_bytes, waiting, sizeof(waiting));
    ms_text(q->rtt_us, rtt, sizeof(rtt));
    ms_text(q->jitter_us, jitter, sizeof(jitter));
    if (q->has_link) {
        snprintf(status, sizeof(status),
                 "link: RTT %s, jitter %s, %s waiting, %" PRIu32 " resumed%s",
                 rtt, jitter, waiting, resumes,
                 q->is_full ? ", your uplink is full" : "");
    } else {
        snprintf(status, sizeof(status),
                 "link: away, %s waiting, %" PRIu32 " resumed", waiting,
                 resumes);
    }
    if (strcmp(status, s->status) != 0) {
        begin_lines(s);
        memcpy(s->status, status, sizeof(s->status));
    }
}

void screen_quality(struct screen *s, const struct link_quality *q,
                    uint32_t resumes)
{
    bool is_news = q->is_full != s->told_full;

    s->told_full = q->is_full;
    switch (s->style) {
    case SCREEN_JSON:
        if (is_news) {
            quality_json(s, q, resumes);
        }
        break;
    case SCREEN_TERMINAL:
        set_status(s, q, resumes);
        break;
    case SCREEN_PLAIN:
        break;
    }
    if (is_news && s->style != SCREEN_JSON) {
        put_line(s, YELLOW, "!",
                 q->is_full ? "your uplink is full: what is sent waits for it"
                            : "your uplink has room again");
    }
}

/* The line Open WebUI's users need: its own page says nothing. */
static void show_origin_hint(struct screen *s, const struct local_report *r,
                             const char *url)
{
    char text[URL_MAX_LEN + 200];

    if (!r->request.expect.is_upgrade || r->status != 403) {
        return;
    }
    snprintf(text, sizeof(text),
             "the service refused a WebSocket from this address; for Open "
             "WebUI set CORS_ALLOW_ORIGIN=\"%s\" and start it again",
             url);
    if (s->style == SCREEN_JSON) {
        put_json_text(s, "websocket-refused", "hint", text);
    } else {
        put_line(s, YELLOW, "!", text);
    }
}

static void exchange_json(struct screen *s, const struct local_report *r)
{
    char path[REQUEST_PATH_MAX * 4 + 1];
    char method[REQUEST_METHOD_MAX * 4 + 1];

    log_escape(span_text(r->request.path), path, sizeof(path));
    log_escape(span_text(r->request.method), method, sizeof(method));
    put_json(s, json_pack("{s:s, s:s, s:s, s:i, s:s, s:I, s:I, s:I}", "event",
                          "request", "method", method, "path", path, "status",
                          (int)r->status, "error",
                          r->error == ERR_OK ? "" : error_name(r->error), "us",
                          (json_int_t)r->us, "in", (json_int_t)r->bytes_in,
                          "out", (json_int_t)r->bytes_out));
}

void screen_exchange(struct screen *s, const struct local_report *r,
                     const char *url)
{
    char path[REQUEST_PATH_MAX * 4 + 1];
    char method[REQUEST_METHOD_MAX * 4 + 1];
    char in[32], out[32], took[32], status[32], clock[16];
    time_t now = time(NULL);
    struct tm tm;

    if (s->style == SCREEN_JSON) {
        exchange_json(s, r);
        show_origin_hint(s, r, url);
        return;
    }
    log_escape(span_text(r->request.path), path, sizeof(path));
    log_escape(span_text(r->request.method), method, sizeof(method));
    size_text(r->bytes_in, in, sizeof(in));
    size_text(r->bytes_out, out, sizeof(out));
    time_text(r->us, took, sizeof(took));
    snprintf(status, sizeof(status), "%03u", r->status);
    if (r->status == 0) {
        snprintf(status, sizeof(status), "%s", error_name(r->error));
    }
    localtime_r(&now, &tm);
    strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
    begin_lines(s);
    fprintf(s->out, "%s  %s%s%s  %-7s %s  %s  in %s  out %s\n", clock,
            colour(s, r->status == 0 || r->status >= 500 ? RED : GREEN), status,
            colour(s, RESET), method, path, took, in, out);
    show_origin_hint(s, r, url);
}

void screen_finding(struct screen *s, enum probe_finding finding,
                    const struct target *target, const char *why)
{
    static const struct {
        const char *event;
        const char *text;
    } say[] = {
        [PROBE_NOTHING_LISTENS] = { "nothing-listens",
                                    "visitors get a 502 page until there is "
                                    "one" },
        [PROBE_LISTENS] = { "listens", "the service answers now" },
        [PROBE_NO_LOGIN] = { "no-login",
                             "this Open WebUI asks for no login: anyone with "
                             "the URL is its administrator" },
    };
    const char *sentence = say[finding].text;
    char long_one[300], text[TARGET_TEXT_MAX + 300];

    if (finding == PROBE_NOTHING_LISTENS) {
        snprintf(long_one, sizeof(long_one), "no connection yet (%.150s); %s",
                 why, sentence);
        sentence = long_one;
    }
    if (s->style == SCREEN_JSON) {
        put_json(s, json_pack("{s:s, s:s, s:s}", "event", say[finding].event,
                              "target", target->text, "text", sentence));
        return;
    }
    snprintf(text, sizeof(text), "%s: %s", target->text, sentence);
    put_line(s, finding == PROBE_LISTENS ? GREEN : YELLOW,
             finding == PROBE_LISTENS ? "*" : "!", text);
}

void screen_state(struct screen *s, const char *state, const char *text)
{
    if (s->style == SCREEN_JSON) {
        put_json_text(s, state, "text", text);
    } else {
        put_line(s, YELLOW, "*", text);
    }
}
