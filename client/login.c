/*
 * The invitation is never taken from the command line, where other users can
 * read it. Its seed signs once, on this login, and is wiped.
 */
#include "client/login.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "client/exit_code.h"
#include "client/handshake.h"

struct login_job {
    struct loop loop;
    struct identity identity;
    struct invitation invitation;
    struct relay_pin relay;
    struct handshake *handshake;
    int code;
};

static int say(int code, const char *what, const char *why)
{
    fprintf(stderr, "sallyport login: %s%s%s\n", what,
            why[0] == '\0' ? "" : ": ", why);
    return code;
}

static enum err read_text(FILE *f, char *text, size_t size, size_t *len)
{
    *len = fread(text, 1, size, f);
    return ferror(f) || *len == size ? ERR_FILE : ERR_OK;
}

/* One line from a terminal, all of a file or a pipe. */
static enum err read_invitation_text(const char *path, char *text, size_t size,
                                     size_t *len)
{
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    enum err err;
    FILE *f;

    if (is_stdin && isatty(STDIN_FILENO)) {
        fputs("Paste the invitation and press Enter: ", stderr);
        if (fgets(text, (int)size, stdin) == NULL) {
            return ERR_FILE;
        }
        *len = strlen(text);
        return ERR_OK;
    }
    if (is_stdin) {
        return read_text(stdin, text, size, len);
    }
    f = fopen(path, "re");
    if (f == NULL) {
        return ERR_FILE;
    }
    err = read_text(f, text, size, len);
    fclose(f);
    return err;
}

static int read_invitation(struct login_job *j, const char *path)
{
    char text[INVITATION_TEXT_MAX * 2];
    const char *why = "";
    size_t len = 0;
    enum err err;

    if (path != NULL && strncmp(path, "sallyport:", 10) == 0) {
        return say(EXIT_USAGE,
                   "not on the command line, where other users "
                   "can read it",
                   "run `sallyport login` and paste the invitation then");
    }
    errno = 0;
    if (read_invitation_text(path, text, sizeof(text), &len) != ERR_OK) {
        return say(EXIT_USAGE,
                   path != NULL ? path : "cannot read the invitation",
                   errno != 0 ? strerror(errno) : "too long or cut short");
    }
    err = invitation_decode(span_of(text, len), &j->invitation, &why);
    keys_wipe(text, sizeof(text));
    if (err != ERR_OK) {
        return say(EXIT_USAGE, "this is no invitation", why);
    }
    snprintf(j->relay.host, sizeof(j->relay.host), "%s", j->invitation.host);
    j->relay.port = j->invitation.port;
    memcpy(j->relay.keys[0], j->invitation.relay_key, KEY_LEN);
    j->relay.key_count = 1;
    return EXIT_OK;
}

static void on_handshake(void *owner, const struct handshake_result *r)
{
    struct login_job *j = owner;
    struct identity_error e;

    j->handshake = NULL;
    conn_close(r->conn, US_PER_S);
    if (r->error != ERR_OK) {
        j->code = say(exit_code_of(r->error), "not enrolled", r->why);
    } else if (identity_pin(&j->identity, &j->relay, &e) != ERR_OK) {
        j->code =
            say(EXIT_TROUBLE, "enrolled, but it cannot be remembered", e.text);
    } else {
        fprintf(stderr,
                "This machine may use the relay %s:%u now. Share a port with\n"
                "  sallyport http 8080\n",
                j->relay.host, (unsigned)j->relay.port);
        j->code = EXIT_OK;
    }
    loop_stop(&j->loop);
}

static int enrol(struct login_job *j)
{
    struct key_pair seed;
    struct handshake_options o = { .relay = &j->relay,
                                   .key = &j->identity.key,
                                   .enrol = &seed,
                                   .on_done = on_handshake,
                                   .owner = j };
    enum err err;

    o.login.minor_max = LOGIN_MINOR;
    o.login.epoch = 1;
    o.login.limits = (struct session_limits){ .window_first = WINDOW_FIRST,
                                              .streams_max = 1,
                                              .tunnels_max = 1 };
    if (loop_open(&j->loop) != ERR_OK) {
        return say(EXIT_TROUBLE, "no event loop", strerror(errno));
    }
    keys_from_seed(&seed, j->invitation.seed);
    keys_wipe(j->invitation.seed, sizeof(j->invitation.seed));
    err = handshake_start(&j->loop, &o, &j->handshake);
    keys_wipe(&seed, sizeof(seed));
    if (err != ERR_OK) {
        j->code = say(EXIT_TROUBLE, error_text(err), "");
    } else {
        loop_run(&j->loop);
    }
    loop_close(&j->loop);
    return j->code;
}

int login_run(const struct client_settings *s, const char *path)
{
    static struct login_job job;
    struct identity_error e;
    int code;

    job.code = EXIT_TROUBLE;
    if (identity_load(&job.identity, s->state, &e) != ERR_OK) {
        return say(EXIT_TROUBLE, e.text, "");
    }
    code = read_invitation(&job, path);
    if (code == EXIT_OK && identity_make_key(&job.identity, &e) != ERR_OK) {
        code = say(EXIT_TROUBLE, e.text, "");
    }
    if (code == EXIT_OK) {
        code = enrol(&job);
    }
    keys_wipe(&job.invitation, sizeof(job.invitation));
    identity_wipe(&job.identity);
    return code;
}
