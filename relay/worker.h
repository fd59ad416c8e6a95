/*
 * One loop with all it owns: listeners, pools, settings, store, names,
 * certificates, visitors and sessions. Everything of the running relay hangs
 * off it; nothing is global. One worker for now.
 */
#ifndef RELAY_WORKER_H
#define RELAY_WORKER_H

#include "common/keys.h"
#include "common/loop.h"
#include "common/timer.h"
#include "common/tls_context.h"
#include "proto/pool.h"
#include "relay/doors.h"
#include "relay/drain.h"
#include "relay/returning.h"
#include "relay/turnstile.h"

struct admin;
struct certs;
struct client_session;
struct keeper;
struct login_link;
struct arrival;
struct names;
struct quota;
struct redirect;
struct relay_settings;
struct signals;
struct store;
struct visitor;

/* The relay's identity in the state folder; the first to need it makes it. */
#define WORKER_IDENTITY_FILE "relay.key"

struct worker {
    struct loop loop;
    const struct relay_settings *settings;
    struct key_pair identity; /* the relay's own key */
    struct store *store;
    struct names *names;
    struct certs *certs;
    struct admin *admin;
    struct signals *signals;
    struct quota *quota;                 /* by visitor address */
    struct tls_context *link_context;    /* TLS for client links */
    struct pool receive_pool, sent_pool; /* of all sessions together */
    struct doors doors;
    struct drain drain;
    struct returning returning;
    size_t expecting;                       /* arrivals that wait for a name */
    struct keeper *keeper;                  /* NULL: none */
    struct turnstile turnstile;             /* what arrivals take of our time */
    struct arrival *arrivals;               /* accepted, not handed on yet */
    struct arrival *waiting, *waiting_last; /* of them, to be read */
    struct login_link *logins;              /* links before WELCOME */
    struct visitor *visitors;
    struct redirect *redirecting; /* connections on port 80 */
    struct client_session *sessions;
    uint32_t next_visitor; /* visitor connection ids */
    uint64_t next_session; /* for the log */
    struct timer *refresh; /* certificates */
    uint64_t local_ca_us;  /* when its certificate was last looked at */
    uint8_t *scratch;      /* HEAD_MAX, for one call */
};

/*
 * Read the relay's identity from the folder |state|, made there when absent
 * (the folder exists). ERR_FILE with |*why|.
 */
MUST_CHECK enum err worker_identity(const char *state, struct key_pair *out,
                                    const char **why);

/*
 * Run the relay with |settings| until it is stopped: opens the store, the
 * identity, the certificates and the doors (by |passed|, of which there may be
 * none), prints where it listens, serves. keys_start() was called. |keeper| is
 * told when a successor may start; NULL is fine. SIGTERM and SIGINT drain (a
 * second one quits), SIGHUP reads the certificates anew. The result is the
 * program's exit code: 0 when it was stopped, 1 when it could not start; what
 * went wrong was said on standard error.
 */
int worker_run(const struct relay_settings *settings, struct activation *passed,
               struct keeper *keeper);

/* A number for a visitor's connection, unique among live ones. */
uint32_t worker_visitor_id(struct worker *w);

#endif
