/* One worker is every connection's home. */
#include "relay/handoff.h"

#include "relay/edge_h1.h"
#include "relay/login.h"

void handoff_visitor(struct worker *w, struct handoff *h)
{
    edge_h1_start(w, h);
}

void handoff_link(struct worker *w, struct handoff *h)
{
    login_start(w, h);
}
