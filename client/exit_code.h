/* What the program's exit codes mean; `sallyport --help` prints them. */
#ifndef CLIENT_EXIT_CODE_H
#define CLIENT_EXIT_CODE_H

#include "proto/error.h"

enum exit_code {
    EXIT_OK = 0,
    EXIT_TROUBLE = 1,  /* network, files, the relay */
    EXIT_USAGE = 2,    /* flags, settings, an unreadable invitation */
    EXIT_REPLACED = 3, /* another client of this key took over */
    EXIT_REFUSED = 4   /* credentials, a revoked key, a name not ours */
};

/* The exit code that fits |e|. */
int exit_code_of(enum err e);

#endif
