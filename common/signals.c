/*
 * Signals as named events of the loop, see signals.h: one uv_signal_t each,
 * and a count of the requests to end.
 */
#include "common/signals.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#define SIGNALS_COUNT 3u

static const int signals_caught[SIGNALS_COUNT] = { SIGINT, SIGTERM, SIGHUP };

/* The handle stands first: a pointer to it is a pointer to its catcher. */
struct catcher {
    uv_signal_t handle;
    struct signals *home;
};

struct signals {
    struct catcher catchers[SIGNALS_COUNT];
    unsigned open_count; /* handles that the loop has not closed yet */
    unsigned ends;       /* requests to end so far */
    bool is_closing;
    signals_fn *fn;
    void *owner;
};

static void on_signals_signal(uv_signal_t *handle, int signum)
{
    struct signals *s = ((struct catcher *)handle)->home;

    if (s->is_closing) {
        return;
    }
    if (signum == SIGHUP) {
        s->fn(SIGNALS_RELOAD, s->owner);
        return;
    }
    s->ends++;
    s->fn(s->ends == 1 ? SIGNALS_DRAIN : SIGNALS_QUIT, s->owner);
}

struct signals *signals_open(struct loop *l, signals_fn *fn, void *owner)
{
    struct signals *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->fn = fn;
    s->owner = owner;
    (void)signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < SIGNALS_COUNT; i++) {
        struct catcher *c = &s->catchers[i];

        c->home = s;
        if (uv_signal_init(&l->uv, &c->handle) != 0) {
            goto fail;
        }
        s->open_count++;
        if (uv_signal_start(&c->handle, on_signals_signal, signals_caught[i]) !=
            0) {
            goto fail;
        }
        /* Waiting for a signal alone is no reason for the loop to run on. */
        uv_unref((uv_handle_t *)&c->handle);
    }
    return s;

fail:
    if (s->open_count == 0) {
        free(s);
    } else {
        signals_close(s);
    }
    return NULL;
}

static void on_signals_closed(uv_handle_t *handle)
{
    struct signals *s = ((struct catcher *)(void *)handle)->home;

    s->open_count--;
    if (s->open_count == 0) {
        free(s);
    }
}

void signals_close(struct signals *s)
{
    unsigned count = s == NULL ? 0 : s->open_count;

    if (s == NULL || s->is_closing) {
        return;
    }
    s->is_closing = true;
    for (unsigned i = 0; i < count; i++) {
        uv_close((uv_handle_t *)&s->catchers[i].handle, on_signals_closed);
    }
}
