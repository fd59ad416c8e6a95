/*
 * The client's plan, see client_sandbox.h.
 */
#include "client/client_sandbox.h"

#include "common/sandbox.h"

#define PORT_DNS 53u /* over TCP, when an answer is long */

_Static_assert(TUNNELS_MAX + 2 <= SANDBOX_PORTS_MAX,
               "the relay, DNS and every target have room in a plan");

void client_sandbox_enter(const struct client_settings *s,
                          const struct identity *id,
                          const struct relay_pin *relay,
                          const struct tunnel *tunnels, size_t count)
{
    static struct sandbox_plan plan;

    if (!s->sandbox) {
        return;
    }
    plan = (struct sandbox_plan){ .folder_count = 0 };
    sandbox_allow_system(&plan);
    sandbox_allow_write(&plan, id->folder);
    sandbox_allow_connect(&plan, PORT_DNS);
    sandbox_allow_connect(&plan, relay->port);
    for (size_t i = 0; i < count; i++) {
        sandbox_allow_connect(&plan, tunnels[i].local.target.port);
    }
    sandbox_enter(&plan);
}
