/* `sallyport http` and `sallyport start`: tunnels on one session, till told
 * to stop. */
#ifndef CLIENT_SHARE_H
#define CLIENT_SHARE_H

#include "client/client_settings.h"

/*
 * Share all of |s|->tunnels. Returns the process's exit code; says on standard
 * error what is wrong with the settings.
 */
int share_run(const struct client_settings *s);

#endif
