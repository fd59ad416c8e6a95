/*
 * Copies in chunks, because event bytes are good for the event only. Trailers
 * are one block, and the last thing but FIN.
 */
#include "client/early.h"

enum err early_keep(struct early *e, const struct session_event *event)
{
    struct chunk *c;

    e->has_fin = e->has_fin || event->fin;
    if (event->bytes.len == 0) {
        return ERR_OK;
    }
    c = chunk_copy(event->bytes);
    if (c == NULL) {
        return ERR_NOMEM;
    }
    if (event->kind == EVENT_HEAD) {
        chunk_free(e->trailers);
        e->trailers = c;
    } else {
        chunk_queue_put(&e->body, c);
    }
    return ERR_OK;
}

void early_clear(struct early *e)
{
    chunk_queue_clear(&e->body);
    chunk_free(e->trailers);
    *e = (struct early){ .trailers = NULL };
}
