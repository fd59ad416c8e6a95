/*
 * What the client may still reach once it serves: its relay, its targets, its
 * state folder. So that whoever gets into it cannot read the user's files, nor
 * reach the other ports of the machine.
 */
#ifndef CLIENT_CLIENT_SANDBOX_H
#define CLIENT_CLIENT_SANDBOX_H

#include "client/client_settings.h"
#include "client/identity.h"
#include "client/uplink.h"

/*
 * Close the process in, for |relay| and |count| tunnels, unless the settings
 * say no. After all files of the settings were read.
 */
void client_sandbox_enter(const struct client_settings *s,
                          const struct identity *id,
                          const struct relay_pin *relay,
                          const struct tunnel *tunnels, size_t count);

#endif
