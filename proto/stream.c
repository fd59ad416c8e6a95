/*
 * The state table of a stream and its intrusive lists. Nothing answers OPEN,
 * so there is no opening state; GONE is dropped and counted, never an error,
 * because resets cross (PROTOCOL.md, "Streams").
 */
#include "proto/stream.h"

#include <stdlib.h>

#define BAD STREAM_STATES
#define GONE (STREAM_STATES + 1)

/* clang-format off */
static const unsigned char next_state[STREAM_STATES][STREAM_INPUTS] = {
    /*                    SEND_FIN         RECV_FIN        RESET       */
    [STREAM_OPEN]     = { STREAM_SENT_FIN, STREAM_GOT_FIN, STREAM_DONE },
    [STREAM_SENT_FIN] = { BAD,             STREAM_DONE,    STREAM_DONE },
    [STREAM_GOT_FIN]  = { STREAM_DONE,     BAD,            STREAM_DONE },
    [STREAM_DONE]     = { GONE,            GONE,           GONE        },
};
/* clang-format on */

struct stream *stream_new(uint32_t id, uint8_t slot,
                          const struct frame_open *open)
{
    struct stream *st = calloc(1, sizeof(*st));

    if (st == NULL) {
        return NULL;
    }
    st->id = id;
    st->slot = slot;
    st->tunnel = open->tunnel;
    st->kind = open->kind;
    st->open = *open;
    st->state = STREAM_OPEN;
    return st;
}

void stream_free(struct stream *st)
{
    if (st == NULL) {
        return;
    }
    assert(st->unsent.count == 0);
    for (unsigned kind = 0; kind < STREAM_LIST_KINDS; kind++) {
        assert(st->links[kind].list == NULL);
    }
    collector_deinit(&st->collector);
    free(st);
}

enum err stream_apply(struct stream *st, enum stream_input input)
{
    unsigned next = next_state[st->state][input];

    if (next == BAD) {
        return ERR_PROTOCOL;
    }
    if (next == GONE) {
        return ERR_ABSENT;
    }
    st->state = (enum stream_state)next;
    return ERR_OK;
}

uint64_t stream_held(const struct stream *st)
{
    return st->window.received - st->window.consumed;
}

void stream_list_put(struct stream_list *list, enum stream_list_kind kind,
                     struct stream *st)
{
    struct stream_link *link = &st->links[kind];

    assert(link->list == NULL);
    link->list = list;
    link->prev = list->last;
    link->next = NULL;
    if (list->last != NULL) {
        list->last->links[kind].next = st;
    } else {
        list->first = st;
    }
    list->last = st;
}

void stream_list_put_first(struct stream_list *list, enum stream_list_kind kind,
                           struct stream *st)
{
    struct stream_link *link = &st->links[kind];

    assert(link->list == NULL);
    link->list = list;
    link->prev = NULL;
    link->next = list->first;
    if (list->first != NULL) {
        list->first->links[kind].prev = st;
    } else {
        list->last = st;
    }
    list->first = st;
}

void stream_list_leave(struct stream *st, enum stream_list_kind kind)
{
    struct stream_link *link = &st->links[kind];

    if (link->list == NULL) {
        return;
    }
    if (link->prev != NULL) {
        link->prev->links[kind].next = link->next;
    } else {
        link->list->first = link->next;
    }
    if (link->next != NULL) {
        link->next->links[kind].prev = link->prev;
    } else {
        link->list->last = link->prev;
    }
    *link = (struct stream_link){ .list = NULL };
}

bool stream_list_has(const struct stream *st, enum stream_list_kind kind)
{
    return st->links[kind].list != NULL;
}
