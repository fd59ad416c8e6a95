/*
 * A list of what is allowed, by libseccomp. Calls that do much by their
 * arguments stand in a second table with the arguments that are good. What is
 * not on the list fails with EPERM, so that a C library that tries something
 * new goes on without it; clone3 with ENOSYS, so that it takes clone.
 */
#include "common/syscall_filter.h"

#include <errno.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* clang-format off */
static const int allowed[] = {
    /* bytes and descriptors */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv),
    SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(pwritev),
    SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2),
    SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(fcntl),
    SCMP_SYS(lseek), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
    SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime),
    /* sockets; socket() itself below */
    SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
    SCMP_SYS(connect), SCMP_SYS(shutdown), SCMP_SYS(getsockname),
    SCMP_SYS(getpeername), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg),
    /* files; Landlock says which */
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(chmod), SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat), SCMP_SYS(fchown), SCMP_SYS(umask),
    SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
    SCMP_SYS(flock), SCMP_SYS(fsync), SCMP_SYS(fdatasync),
    SCMP_SYS(utimensat), SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_rm_watch),
    /* memory; mmap() and mprotect() below */
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
    SCMP_SYS(msync), SCMP_SYS(mlock), SCMP_SYS(munlock), SCMP_SYS(membarrier),
    /* threads, signals and the end; clone() below */
    SCMP_SYS(futex), SCMP_SYS(futex_waitv), SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
    SCMP_SYS(arch_prctl), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack),
    SCMP_SYS(tgkill), SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* time, chance, and who we are */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time),
    SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getcpu),
    SCMP_SYS(getrusage), SCMP_SYS(times), SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit), SCMP_SYS(prlimit64),
};
/* clang-format on */

/* A call that is allowed when argument |arg|, with |mask|, equals |value|. */
struct narrow {
    int call;
    unsigned arg;
    uint64_t mask, value;
};

#define WHOLE UINT64_MAX
#define W_AND_X (PROT_WRITE | PROT_EXEC)

static const struct narrow narrowed[] = {
    { SCMP_SYS(socket), 0, WHOLE, AF_UNIX },
    { SCMP_SYS(socket), 0, WHOLE, AF_INET },
    { SCMP_SYS(socket), 0, WHOLE, AF_INET6 },
    { SCMP_SYS(socket), 0, WHOLE, AF_NETLINK },
    { SCMP_SYS(socketpair), 0, WHOLE, AF_UNIX },
    /* Memory is never writable and executable, nor made executable later. */
    { SCMP_SYS(mmap), 2, W_AND_X, 0 },
    { SCMP_SYS(mmap), 2, W_AND_X, PROT_WRITE },
    { SCMP_SYS(mmap), 2, W_AND_X, PROT_EXEC },
    { SCMP_SYS(mprotect), 2, PROT_EXEC, 0 },
    /* Threads, never processes. */
    { SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD },
    /* The terminal is looked at, and never typed into (TIOCSTI). */
    { SCMP_SYS(ioctl), 1, WHOLE, FIONBIO },
    { SCMP_SYS(ioctl), 1, WHOLE, FIONREAD },
    { SCMP_SYS(ioctl), 1, WHOLE, FIOCLEX },
    { SCMP_SYS(ioctl), 1, WHOLE, FIONCLEX },
    { SCMP_SYS(ioctl), 1, WHOLE, TCGETS },
    { SCMP_SYS(ioctl), 1, WHOLE, TIOCGWINSZ },
    { SCMP_SYS(prctl), 0, WHOLE, PR_SET_NAME },
    { SCMP_SYS(prctl), 0, WHOLE, PR_GET_NAME },
    { SCMP_SYS(prctl), 0, WHOLE, PR_SET_PDEATHSIG },
};

static int add_calls(scmp_filter_ctx filter)
{
    int e = 0;

    for (size_t i = 0; e == 0 && i < sizeof(allowed) / sizeof(allowed[0]);
         i++) {
        e = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    }
    for (size_t i = 0; e == 0 && i < sizeof(narrowed) / sizeof(narrowed[0]);
         i++) {
        const struct narrow *n = &narrowed[i];

        e = seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, n->call, 1,
            SCMP_CMP(n->arg, SCMP_CMP_MASKED_EQ, n->mask, n->value));
    }
    if (e == 0) {
        e = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3),
                             0);
    }
    return e;
}

int syscall_filter_install(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int e;

    if (filter == NULL) {
        return ENOMEM;
    }
    e = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A tree of comparisons: a few, instead of one a call of the list. */
    if (e == 0) {
        e = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    }
    if (e == 0) {
        e = add_calls(filter);
    }
    if (e == 0) {
        e = seccomp_load(filter);
    }
    seccomp_release(filter);
    return -e;
}
