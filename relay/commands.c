/*
 * The operator's commands, see commands.h. Explanations go to stderr, so that
 * an invitation or a list can be piped on.
 */
#include "relay/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/activation.h"
#include "common/address.h"
#include "common/clock.h"
#include "common/folders.h"
#include "common/invitation.h"
#include "common/keys.h"
#include "relay/admin.h"
#include "relay/certs.h"
#include "relay/keeper.h"
#include "relay/store.h"
#include "relay/worker.h"

#define TIME_TEXT_MAX 32u

static int complain(const char *what, const char *why)
{
    (void)fprintf(stderr, "sallyport-relay: %s%s%s\n", what,
                  why[0] == '\0' ? "" : ": ", why);
    return EXIT_FAILED;
}

/* The store of |s|, or NULL with what is wrong said. Root uses it as the
 * relay's own user: files of root's in it would stop the relay. */
static struct store *open_store(const struct relay_settings *s)
{
    struct store *store;
    const char *why = "";

    if (folders_become_owner(s->state, &why) != ERR_OK) {
        (void)complain(s->state, why);
        return NULL;
    }
    store = store_new();
    if (store == NULL) {
        (void)complain(error_text(ERR_NOMEM), "");
        return NULL;
    }
    if (store_open(store, s->state) != ERR_OK) {
        (void)complain(store_why(store), "");
        store_free(store);
        return NULL;
    }
    return store;
}

static void time_text(int64_t at_s, char out[TIME_TEXT_MAX])
{
    time_t at = (time_t)at_s;
    struct tm utc;

    out[0] = '\0';
    if (gmtime_r(&at, &utc) != NULL) {
        (void)strftime(out, TIME_TEXT_MAX, "%Y-%m-%d %H:%M UTC", &utc);
    }
}

/* What |run_relay| is about. */
struct relay_run {
    const struct relay_settings *settings;
    struct activation passed;
};

static int run_relay(void *owner, struct keeper *k)
{
    struct relay_run *r = owner;

    return worker_run(r->settings, &r->passed, k);
}

int commands_run(const struct command *c)
{
    struct relay_run r = { .settings = &c->settings };

    log_set_level(c->settings.log_level);
    if (activation_take(&r.passed) != ERR_OK) {
        return complain("cannot use the sockets that were passed (LISTEN_FDS)",
                        r.passed.why);
    }
    return r.passed.count > 0 ? keeper_run(&r.passed, run_relay, &r)
                              : run_relay(&r, NULL);
}

/* A name an operator can type again: no blanks, nothing a shell would eat. */
static bool is_key_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-@+";
    size_t len = strlen(name);

    return len > 0 && len < STORE_TEXT_MAX && strspn(name, allowed) == len &&
           name[0] != '-';
}

/* Fill in |i|: what the machine needs to find and know this relay. */
static enum err fill_invitation(const struct relay_settings *s,
                                struct invitation *i, struct key_pair *seed)
{
    struct key_pair identity;
    const char *why = "";

    if (worker_identity(s->state, &identity, &why) != ERR_OK) {
        char what[RELAY_PATH_MAX + 64];

        (void)snprintf(what, sizeof(what), "the relay's key %s/%s", s->state,
                       WORKER_IDENTITY_FILE);
        (void)complain(what, why);
        return ERR_FILE;
    }
    memset(i, 0, sizeof(*i));
    memcpy(i->relay_key, identity.public_key, KEY_LEN);
    keys_wipe(&identity, sizeof(identity));
    TRY(address_split(span_text(s->invite_host), (uint16_t)s->public_port,
                      i->host, sizeof(i->host), &i->port));
    keys_make(seed);
    memcpy(i->seed, seed->seed, KEY_SEED_LEN);
    return ERR_OK;
}

int commands_invite(const struct command *c)
{
    const struct relay_settings *s = &c->settings;
    struct store_invitation row = { .uses_left = (uint32_t)s->uses };
    char text[INVITATION_TEXT_MAX], until[TIME_TEXT_MAX];
    int64_t now_s = clock_wall_s();
    struct store *store;
    struct invitation i;
    struct key_pair seed;

    if (!is_key_name(c->words[0])) {
        (void)complain(c->words[0], "a name is 1 to 63 letters, digits and "
                                    "any of ._-@+");
        return EXIT_USAGE;
    }
    store = open_store(s);
    if (store == NULL) {
        return EXIT_FAILED;
    }
    if (fill_invitation(s, &i, &seed) != ERR_OK) {
        store_free(store);
        return EXIT_FAILED;
    }
    memcpy(row.enrol_key, seed.public_key, KEY_LEN);
    memcpy(row.name, c->words[0], strlen(c->words[0]) + 1);
    row.expires_s = now_s + (int64_t)(s->expires_us / US_PER_S);
    invitation_encode(&i, text, sizeof(text));
    keys_wipe(&seed, sizeof(seed));
    keys_wipe(&i, sizeof(i));
    if (store_invite(store, &row, now_s) != ERR_OK ||
        store_audit(store, now_s, "invite", row.name) != ERR_OK) {
        (void)complain(store_why(store), "");
        store_free(store);
        return EXIT_FAILED;
    }
    store_free(store);
    time_text(row.expires_s, until);
    (void)printf("%s\n", text);
    (void)fprintf(stderr,
                  "Send this line to %s over a private channel. It is good "
                  "until %s, for %" PRIu64 " machine%s:\n"
                  "run `sallyport login` there and paste it.\n",
                  row.name, until, s->uses, s->uses == 1 ? "" : "s");
    keys_wipe(text, sizeof(text));
    return EXIT_DONE;
}

static void print_key(const struct store_key *k, void *owner)
{
    char key[KEY_TEXT_LEN], added[TIME_TEXT_MAX], revoked[TIME_TEXT_MAX] = "";

    if ((*(size_t *)owner)++ == 0) {
        (void)printf("%-43s  %-20s  %-20s  %s\n", "KEY", "NAME", "ADDED",
                     "REVOKED");
    }
    keys_to_text(k->key, KEY_LEN, key, sizeof(key));
    time_text(k->added_s, added);
    if (k->revoked_s != 0) {
        time_text(k->revoked_s, revoked);
    }
    (void)printf("%-43s  %-20s  %-20s  %s\n", key, k->name, added,
                 revoked[0] == '\0' ? "-" : revoked);
}

int commands_keys(const struct command *c)
{
    struct store *store = open_store(&c->settings);
    size_t count = 0;
    int code = EXIT_DONE;

    if (store == NULL) {
        return EXIT_FAILED;
    }
    if (store_each_key(store, print_key, &count) != ERR_OK) {
        code = complain(store_why(store), "");
    } else if (count == 0) {
        (void)fputs("no keys yet: `sallyport-relay invite NAME` prints an "
                    "invitation\n",
                    stderr);
    }
    store_free(store);
    return code;
}

static void print_name(const struct store_name *n, void *owner)
{
    char key[KEY_TEXT_LEN], used[TIME_TEXT_MAX];

    if ((*(size_t *)owner)++ == 0) {
        (void)printf("%-32s  %-20s  %-12s  %s\n", "NAME", "OF", "KEY",
                     "LAST USED");
    }
    keys_to_text(n->key, KEY_LEN, key, sizeof(key));
    time_text(n->used_s, used);
    (void)printf("%-32s  %-20s  %-12.10s  %s\n", n->label, n->key_name, key,
                 used);
}

int commands_names(const struct command *c)
{
    struct store *store = open_store(&c->settings);
    size_t count = 0;
    int code = EXIT_DONE;

    if (store == NULL) {
        return EXIT_FAILED;
    }
    if (store_each_name(store, print_name, &count) != ERR_OK) {
        code = complain(store_why(store), "");
    } else if (count == 0) {
        (void)fputs("no names yet\n", stderr);
    }
    store_free(store);
    return code;
}

/* Ask the running relay; |silence| is what it means that none runs. */
static int ask(const struct command *c, const char *line, const char *silence)
{
    enum err error = admin_ask(c->settings.state, line, stdout);

    if (error == ERR_ABSENT) {
        char what[RELAY_PATH_MAX + 64];

        (void)snprintf(what, sizeof(what), "no relay runs with state %s",
                       c->settings.state);
        return complain(what, silence);
    }
    if (error == ERR_FILE) {
        return complain(c->settings.state, "only root and the relay's own user "
                                           "may ask: try sudo");
    }
    if (error != ERR_OK && error != ERR_REFUSED) {
        return complain("the relay did not answer", error_text(error));
    }
    return error == ERR_OK ? EXIT_DONE : EXIT_FAILED;
}

int commands_sessions(const struct command *c)
{
    return ask(c, "sessions", "start it, or say which with --state");
}

int commands_kick(const struct command *c)
{
    char line[ADMIN_LINE_MAX];
    int len = snprintf(line, sizeof(line), "kick %s", c->words[0]);

    if (len >= (int)sizeof(line) - 1 || strpbrk(c->words[0], "\r\n") != NULL) {
        (void)complain("kick", "give a session's number, a name or a key");
        return EXIT_USAGE;
    }
    return ask(c, line, "start it, or say which with --state");
}

/* The running relay, if there is one, cuts the key's sessions at once. */
static int cut_sessions(const struct command *c, const struct store_key *k)
{
    char line[ADMIN_LINE_MAX], key[KEY_TEXT_LEN];
    enum err error;

    keys_to_text(k->key, KEY_LEN, key, sizeof(key));
    (void)snprintf(line, sizeof(line), "revoke %s", key);
    (void)printf("revoked %s (%s)\n", key, k->name);
    error = admin_ask(c->settings.state, line, stdout);
    if (error != ERR_OK && error != ERR_ABSENT) {
        return complain("the key is revoked, but the running relay could not "
                        "be told: restart it to cut its sessions",
                        error_text(error));
    }
    return EXIT_DONE;
}

/* No key is meant: perhaps nobody has used the invitation yet. */
static int revoke_invitations(struct store *store, const char *name)
{
    char why[300];
    uint64_t count = 0;

    (void)snprintf(why, sizeof(why), "%.299s", store_why(store));
    if (store_uninvite(store, name, &count) != ERR_OK ||
        (count > 0 &&
         store_audit(store, clock_wall_s(), "uninvite", name) != ERR_OK)) {
        return complain(name, store_why(store));
    }
    if (count == 0) {
        return complain(name, why);
    }
    (void)printf("%" PRIu64 " invitation%s of %s ended\n", count,
                 count == 1 ? "" : "s", name);
    return EXIT_DONE;
}

static int revoke_key(const struct command *c, struct store *store,
                      const struct store_key *k)
{
    int64_t now_s = clock_wall_s();

    if (store_revoke(store, k->key, now_s) != ERR_OK ||
        store_audit(store, now_s, "revoke", k->name) != ERR_OK) {
        return complain(c->words[0], store_why(store));
    }
    return cut_sessions(c, k);
}

int commands_revoke(const struct command *c)
{
    struct store *store = open_store(&c->settings);
    struct store_key k;
    enum err error;
    int code;

    if (store == NULL) {
        return EXIT_FAILED;
    }
    error = store_key_find(store, c->words[0], &k);
    if (error == ERR_OK) {
        code = revoke_key(c, store, &k);
    } else if (error == ERR_ABSENT) {
        code = revoke_invitations(store, c->words[0]);
    } else {
        code = complain(c->words[0], store_why(store));
    }
    store_free(store);
    return code;
}

int commands_check(const struct command *c)
{
    const struct relay_settings *s = &c->settings;
    const char *folder = s->certs;
    struct certs *certs;
    size_t count;

    relay_settings_print(s, stdout);
    if (folder[0] == '\0') {
        return EXIT_DONE;
    }
    certs = certs_new(&folder, 1);
    if (certs == NULL) {
        return complain(error_text(ERR_NOMEM), "");
    }
    /* What is wrong with a file or the folder stands in the log: stderr. */
    certs_refresh(certs);
    count = certs_count(certs);
    certs_free(certs);
    if (count == 0 && !s->local_ca) {
        return complain(folder, "no usable certificate there, so no visitor "
                                "could connect");
    }
    return EXIT_DONE;
}
