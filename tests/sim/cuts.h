/*
 * A network that breaks: who notices, and the login after it, whose answer may
 * be lost as well. Nobody may claim what is not true.
 */
#ifndef TESTS_SIM_CUTS_H
#define TESTS_SIM_CUTS_H

#include "tests/sim/dice.h"
#include "tests/sim/watcher.h"

/* |end| sees that its link is gone, if it has one. */
void cuts_notice(const struct pair *p, struct pair_end *end);

/*
 * A login: the client's position of this moment, and the relay's in the
 * answer. False when that was lost: then the relay has a link of which the
 * client does not know.
 */
bool cuts_mend(struct pair *p, struct watcher *w, struct dice *d);

#endif
