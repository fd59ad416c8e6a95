/*
 * Where settings and state live, see folders.h. Nothing is read or written
 * here but folders.
 */
#include "common/folders.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDERS_OURS "sallyport"

static enum err place(char *out, size_t size, const char *variable,
                      const char *below_home)
{
    const char *base = getenv(variable);
    const char *home = getenv("HOME");
    int len;

    if (base != NULL && base[0] == '/') {
        len = snprintf(out, size, "%s/" FOLDERS_OURS, base);
    } else if (home != NULL && home[0] == '/') {
        len = snprintf(out, size, "%s/%s/" FOLDERS_OURS, home, below_home);
    } else {
        return ERR_FILE;
    }
    return len > 0 && (size_t)len < size ? ERR_OK : ERR_FILE;
}

enum err folders_config(char *out, size_t size)
{
    return place(out, size, "XDG_CONFIG_HOME", ".config");
}

enum err folders_state(char *out, size_t size)
{
    return place(out, size, "XDG_STATE_HOME", ".local/state");
}

enum err folders_join(const char *folder, const char *name, char *out,
                      size_t size)
{
    int len = snprintf(out, size, "%s/%s", folder, name);

    return len > 0 && (size_t)len < size ? ERR_OK : ERR_FILE;
}

enum err folders_make(const char *path, const char **why)
{
    char part[FOLDERS_PATH_MAX];
    size_t len = strlen(path);
    struct stat st;

    if (len == 0 || len >= sizeof(part)) {
        *why = strerror(len == 0 ? ENOENT : ENAMETOOLONG);
        return ERR_FILE;
    }
    memcpy(part, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        part[i] = '\0';
        /* Whether it is there is asked first: making a folder that is there
         * fails with EROFS or EACCES where nothing may be made. */
        if (stat(part, &st) != 0 && mkdir(part, 0700) != 0 && errno != EEXIST) {
            *why = strerror(errno);
            return ERR_FILE;
        }
        part[i] = path[i];
    }
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        *why = strerror(ENOTDIR);
        return ERR_FILE;
    }
    return ERR_OK;
}

enum err folders_become_owner(const char *path, const char **why)
{
    struct stat st;

    if (geteuid() != 0 || stat(path, &st) != 0 || st.st_uid == 0) {
        return ERR_OK;
    }
    if (setgroups(0, NULL) != 0 || setgid(st.st_gid) != 0 ||
        setuid(st.st_uid) != 0) {
        *why = strerror(errno);
        return ERR_FILE;
    }
    return ERR_OK;
}
