/*
 * Dies by SIGKILL before its Nth call that writes something anybody could see
 * later: to a file, to a disk, to a socket. For LD_PRELOAD; $DIE_AT is N. It
 * counts once the file $DIE_WHEN is there; N and how far it came are kept in
 * it as the file's length: each counted call appends a byte. It stands in the
 * program's state folder, where a program that is closed in may write.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static void count_one(void)
{
    const char *path = getenv("DIE_WHEN");
    const char *at = getenv("DIE_AT");
    off_t count;
    int fd;

    if (path == NULL || at == NULL) {
        return;
    }
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    /* Not write(): that one counts. */
    if (syscall(SYS_write, fd, "x", 1) != 1) {
        abort();
    }
    count = lseek(fd, 0, SEEK_END);
    (void)close(fd);
    if (count == strtoll(at, NULL, 10)) {
        (void)raise(SIGKILL);
    }
}

/* The function that ours stands before. ISO C knows no conversion from data
 * to function. */
#define NEXT(type, name)                                                       \
    static type *next;                                                         \
    if (next == NULL) {                                                        \
        *(void **)&next = dlsym(RTLD_NEXT, name);                              \
    }

typedef ssize_t write_fn(int fd, const void *data, size_t len);
typedef ssize_t pwrite_fn(int fd, const void *data, size_t len, off_t at);
typedef ssize_t writev_fn(int fd, const struct iovec *parts, int count);
typedef ssize_t sendmsg_fn(int fd, const struct msghdr *message, int flags);
typedef int sync_fn(int fd);
typedef int two_paths_fn(const char *from, const char *to);

ssize_t write(int fd, const void *data, size_t len)
{
    NEXT(write_fn, "write")
    count_one();
    return next(fd, data, len);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at)
{
    NEXT(pwrite_fn, "pwrite64")
    count_one();
    return next(fd, data, len, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(writev_fn, "writev")
    count_one();
    return next(fd, parts, count);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NEXT(sendmsg_fn, "sendmsg")
    count_one();
    return next(fd, message, flags);
}

int fsync(int fd)
{
    NEXT(sync_fn, "fsync")
    count_one();
    return next(fd);
}

int fdatasync(int fd)
{
    NEXT(sync_fn, "fdatasync")
    count_one();
    return next(fd);
}

int rename(const char *from, const char *to)
{
    NEXT(two_paths_fn, "rename")
    count_one();
    return next(from, to);
}

int link(const char *from, const char *to)
{
    NEXT(two_paths_fn, "link")
    count_one();
    return next(from, to);
}
