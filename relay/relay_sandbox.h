/*
 * What the relay may still reach once it listens: its state folder, and the
 * certificates to read. It never connects to anything.
 */
#ifndef RELAY_RELAY_SANDBOX_H
#define RELAY_RELAY_SANDBOX_H

#include "relay/relay_settings.h"

/* Close the process in, unless the settings say no. After the listeners, the
 * store and the admin socket are open. */
void relay_sandbox_enter(const struct relay_settings *s);

#endif
