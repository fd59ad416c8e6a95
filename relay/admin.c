/*
 * The operator's commands to a running relay, see admin.h: a call is one line
 * in, "ok" or "no" on a line of its own and a text out, and the end.
 */
#include "relay/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "common/folders.h"
#include "common/keys.h"
#include "common/listener.h"
#include "common/log.h"
#include "common/timer.h"

#define ADMIN_SOCKET "admin.sock"
#define ADMIN_CALL_US (5 * US_PER_S)
#define ADMIN_ASK_S 10
#define ADMIN_ENDS_MAX 1000u /* sessions that one command ends */
#define ADMIN_KEY_LEAST 6u   /* characters of a key that say which */

struct call {
    uv_pipe_t pipe;
    uv_write_t write;
    struct admin *admin; /* NULL: closing */
    struct call *next;
    struct timer *deadline;
    char line[ADMIN_LINE_MAX];
    size_t len;
    char *answer;
    size_t answer_len;
};

struct admin {
    struct listener *listener;
    struct loop *loop;
    struct admin_handler handler;
    struct call *calls;
    size_t call_count;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* The socket of the relay that keeps its state in |state|. */
static enum err socket_path(const char *state, struct sockaddr_un *at)
{
    memset(at, 0, sizeof(*at));
    at->sun_family = AF_UNIX;
    return folders_join(state, ADMIN_SOCKET, at->sun_path,
                        sizeof(at->sun_path));
}

/* A blocking connection to it, or -1. */
static int call_relay(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = { .tv_sec = ADMIN_ASK_S };

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (const struct sockaddr *)at, sizeof(*at)) != 0) {
        int code = errno;

        (void)close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

/* --- the commands --------------------------------------------------------*/

static const char *link_text(const struct admin_session *s)
{
    return s->is_parked ? "away" : s->is_full ? "full" : "up";
}

static void print_session(const struct admin_session *s, FILE *out)
{
    char key[KEY_TEXT_LEN], since[32] = "", name[80], rtt[24], jitter[24];
    time_t at = (time_t)s->since_s;
    struct tm utc;

    if (gmtime_r(&at, &utc) != NULL) {
        (void)strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
    keys_to_text(s->key, KEY_LEN, key, sizeof(key));
    log_escape(span_text(s->key_name), name, sizeof(name));
    (void)snprintf(rtt, sizeof(rtt), "%.1fms", (double)s->rtt_us / US_PER_MS);
    (void)snprintf(jitter, sizeof(jitter), "%.1fms",
                   (double)s->jitter_us / US_PER_MS);
    (void)fprintf(out,
                  "%-8" PRIu64 " %-12.10s %-16s %-24s %-20s %-6s %5" PRIu32
                  " %9" PRIu64 " %9s %9s %9" PRIu64 " %7" PRIu32 "  %s\n",
                  s->id, key, name, s->peer, since, link_text(s), s->streams,
                  s->exchanges, rtt, jitter, s->waiting, s->resumes, s->names);
}

static void print_sessions(const struct admin *a, FILE *out)
{
    struct admin_session s;
    size_t i = 0;

    for (; a->handler.session_at(a->handler.owner, i, &s); i++) {
        if (i == 0) {
            (void)fprintf(out,
                          "%-8s %-12s %-16s %-24s %-20s %-6s %5s %9s %9s %9s "
                          "%9s %7s  %s\n",
                          "SESSION", "KEY", "NAME", "FROM", "SINCE", "LINK",
                          "LIVE", "REQUESTS", "RTT", "JITTER", "WAITING",
                          "RESUMES", "NAMES");
        }
        print_session(&s, out);
    }
    if (i == 0) {
        (void)fputs("no sessions\n", out);
    }
}

/* Whether |label| is one of |names|, with spaces between them. */
static bool has_name(const char *names, const char *label)
{
    size_t len = strlen(label);

    for (const char *at = names; (at = strstr(at, label)) != NULL; at++) {
        bool begins = at == names || at[-1] == ' ';

        if (begins && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Whether |word| means the session |s|: number, name, key or its name. */
static bool is_meant(const struct admin_session *s, const char *word)
{
    char text[KEY_TEXT_LEN], number[24];
    size_t len = strlen(word);

    keys_to_text(s->key, KEY_LEN, text, sizeof(text));
    (void)snprintf(number, sizeof(number), "%" PRIu64, s->id);
    return strcmp(number, word) == 0 || strcmp(s->key_name, word) == 0 ||
           has_name(s->names, word) ||
           (len >= ADMIN_KEY_LEAST && strncmp(text, word, len) == 0);
}

/* End what |word| means. Which first, then the ending: it changes the list. */
static bool end_sessions(const struct admin *a, const char *word,
                         enum err reason, FILE *out)
{
    uint64_t ids[ADMIN_ENDS_MAX];
    struct admin_session s;
    size_t count = 0;

    for (size_t i = 0; count < ADMIN_ENDS_MAX &&
                       a->handler.session_at(a->handler.owner, i, &s);
         i++) {
        if (is_meant(&s, word)) {
            ids[count++] = s.id;
        }
    }
    for (size_t i = 0; i < count; i++) {
        a->handler.session_end(a->handler.owner, ids[i], reason);
    }
    (void)fprintf(out, "%zu session%s ended\n", count, count == 1 ? "" : "s");
    return count > 0;
}

/* Carry out |line|; whether it could be done. */
static bool run(const struct admin *a, const char *line, FILE *out)
{
    static const char kick[] = "kick ", revoke[] = "revoke ";

    LOG(LOG_INFO, "admin", log_text("command", line));
    if (strcmp(line, "sessions") == 0) {
        print_sessions(a, out);
        return true;
    }
    if (strncmp(line, kick, sizeof(kick) - 1) == 0) {
        return end_sessions(a, line + sizeof(kick) - 1, ERR_SHUTDOWN, out);
    }
    if (strncmp(line, revoke, sizeof(revoke) - 1) == 0) {
        (void)end_sessions(a, line + sizeof(revoke) - 1, ERR_REVOKED, out);
        return true;
    }
    (void)fputs("this relay knows no such command: is it of the same "
                "version?\n",
                out);
    return false;
}

/* --- a call --------------------------------------------------------------*/

static void on_call_closed(uv_handle_t *handle)
{
    struct call *call = container_of(handle, struct call, pipe);

    free(call->answer);
    free(call);
}

static void call_close(struct call *call)
{
    struct call **at;

    if (call->admin == NULL) {
        return;
    }
    for (at = &call->admin->calls; *at != call; at = &(*at)->next) {
    }
    *at = call->next;
    call->admin->call_count--;
    call->admin = NULL;
    timer_close(call->deadline);
    uv_close((uv_handle_t *)&call->pipe, on_call_closed);
}

static void on_call_deadline(void *owner)
{
    call_close(owner);
}

static void on_call_written(uv_write_t *request, int status)
{
    (void)status;
    call_close(container_of(request, struct call, write));
}

/* The answer: "ok" or "no" first, which takes the place of "--" once known. */
static void answer(struct call *call)
{
    FILE *out = open_memstream(&call->answer, &call->answer_len);
    uv_buf_t bytes;
    bool is_done;

    if (out == NULL) {
        call_close(call);
        return;
    }
    (void)fputs("--\n", out);
    is_done = run(call->admin, call->line, out);
    if (fclose(out) != 0 || call->answer_len > UINT32_MAX) {
        call_close(call);
        return;
    }
    memcpy(call->answer, is_done ? "ok" : "no", 2);
    bytes = uv_buf_init(call->answer, (unsigned)call->answer_len);
    if (uv_write(&call->write, (uv_stream_t *)&call->pipe, &bytes, 1,
                 on_call_written) != 0) {
        call_close(call);
    }
}

static void on_call_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *out)
{
    struct call *call = container_of(handle, struct call, pipe);

    (void)hint;
    *out = uv_buf_init(call->line + call->len,
                       (unsigned)(sizeof(call->line) - call->len));
}

static void on_call_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct call *call = container_of(stream, struct call, pipe);
    char *end;

    (void)buf;
    if (len <= 0) {
        if (len < 0) {
            call_close(call);
        }
        return;
    }
    call->len += (size_t)len;
    end = memchr(call->line, '\n', call->len);
    if (end == NULL && call->len < sizeof(call->line)) {
        return;
    }
    (void)uv_read_stop(stream);
    if (end == NULL) {
        call_close(call);
        return;
    }
    *end = '\0';
    answer(call);
}

/* Only the relay's own user and root; the socket's mode says so already. */
static bool may_speak(const uv_pipe_t *pipe)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    uv_os_fd_t fd;

    return uv_fileno((const uv_handle_t *)pipe, &fd) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void on_admin_call(int fd, void *owner)
{
    struct admin *a = owner;
    struct call *call = calloc(1, sizeof(*call));

    if (call == NULL || uv_pipe_init(&a->loop->uv, &call->pipe, 0) != 0) {
        (void)close(fd);
        free(call);
        return;
    }
    call->admin = a;
    call->next = a->calls;
    a->calls = call;
    a->call_count++;
    call->deadline = timer_new(a->loop, on_call_deadline, call);
    if (uv_pipe_open(&call->pipe, fd) != 0) {
        (void)close(fd);
        call_close(call);
        return;
    }
    if (call->deadline == NULL || a->call_count > ADMIN_CALLS_MAX ||
        !may_speak(&call->pipe) ||
        uv_read_start((uv_stream_t *)&call->pipe, on_call_alloc,
                      on_call_read) != 0) {
        call_close(call);
        return;
    }
    timer_set(call->deadline, loop_now(a->loop) + ADMIN_CALL_US);
}

/* --- the socket ----------------------------------------------------------*/

/* Whether the socket's place is free; one left by a dead relay goes. */
static enum err clear_place(const struct sockaddr_un *at, const char **why)
{
    int fd = call_relay(at);

    if (fd >= 0) {
        (void)close(fd);
        *why = "another relay runs with this state folder";
        return ERR_IO;
    }
    if (errno == ENOENT ||
        (errno == ECONNREFUSED && unlink(at->sun_path) == 0)) {
        return ERR_OK;
    }
    *why = strerror(errno);
    return ERR_IO;
}

static enum err listen_there(struct admin *a, const struct sockaddr_un *at,
                             const char **why)
{
    mode_t before = umask(077);
    enum err e = listener_open(a->loop, (const struct sockaddr *)at,
                               on_admin_call, a, &a->listener, why);

    (void)umask(before);
    return e;
}

enum err admin_open(struct loop *l, const char *state,
                    const struct admin_handler *h, struct admin **out,
                    const char **why)
{
    struct sockaddr_un at;
    struct admin *a;

    if (socket_path(state, &at) != ERR_OK) {
        *why = "the state folder's path is too long for a socket in it";
        return ERR_IO;
    }
    TRY(clear_place(&at, why));
    a = calloc(1, sizeof(*a));
    if (a == NULL) {
        *why = error_text(ERR_NOMEM);
        return ERR_IO;
    }
    a->loop = l;
    a->handler = *h;
    memcpy(a->path, at.sun_path, sizeof(a->path));
    if (listen_there(a, &at, why) != ERR_OK) {
        free(a);
        return ERR_IO;
    }
    *out = a;
    return ERR_OK;
}

void admin_close(struct admin *a)
{
    if (a == NULL) {
        return;
    }
    while (a->calls != NULL) {
        call_close(a->calls);
    }
    listener_close(a->listener);
    (void)unlink(a->path);
    free(a);
}

/* --- the other end -------------------------------------------------------*/

/* Write |line| and a newline whole. */
static bool send_line(int fd, const char *line)
{
    char text[ADMIN_LINE_MAX];
    int len = snprintf(text, sizeof(text), "%s\n", line);

    return len > 0 && (size_t)len < sizeof(text) &&
           send(fd, text, (size_t)len, MSG_NOSIGNAL) == len;
}

static enum err pass_answer(int fd, FILE *out)
{
    FILE *in = fdopen(fd, "r");
    char status[8], text[4096];
    enum err error = ERR_IO;

    if (in == NULL) {
        (void)close(fd);
        return ERR_IO;
    }
    if (fgets(status, sizeof(status), in) != NULL) {
        error = strcmp(status, "ok\n") == 0 ? ERR_OK : ERR_REFUSED;
    }
    while (fgets(text, sizeof(text), in) != NULL) {
        (void)fputs(text, out);
    }
    error = ferror(in) ? ERR_IO : error;
    (void)fclose(in);
    return error;
}

enum err admin_ask(const char *state, const char *line, FILE *out)
{
    struct sockaddr_un at;
    int fd;

    TRY(socket_path(state, &at));
    fd = call_relay(&at);
    if (fd < 0) {
        return errno == ENOENT || errno == ECONNREFUSED ? ERR_ABSENT
               : errno == EACCES                        ? ERR_FILE
                                                        : ERR_IO;
    }
    if (!send_line(fd, line)) {
        (void)close(fd);
        return ERR_IO;
    }
    return pass_answer(fd, out);
}
