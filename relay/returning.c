/*
 * A name that was served once since the start and is not now has no client: it
 * is not expected any more, and its visitors hear so at once.
 */
#include "relay/returning.h"

#include "common/log.h"
#include "proto/hostname.h"
#include "relay/edge.h"
#include "relay/names.h"
#include "relay/relay_settings.h"
#include "relay/store.h"
#include "relay/worker.h"

enum err returning_begin(struct worker *w)
{
    w->returning.back = names_new();
    if (w->returning.back == NULL) {
        return ERR_NOMEM;
    }
    w->returning.until_us = loop_now(&w->loop) + RETURNING_US;
    return ERR_OK;
}

void returning_deinit(struct worker *w)
{
    names_free(w->returning.back);
    w->returning.back = NULL;
}

static bool is_over(const struct worker *w)
{
    return w->loop.now_us >= w->returning.until_us;
}

bool returning_expects(const struct worker *w, const char *host)
{
    struct span label = hostname_label(host, w->settings->domain);
    struct names_holder nobody;
    struct store_name known;

    return !is_over(w) && label.data != NULL && label.len > 0 &&
           !names_find(w->returning.back, label, &nobody) &&
           store_name(w->store, label, &known) == ERR_OK;
}

void returning_came(struct worker *w, const char *label)
{
    struct names_holder somebody = { .session = w };
    struct names_holder before;

    if (is_over(w)) {
        return;
    }
    if (names_claim(w->returning.back, label, somebody, &before) != ERR_OK) {
        LOG(LOG_DEBUG, "return-not-noted", log_text("name", label));
        return; /* they are let in when they have waited long enough */
    }
    edge_let_returned_in(w);
}
