/*
 * sallyport-relay: which verb it is, the settings, and the help. What a verb
 * does is commands' matter, running the relay worker's.
 */
#include <stdio.h>
#include <string.h>

#include "common/keys.h"
#include "common/near.h"
#include "relay/commands.h"

struct verb {
    const char *name;
    const char *word; /* the one word after it; NULL none */
    const char *text;
    int (*run)(const struct command *c);
};

static const struct verb verbs[] = {
    { "run", NULL, "run the relay in the foreground", commands_run },
    { "invite", "NAME", "print an invitation for a machine", commands_invite },
    { "keys", NULL, "list the machines' keys", commands_keys },
    { "names", NULL, "list the names and whose they are", commands_names },
    { "sessions", NULL, "list who is connected now", commands_sessions },
    { "kick", "WHICH", "end a session (number, name or key); it may return",
      commands_kick },
    { "revoke", "WHICH", "refuse a key (or its name) for ever, at once",
      commands_revoke },
    { "check", NULL, "check the settings and print them", commands_check },
};

#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static int help(FILE *out)
{
    (void)fputs("Usage: sallyport-relay VERB [WORD] [FLAGS]\n\n"
                "The public end of Sallyport: visitors come in by https, and "
                "go through tunnels\nto the machines that you invited.\n\n",
                out);
    for (size_t i = 0; i < VERB_COUNT; i++) {
        (void)fprintf(out, "  %-9s %-6s  %s\n", verbs[i].name,
                      verbs[i].word == NULL ? "" : verbs[i].word,
                      verbs[i].text);
    }
    (void)fputs("  version           print the version\n"
                "  help              print this\n\n"
                "Settings, by flag or as `key: value` in "
                "" RELAY_SETTINGS_FILE ":\n",
                out);
    relay_settings_help(out);
    (void)fputs("\nSignals: SIGTERM and SIGINT let running requests finish "
                "(30 s at most), a second\none ends at once; SIGHUP reads the "
                "certificates again.\n"
                "Listening sockets that systemd passes (LISTEN_FDS) are used "
                "instead of `listen`.\n"
                "Exit codes: 0 done, 1 failed, 2 wrong words, flags or "
                "settings.\n",
                out);
    return EXIT_DONE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return argc > 1 && strcmp(argv[1], "help") == 0;
}

static int usage(const char *what, const char *why)
{
    (void)fprintf(stderr, "sallyport-relay: %s%s%s\n", what,
                  why[0] == '\0' ? "" : ": ", why);
    return EXIT_USAGE;
}

static int unknown_verb(const char *word)
{
    char why[80] = "no such verb; see `sallyport-relay help`";

    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (near_distance(span_text(word), verbs[i].name) <= NEAR_ENOUGH) {
            (void)snprintf(why, sizeof(why), "no such verb; did you mean %s?",
                           verbs[i].name);
            break;
        }
    }
    return usage(word, why);
}

/* Read words, flags and settings for |v|, and do it. */
static int do_verb(const struct verb *v, int argc, char **argv)
{
    static struct command c;
    struct settings_line line = { .argc = argc,
                                  .argv = argv,
                                  .rest = c.words,
                                  .rest_max = v->word == NULL ? 0 : 1 };
    struct settings_error e = { "" };

    if (relay_settings_read(&c.settings, &line, &e) != ERR_OK) {
        return usage(e.text, "");
    }
    if (line.rest_count < line.rest_max) {
        char what[80];

        (void)snprintf(what, sizeof(what), "%s %s", v->name, v->word);
        return usage(what, "the word is missing");
    }
    if (keys_start() != ERR_OK) {
        (void)usage("libsodium does not start: no random numbers", "");
        return EXIT_FAILED;
    }
    return v->run(&c);
}

int main(int argc, char **argv)
{
    if (asks_for_help(argc, argv)) {
        return help(stdout);
    }
    if (argc < 2) {
        (void)help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        (void)puts("sallyport-relay " SALLYPORT_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < VERB_COUNT; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0) {
            return do_verb(&verbs[i], argc - 1, argv + 1);
        }
    }
    return unknown_verb(argv[1]);
}
