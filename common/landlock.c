/*
 * Landlock by its system calls: the C library has no functions for them, and
 * Debian 12's kernel headers stop at version 2, so that later versions' parts
 * are written out here. Rights are asked for by what the running kernel knows.
 */
#include "common/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights over files, by the version that brought them. */
#define FS_ALL_V1 ((1ull << 13) - 1) /* execute .. make_sym */
#define FS_REFER (1ull << 13)
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL (1ull << 15)

#define NET_BIND (1ull << 0)
#define NET_CONNECT (1ull << 1)

#define SCOPE_ABSTRACT_SOCKETS (1ull << 0)
#define SCOPE_SIGNALS (1ull << 1)

#define VERSION_REFER 2
#define VERSION_TRUNCATE 3
#define VERSION_NET 4
#define VERSION_IOCTL 5
#define VERSION_SCOPES 6

#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
/* No devices, no pipes, no links, and nothing is ever executed. */
#define WRITE_RIGHTS                                                           \
    (READ_RIGHTS | LANDLOCK_ACCESS_FS_WRITE_FILE |                             \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |          \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |               \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | FS_TRUNCATE)
/* Of these, what a rule for one file may name. */
#define FILE_RIGHTS                                                            \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

#define RULE_NET_PORT 2

struct ruleset {
    uint64_t fs, net, scoped;
};

struct port_rule {
    uint64_t rights, port;
};

static int kernel_version(void)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, (size_t)0,
                     LANDLOCK_CREATE_RULESET_VERSION);

    return v < 0 ? 0 : (int)v;
}

static struct ruleset rights_of(int version)
{
    struct ruleset r = { .fs = FS_ALL_V1 };

    r.fs |= version >= VERSION_REFER ? FS_REFER : 0;
    r.fs |= version >= VERSION_TRUNCATE ? FS_TRUNCATE : 0;
    r.fs |= version >= VERSION_IOCTL ? FS_IOCTL : 0;
    r.net = version >= VERSION_NET ? NET_BIND | NET_CONNECT : 0;
    r.scoped =
        version >= VERSION_SCOPES ? SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS : 0;
    return r;
}

/* How much of struct ruleset a kernel of |version| knows. */
static size_t size_of(int version)
{
    return version >= VERSION_SCOPES ? sizeof(struct ruleset)
           : version >= VERSION_NET  ? offsetof(struct ruleset, scoped)
                                     : offsetof(struct ruleset, net);
}

/* Zero or an errno; a path that is not there needs no rule. */
static int add_folder(int set, uint64_t handled, const struct sandbox_folder *f)
{
    struct landlock_path_beneath_attr rule;
    uint64_t rights = f->is_writable ? WRITE_RIGHTS : READ_RIGHTS;
    struct stat st;
    int error = 0;
    int fd = open(f->path, O_PATH | O_CLOEXEC);

    if (fd < 0) {
        return 0;
    }
    if (fstat(fd, &st) != 0) {
        error = errno;
    } else {
        rights &= S_ISDIR(st.st_mode) ? handled : handled & FILE_RIGHTS;
        rule = (struct landlock_path_beneath_attr){ .allowed_access = rights,
                                                    .parent_fd = fd };
        if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH,
                    &rule, 0) != 0) {
            error = errno;
        }
    }
    close(fd);
    return error;
}

static int add_rules(int set, const struct ruleset *handled,
                     const struct sandbox_plan *p)
{
    for (size_t i = 0; i < p->folder_count; i++) {
        int error = add_folder(set, handled->fs, &p->folders[i]);

        if (error != 0) {
            return error;
        }
    }
    for (size_t i = 0; handled->net != 0 && i < p->port_count; i++) {
        struct port_rule rule = { NET_CONNECT, p->ports[i] };

        if (syscall(SYS_landlock_add_rule, set, RULE_NET_PORT, &rule, 0) != 0) {
            return errno;
        }
    }
    return 0;
}

int landlock_close_in(const struct sandbox_plan *p, int *version)
{
    struct ruleset handled;
    int error;
    int set;

    *version = kernel_version();
    if (*version == 0) {
        return 0;
    }
    handled = rights_of(*version);
    set = (int)syscall(SYS_landlock_create_ruleset, &handled, size_of(*version),
                       0);
    if (set < 0) {
        *version = 0;
        return errno;
    }
    error = add_rules(set, &handled, p);
    if (error == 0 && syscall(SYS_landlock_restrict_self, set, 0) != 0) {
        error = errno;
    }
    if (error != 0) {
        *version = 0;
    }
    close(set);
    return error;
}
