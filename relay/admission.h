/*
 * Whether who logs in may: its version, key, signature and invitation. How a
 * LOGIN comes and what a session is then stands elsewhere.
 */
#ifndef RELAY_ADMISSION_H
#define RELAY_ADMISSION_H

#include "proto/login.h"
#include "relay/quota.h"

struct worker;

/* Why a login is refused. */
struct admission_refusal {
    enum err code;
    const char *sentence;
};

/*
 * Judge |l|, which came over |b|'s connection from |hold|'s address; an
 * invitation is redeemed. On error |why| is what to answer.
 */
MUST_CHECK enum err admission_judge(struct worker *w, struct quota_hold *hold,
                                    const struct login *l,
                                    const struct login_binding *b,
                                    struct admission_refusal *why);

#endif
