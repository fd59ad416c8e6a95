/*
 * The relay's plan, see relay_sandbox.h. A folder of certificates is often one
 * of links to where a program for ACME keeps them: what they lead to now may
 * be read too, with its neighbours, for that is where the next ones come.
 */
#include "relay/relay_sandbox.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "common/sandbox.h"

#define CERT_LINKS_MAX 24u

static void allow_folder_of(struct sandbox_plan *plan, const char *link)
{
    char *file = realpath(link, NULL);
    char *slash = file == NULL ? NULL : strrchr(file, '/');

    if (slash != NULL && slash != file) {
        *slash = '\0';
        sandbox_allow_read(plan, file);
    }
    free(file);
}

static void allow_certs(struct sandbox_plan *plan, const char *folder)
{
    char path[FOLDERS_PATH_MAX];
    const struct dirent *entry;
    size_t links = 0;
    DIR *dir = opendir(folder);

    sandbox_allow_read(plan, folder);
    while (dir != NULL && links < CERT_LINKS_MAX &&
           (entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_LNK &&
            folders_join(folder, entry->d_name, path, sizeof(path)) == ERR_OK) {
            allow_folder_of(plan, path);
            links++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
}

void relay_sandbox_enter(const struct relay_settings *s)
{
    static struct sandbox_plan plan;

    if (!s->sandbox) {
        return;
    }
    plan = (struct sandbox_plan){ .folder_count = 0 };
    sandbox_allow_system(&plan);
    sandbox_allow_write(&plan, s->state);
    if (s->certs[0] != '\0') {
        allow_certs(&plan, s->certs);
    }
    sandbox_enter(&plan);
}
