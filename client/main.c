/* The verb table: which word of the command line does what, and the help. */
#include <stdio.h>
#include <string.h>

#include "client/exit_code.h"
#include "client/login.h"
#include "client/share.h"
#include "common/keys.h"
#include "common/log.h"
#include "common/near.h"

#define REST_MAX 4

/* |rest| are the words that are no flags, the verb's own first. */
struct words {
    const char *rest[REST_MAX];
    size_t count;
};

struct verb {
    const char *name;
    const char *words; /* as in the help */
    size_t words_min, words_max;
    int (*run)(struct client_settings *s, const struct words *w);
    const char *text;
};

static int usage(const char *what)
{
    fprintf(stderr, "sallyport: %s\nTry: sallyport --help\n", what);
    return EXIT_USAGE;
}

static int wrong_words(const struct verb *v)
{
    char what[160];

    snprintf(what, sizeof(what), "%s takes %s%s", v->name,
             v->words_max == 0   ? "no further words"
             : v->words_min == 0 ? "at most one word: "
                                 : "one target: ",
             v->words);
    return usage(what);
}

static int run_login(struct client_settings *s, const struct words *w)
{
    return login_run(s, w->count > 0 ? w->rest[0] : NULL);
}

static int run_http(struct client_settings *s, const struct words *w)
{
    struct tunnel_settings *t = &s->tunnels[0];

    if (strlen(w->rest[0]) >= sizeof(t->target)) {
        return usage("the target is too long");
    }
    memset(t, 0, sizeof(*t));
    memcpy(t->target, w->rest[0], strlen(w->rest[0]) + 1);
    memcpy(t->name, s->name, sizeof(t->name));
    memcpy(t->host_header, s->host_header, sizeof(t->host_header));
    s->tunnel_count = 1;
    return share_run(s);
}

static int run_start(struct client_settings *s, const struct words *w)
{
    (void)w;
    if (s->tunnel_count == 0) {
        return usage("nothing to share: the settings file has no tunnels\n"
                     "(~/.config/sallyport/config.yaml, or that of --config; "
                     "a sample is deploy/config.yaml)");
    }
    if (s->name[0] != '\0' || s->host_header[0] != '\0') {
        return usage("--name and --host-header stand under each tunnel of the "
                     "settings file");
    }
    return share_run(s);
}

static int run_version(struct client_settings *s, const struct words *w)
{
    (void)s;
    (void)w;
    puts("sallyport " SALLYPORT_VERSION);
    return EXIT_OK;
}

static int run_help(struct client_settings *s, const struct words *w);

static const struct verb verbs[] = {
    { "login", "[FILE]", 0, 1, run_login,
      "redeem an invitation (asked for, from FILE or standard input)" },
    { "http", "PORT|HOST:PORT|URL", 1, 1, run_http,
      "share a local service under a public https name" },
    { "start", "", 0, 0, run_start, "share every tunnel of the settings file" },
    { "version", "", 0, 0, run_version, "print the version" },
    { "help", "", 0, 1, run_help, "print this help" },
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static int run_help(struct client_settings *s, const struct words *w)
{
    (void)s;
    (void)w;
    puts("sallyport: share a local port under a public https name, through\n"
         "your team's relay.\n\nUsage: sallyport VERB [WORD] [FLAGS]\n");
    for (size_t i = 0; i < VERB_COUNT; i++) {
        char line[80];

        snprintf(line, sizeof(line), "%s %s", verbs[i].name, verbs[i].words);
        settings_help_line(line, verbs[i].text, stdout);
    }
    puts("\nFlags (and keys of the settings file):");
    client_settings_help(stdout);
    puts("\nExit codes: 0 done, 1 trouble (network, files), 2 wrong usage or\n"
         "settings, 3 another client of this key took over, 4 refused by the\n"
         "relay (invitation, key or name).\n\nExamples:\n"
         "  sallyport login < invitation.txt\n"
         "  sallyport http 8080 --name demo\n"
         "  sallyport http https://localhost:8443 --insecure-target");
    return EXIT_OK;
}

static const struct verb *find_verb(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(verbs[i].name, name) == 0) {
            return &verbs[i];
        }
    }
    return NULL;
}

static int unknown_verb(const char *word)
{
    char shown[80], what[200];
    const char *meant = NULL;

    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (near_distance(span_text(word), verbs[i].name) <= NEAR_ENOUGH) {
            meant = verbs[i].name;
            break;
        }
    }
    log_escape(span_text(word), shown, sizeof(shown));
    snprintf(what, sizeof(what), "%s: there is no such verb%s%s%s", shown,
             meant == NULL ? "" : "; did you mean ", meant == NULL ? "" : meant,
             meant == NULL ? "" : "?");
    return usage(what);
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static struct client_settings settings;
    struct settings_error e;
    struct words words = { .count = 0 };
    struct settings_line line = { .rest = words.rest, .rest_max = REST_MAX };
    const struct verb *verb;

    if (argc < 2 || asks_for_help(argc, argv)) {
        run_help(NULL, NULL);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    verb = find_verb(argv[1]);
    if (verb == NULL) {
        return unknown_verb(argv[1]);
    }
    line.argc = argc - 1;
    line.argv = argv + 1;
    if (keys_start() != ERR_OK) {
        return usage("libsodium does not start");
    }
    if (client_settings_read(&settings, &line, &e) != ERR_OK) {
        return usage(e.text);
    }
    words.count = line.rest_count;
    if (words.count < verb->words_min || words.count > verb->words_max) {
        return wrong_words(verb);
    }
    log_set_level(settings.log_level);
    return verb->run(&settings, &words);
}
