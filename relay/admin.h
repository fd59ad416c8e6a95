/*
 * The operator's commands to a running relay: one line over a unix socket in
 * the state folder, a text back. Only the relay's own user and root may speak.
 */
#ifndef RELAY_ADMIN_H
#define RELAY_ADMIN_H

#include <stdio.h>

#include "common/address.h"
#include "common/loop.h"

#define ADMIN_LINE_MAX 512u
#define ADMIN_CALLS_MAX 8u

/* What `sessions` prints of one session. */
struct admin_session {
    uint64_t id; /* the worker's number, not the wire's */
    uint8_t key[KEY_LEN];
    char key_name[64];
    char peer[ADDRESS_TEXT_MAX];
    int64_t since_s;  /* wall clock */
    bool is_parked;   /* its link is away */
    bool is_full;     /* more is to be sent than the link takes away */
    uint32_t streams; /* live now */
    uint64_t exchanges;
    uint64_t rtt_us;
    uint64_t jitter_us;
    uint64_t waiting; /* bytes that the link has not taken yet */
    uint32_t resumes; /* links that went on where one was lost */
    char names[512];  /* labels, by spaces; cut when too long */
};

/* Given by the worker; called on its loop. */
struct admin_handler {
    /* Fill |out| with the session number |index| from 0; false: no more. */
    bool (*session_at)(void *owner, size_t index, struct admin_session *out);
    /* End session |id| and its streams at once, telling it |reason|
     * (ERR_REVOKED, or ERR_SHUTDOWN for a kick, after which it may return). */
    void (*session_end)(void *owner, uint64_t id, enum err reason);
    void *owner;
};

struct admin;

/* Listen on STATE/admin.sock. ERR_IO with |*why|. */
MUST_CHECK enum err admin_open(struct loop *l, const char *state,
                               const struct admin_handler *h,
                               struct admin **out, const char **why);

/* No call follows; the socket file goes. NULL is fine. */
void admin_close(struct admin *a);

/*
 * The other end, blocking: send |line| to the relay that runs on |state| and
 * write its answer to |out|. ERR_ABSENT: no relay runs; ERR_REFUSED: it said
 * no (the answer, written all the same, says why); ERR_FILE: this user may
 * not ask; ERR_IO.
 */
MUST_CHECK enum err admin_ask(const char *state, const char *line, FILE *out);

#endif
