/* `sallyport login`: an invitation becomes a key the relay knows. */
#ifndef CLIENT_LOGIN_H
#define CLIENT_LOGIN_H

#include "client/client_settings.h"

/*
 * Read an invitation from |path| (NULL or "-": standard input, with a prompt
 * when it is a terminal), make the machine's key when there is none, and
 * register it with the relay. Returns the process's exit code; says on
 * standard error what went wrong.
 */
int login_run(const struct client_settings *s, const char *path);

#endif
