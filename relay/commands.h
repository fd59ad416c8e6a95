/*
 * The operator's commands, one function each: what `sallyport-relay VERB`
 * does. Most work on the store, whether a relay runs or not; those about what
 * is live ask the running relay.
 */
#ifndef RELAY_COMMANDS_H
#define RELAY_COMMANDS_H

#include "relay/relay_settings.h"

/* Exit codes, as --help lists them. */
#define EXIT_DONE 0
#define EXIT_FAILED 1
#define EXIT_USAGE 2

#define COMMANDS_WORDS_MAX 1u

struct command {
    struct relay_settings settings;
    const char *words[COMMANDS_WORDS_MAX]; /* after the verb */
};

/* Each prints its answer to stdout and what went wrong to stderr, and returns
 * the exit code. keys_start() was called. */
int commands_run(const struct command *c);
int commands_invite(const struct command *c);
int commands_keys(const struct command *c);
int commands_names(const struct command *c);
int commands_sessions(const struct command *c);
int commands_kick(const struct command *c);
int commands_revoke(const struct command *c);
int commands_check(const struct command *c);

#endif
