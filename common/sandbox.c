/*
 * The plan, and closing in: the parts in the order in which each still may be
 * done. See prctl(2), landlock(7), seccomp(2).
 */
#include "common/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/landlock.h"
#include "common/log.h"
#include "common/syscall_filter.h"

/* The C library reads these for host names, time zones and its own parts. */
static const char *const system_paths[] = {
    "/etc", "/usr", "/lib", "/lib64",
    /* Where /etc/resolv.conf may lead to. */
    "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager",
    /* Memory and processors as they are, not as they were at the start. */
    "/proc", "/sys/devices/system/cpu", "/sys/fs/cgroup", "/dev/null",
    "/dev/urandom"
};

static void allow(struct sandbox_plan *p, const char *path, bool is_writable)
{
    struct sandbox_folder *f;

    if (p->folder_count == SANDBOX_FOLDERS_MAX ||
        strlen(path) >= sizeof(f->path)) {
        LOG(LOG_WARN, "sandbox-plan-full", log_text("left_out", path));
        return;
    }
    f = &p->folders[p->folder_count++];
    memcpy(f->path, path, strlen(path) + 1);
    f->is_writable = is_writable;
}

void sandbox_allow_read(struct sandbox_plan *p, const char *path)
{
    allow(p, path, false);
}

void sandbox_allow_write(struct sandbox_plan *p, const char *path)
{
    allow(p, path, true);
}

void sandbox_allow_system(struct sandbox_plan *p)
{
    for (size_t i = 0; i < sizeof(system_paths) / sizeof(system_paths[0]);
         i++) {
        allow(p, system_paths[i], false);
    }
}

void sandbox_allow_connect(struct sandbox_plan *p, uint16_t port)
{
    if (p->port_count == SANDBOX_PORTS_MAX) {
        LOG(LOG_WARN, "sandbox-plan-full", log_u64("left_out", port));
        return;
    }
    p->ports[p->port_count++] = port;
}

static void warn(const char *part, int error)
{
    LOG(LOG_WARN, "sandbox-part-missing", log_text("part", part),
        log_text("why", strerror(error)));
}

#ifndef SANDBOX_SANITIZED
/* Keys are in this memory: not for a core file, nor for another process of
 * the same user. */
static void hide_memory(void)
{
    const struct rlimit none = { 0, 0 };

    if (setrlimit(RLIMIT_CORE, &none) != 0) {
        warn("no core files", errno);
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        warn("no debugger", errno);
    }
}
#endif

void sandbox_enter(const struct sandbox_plan *p)
{
    int landlock = 0;
    int error = 0;
    bool has_filter = false;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        warn("no new privileges", errno);
        return;
    }
    error = landlock_close_in(p, &landlock);
    if (error != 0) {
        warn("landlock", error);
    }
#ifndef SANDBOX_SANITIZED
    hide_memory();
    error = syscall_filter_install();
    has_filter = error == 0;
    if (error != 0) {
        warn("system call filter", error);
    }
#endif
    LOG(LOG_INFO, "sandbox", log_u64("landlock", (uint64_t)landlock),
        log_text("syscall_filter", has_filter ? "yes" : "no"));
}
