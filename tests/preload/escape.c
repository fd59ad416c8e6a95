/*
 * Loaded into a real relay or client by LD_PRELOAD: at SIGUSR2 the process
 * tries, from within, what somebody who took it over would try, and writes
 * `escape NAME ERRNO` to standard error for each attempt (0: it worked).
 * ESCAPE_SECRET is a file, ESCAPE_OUTSIDE and ESCAPE_STATE are folders,
 * ESCAPE_OPEN and ESCAPE_CLOSED are ports of 127.0.0.1 where somebody listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PATH_LEN 512
#define PAGE 4096

static const char *from_env(const char *name)
{
    const char *value = getenv(name);

    return value == NULL ? "" : value;
}

/* A path below the folder that the variable |folder| names. */
static const char *below(const char *folder, const char *name)
{
    static char path[PATH_LEN];

    (void)snprintf(path, sizeof(path), "%s/%s", from_env(folder), name);
    return path;
}

static int opened(int fd)
{
    return fd < 0 ? -1 : close(fd);
}

static int read_secret(void)
{
    return opened(open(from_env("ESCAPE_SECRET"), O_RDONLY | O_CLOEXEC));
}

static int write_outside(void)
{
    return opened(
        open(below("ESCAPE_OUTSIDE", "left"), O_CREAT | O_WRONLY, 0600));
}

static int write_secret(void)
{
    return opened(open(from_env("ESCAPE_SECRET"), O_WRONLY | O_CLOEXEC));
}

static int write_state(void)
{
    const char *path = below("ESCAPE_STATE", "left");

    return opened(open(path, O_CREAT | O_WRONLY, 0600)) == 0 ? unlink(path)
                                                             : -1;
}

static int make_link(void)
{
    return symlink("/etc/passwd", below("ESCAPE_STATE", "link"));
}

static int tcp_to(const char *port,
                  int (*fn)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port =
                                  htons((uint16_t)strtol(port, NULL, 10)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? -1 : fn(fd, (struct sockaddr *)&at, sizeof(at));
    int error = errno;

    if (fd >= 0) {
        close(fd);
    }
    errno = error;
    return result;
}

static int connect_open(void)
{
    return tcp_to(from_env("ESCAPE_OPEN"), connect);
}

static int connect_closed(void)
{
    return tcp_to(from_env("ESCAPE_CLOSED"), connect);
}

static int listen_too(void)
{
    return tcp_to("0", bind);
}

/* The child of a fork that is possible ends at once. */
static int fork_off(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 ? -1 : 0;
}

static int execute(void)
{
    char *const argv[] = { (char *)"true", NULL };

    return execve("/usr/bin/true", argv, NULL);
}

static int trace_parent(void)
{
    return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static int signal_parent(void)
{
    return kill(getppid(), 0);
}

static int writable_code(void)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : munmap(p, PAGE);
}

static int make_executable(void)
{
    void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return p == MAP_FAILED ? -1 : mprotect(p, PAGE, PROT_READ | PROT_EXEC);
}

static int raw_packets(void)
{
    return opened(socket(AF_PACKET, SOCK_RAW, 0));
}

static int type_into_terminal(void)
{
    return ioctl(STDERR_FILENO, TIOCSTI, "x");
}

static int new_namespace(void)
{
    return unshare(CLONE_NEWUSER);
}

static int be_dumped(void)
{
    return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int own_ring(void)
{
    char params[128] = { 0 };

    return opened((int)syscall(SYS_io_uring_setup, 1, params));
}

static const struct attempt {
    const char *name;
    int (*run)(void);
} attempts[] = {
    { "read-secret", read_secret },
    { "write-secret", write_secret },
    { "write-outside", write_outside },
    { "write-state", write_state },
    { "make-link", make_link },
    { "connect-open", connect_open },
    { "connect-closed", connect_closed },
    { "listen", listen_too },
    { "signal-parent", signal_parent },
    { "fork", fork_off },
    { "trace-parent", trace_parent },
    { "writable-code", writable_code },
    { "make-executable", make_executable },
    { "raw-packets", raw_packets },
    { "type-into-terminal", type_into_terminal },
    { "new-namespace", new_namespace },
    { "be-dumped", be_dumped },
    { "own-ring", own_ring },
    { "execute", execute }, /* the last: where it works nothing follows */
};

static void on_signal(int number)
{
    char line[PATH_LEN];

    (void)number;
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
        int len;

        errno = 0;
        len = attempts[i].run() == 0 ? 0 : errno;
        len = snprintf(line, sizeof(line), "escape %s %d\n", attempts[i].name,
                       len);
        if (write(STDERR_FILENO, line, (size_t)len) != len) {
            return;
        }
    }
}

__attribute__((constructor)) static void load(void)
{
    const struct sigaction action = { .sa_handler = on_signal,
                                      .sa_flags = SA_RESTART };

    (void)sigaction(SIGUSR2, &action, NULL);
}
