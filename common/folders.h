/*
 * Where settings and state live (XDG folders), and making folders that are the
 * user's alone.
 */
#ifndef COMMON_FOLDERS_H
#define COMMON_FOLDERS_H

#include <stddef.h>

#include "proto/error.h"

#define FOLDERS_PATH_MAX 512u

/*
 * $XDG_CONFIG_HOME/sallyport or ~/.config/sallyport; likewise XDG_STATE_HOME
 * and ~/.local/state/sallyport. A relative XDG value is ignored, as the
 * standard asks. ERR_FILE when there is no home or the path is too long.
 */
MUST_CHECK enum err folders_config(char *out, size_t size);
MUST_CHECK enum err folders_state(char *out, size_t size);

/* |folder|/|name|. ERR_FILE when it does not fit. */
MUST_CHECK enum err folders_join(const char *folder, const char *name,
                                 char *out, size_t size);

/*
 * Make |path| and what is missing above it, each 0700. ERR_FILE with |*why|
 * (strerror's text) when it cannot be; a folder that is there stays as it is.
 */
MUST_CHECK enum err folders_make(const char *path, const char **why);

/*
 * Root goes on as the owner of |path|, for good, when that is somebody else:
 * what an operator's command writes must stay the service's own. Nothing
 * happens for other users, or when |path| is not there. ERR_FILE with |*why|.
 */
MUST_CHECK enum err folders_become_owner(const char *path, const char **why);

#endif
