/*
 * A plain GET of /api/config over a connection of its own. Any service may
 * answer anything: only a JSON object that says features.auth is false, as
 * Open WebUI's does, makes us warn.
 */
#include "client/probe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/dial.h"
#include "common/http/h1_parser.h"
#include "common/timer.h"

#define PROBE_RETRY_US (1 * US_PER_S)
#define PROBE_ANSWER_US (5 * US_PER_S)
#define PROBE_BODY_MAX (64u * KIB)

struct probe {
    struct loop *loop;
    struct probe_options o;
    struct timer *timer;
    struct dial *dial;
    struct conn *conn;
    struct h1_parser *parser;
    char *body;
    size_t body_len;
    bool is_missing; /* PROBE_NOTHING_LISTENS was told */
    bool is_ok;      /* the response's status is 200 */
};

static void hang_up(struct probe *p)
{
    conn_close(p->conn, 0);
    p->conn = NULL;
    h1_parser_free(p->parser);
    p->parser = NULL;
    free(p->body);
    p->body = NULL;
    p->body_len = 0;
    timer_stop(p->timer);
}

static bool says_no_login(const struct probe *p)
{
    json_t *root = json_loadb(p->body, p->body_len, 0, NULL);
    json_t *features = json_object_get(root, "features");
    json_t *auth = json_object_get(features, "auth");
    bool is_open = json_is_false(auth);

    json_decref(root);
    return is_open;
}

static void on_body(struct probe *p, struct span bytes)
{
    size_t room = PROBE_BODY_MAX - p->body_len;
    size_t take = bytes.len < room ? bytes.len : room;

    if (p->body == NULL) {
        p->body = malloc(PROBE_BODY_MAX);
    }
    if (p->body == NULL || take == 0) {
        return;
    }
    memcpy(p->body + p->body_len, bytes.data, take);
    p->body_len += take;
}

static void on_answer(struct probe *p)
{
    bool is_open = p->is_ok && p->body != NULL && says_no_login(p);

    hang_up(p);
    if (is_open) {
        p->o.on_finding(p->o.owner, PROBE_NO_LOGIN, "");
    }
}

/* Feed what has come; whether the answer is whole or no HTTP. */
static bool read_answer(struct probe *p)
{
    enum h1_event event;
    size_t used;

    for (;;) {
        struct span in = conn_input(p->conn);

        if (in.len == 0) {
            return false;
        }
        if (h1_parser_step(p->parser, in, &used, &event) != ERR_OK) {
            return true;
        }
        if (event == H1_HEAD) {
            p->is_ok = h1_parser_head(p->parser)->status == 200;
        } else if (event == H1_BODY) {
            on_body(p, h1_parser_body(p->parser));
        }
        conn_consume(p->conn, used);
        if (event == H1_END || event == H1_RAW) {
            return true;
        }
    }
}

static void on_conn(struct conn *c, enum conn_event event, void *owner)
{
    struct probe *p = owner;

    (void)c;
    switch (event) {
    case CONN_UP:
    case CONN_SENT:
        break;
    case CONN_DATA:
        if (read_answer(p)) {
            on_answer(p);
        }
        break;
    case CONN_EOF:
    case CONN_DOWN:
        on_answer(p);
        break;
    }
}

static void ask(struct probe *p)
{
    char authority[TARGET_TEXT_MAX];
    char request[TARGET_TEXT_MAX + 100];
    struct h1_expect expect = { 0 };
    int len;

    target_authority(p->o.target, authority, sizeof(authority));
    len = snprintf(request, sizeof(request),
                   "GET /api/config HTTP/1.1\r\nhost: %s\r\n"
                   "accept: application/json\r\nconnection: close\r\n\r\n",
                   authority);
    p->parser = h1_parser_new(H1_RESPONSES);
    if (p->parser == NULL ||
        conn_write(p->conn, span_of(request, (size_t)len)) != ERR_OK) {
        hang_up(p);
        return;
    }
    h1_parser_expect(p->parser, &expect);
    timer_set(p->timer, p->loop->now_us + PROBE_ANSWER_US);
    conn_resume(p->conn);
}

static void on_dial(struct conn *c, enum err error, const char *why,
                    void *owner)
{
    struct probe *p = owner;
    bool was_missing = p->is_missing;

    p->dial = NULL;
    p->is_missing = error != ERR_OK;
    if (error != ERR_OK) {
        timer_set(p->timer, loop_now(p->loop) + PROBE_RETRY_US);
        if (!was_missing) {
            p->o.on_finding(p->o.owner, PROBE_NOTHING_LISTENS, why);
        }
        return;
    }
    p->conn = c;
    conn_set_owner(c, on_conn, p);
    ask(p);
    if (was_missing) {
        p->o.on_finding(p->o.owner, PROBE_LISTENS, "");
    }
}

static void dial(struct probe *p)
{
    struct dial_options o = {
        .host = p->o.target->host,
        .port = p->o.target->port,
        .tls = p->o.target->is_tls ? p->o.tls : NULL,
        .deadline_us = LOCAL_CONNECT_US,
        .on_done = on_dial,
        .owner = p,
    };

    if (dial_start(p->loop, &o, &p->dial) != ERR_OK) {
        timer_set(p->timer, p->loop->now_us + PROBE_RETRY_US);
    }
}

/* Either the time for the next try, or the answer takes too long. */
static void on_timer(void *owner)
{
    struct probe *p = owner;

    if (p->conn != NULL) {
        hang_up(p);
        return;
    }
    dial(p);
}

struct probe *probe_new(struct loop *l, const struct probe_options *o)
{
    struct probe *p = calloc(1, sizeof(*p));

    if (p == NULL) {
        return NULL;
    }
    p->loop = l;
    p->o = *o;
    p->timer = timer_new(l, on_timer, p);
    if (p->timer == NULL) {
        free(p);
        return NULL;
    }
    dial(p);
    return p;
}

void probe_free(struct probe *p)
{
    if (p == NULL) {
        return;
    }
    dial_cancel(p->dial);
    hang_up(p);
    timer_close(p->timer);
    free(p);
}
