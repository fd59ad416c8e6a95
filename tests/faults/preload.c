/*
 * System calls and allocations that fail when a test wants them to, for
 * programs that know nothing of it: loaded with LD_PRELOAD, told what to do
 * through the file $FAULTS, which the test and the program share in memory
 * (tests/support/faults.py writes it). Without orders everything is passed on.
 *
 * Only sockets and regular files fail. Pipes and eventfds are left alone:
 * libuv wakes itself by them, and aborts on purpose when it cannot. Of
 * allocations only those fail that the program itself asks for. libuv's cannot
 * be survived (it aborts on purpose), nor all of BoringSSL's: parsing a
 * certificate without memory it reads what it has not set (5.4.0 of the crate,
 * CBBFinishArray() below x509_name_get_cache()). So its failures are an order
 * of their own, for exchanges in which the program parses none.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum call {
    CALL_NONE,
    CALL_READ,
    CALL_WRITE,
    CALL_ACCEPT,
    CALL_CONNECT,
    CALL_SOCKET,
    CALL_OPEN,
    CALL_FSYNC,
    CALL_ALLOC
};

enum target { ON_SOCKETS, ON_FILES, ON_OURS, ON_ALL };

/* The orders and what came of them; faults.py knows the layout. */
struct orders {
    _Atomic uint32_t call;   /* which one fails */
    _Atomic uint32_t on;     /* what descriptors, or whose allocations */
    _Atomic uint32_t error;  /* errno; 0: short, half of it */
    _Atomic uint32_t skip;   /* so many succeed first */
    _Atomic uint32_t count;  /* then so many are looked at, */
    _Atomic uint32_t every;  /* and of these every such one fails */
    _Atomic uint32_t seen;   /* calls so far */
    _Atomic uint32_t failed; /* of these, made to fail */
    _Atomic uint32_t held;   /* allocations of ours that were not freed yet */
};

static struct orders *orders;
static uintptr_t own_begin, own_end; /* the program's code, and of that */
static uintptr_t tls_begin, tls_end; /* BoringSSL's: $FAULTS_TLS=BEGIN-END */

static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_X) != 0) {
            own_begin = info->dlpi_addr + p->p_vaddr;
            own_end = own_begin + p->p_memsz;
            tls_begin += info->dlpi_addr;
            tls_end += info->dlpi_addr;
        }
    }
    return 1; /* the first object is the program: enough */
}

__attribute__((constructor)) static void preload_start(void)
{
    const char *path = getenv("FAULTS");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    char *tls;
    void *at;

    if (fd < 0) {
        return;
    }
    tls = getenv("FAULTS_TLS");
    if (tls != NULL) {
        tls_begin = strtoul(tls, &tls, 16);
        tls_end = strtoul(tls + 1, NULL, 16);
    }
    (void)dl_iterate_phdr(on_object, NULL);
    at = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    orders = at == MAP_FAILED ? NULL : at;
    if (orders != NULL) {
        orders->held = 0;
    }
}

/* Whether this |call| is to fail. */
static bool strikes(enum call call)
{
    uint32_t at;

    if (orders == NULL || orders->call != call) {
        return false;
    }
    at = atomic_fetch_add(&orders->seen, 1);
    if (at < orders->skip || at - orders->skip >= orders->count ||
        (at - orders->skip) % orders->every != 0) {
        return false;
    }
    atomic_fetch_add(&orders->failed, 1);
    return true;
}

/* Never the standard ones: tests keep logs in files. */
static bool is_meant(int fd)
{
    struct stat st;

    return orders != NULL && fd > STDERR_FILENO && fstat(fd, &st) == 0 &&
           (orders->on == ON_FILES ? S_ISREG(st.st_mode)
                                   : S_ISSOCK(st.st_mode));
}

/* A transfer of |*len| bytes: false: it fails with errno. */
static bool may_move(enum call call, int fd, size_t *len)
{
    if (orders == NULL || orders->call != call || !is_meant(fd) ||
        !strikes(call)) {
        return true;
    }
    if (orders->error == 0) {
        *len = *len > 1 ? *len / 2 : *len;
        return true;
    }
    /* As with a real one: nothing comes or goes on this socket any more. */
    if (orders->error == ECONNRESET || orders->error == EPIPE ||
        orders->error == ETIMEDOUT) {
        (void)shutdown(fd, SHUT_RDWR);
    }
    errno = (int)orders->error;
    return false;
}

static bool may_do(enum call call)
{
    if (!strikes(call)) {
        return true;
    }
    errno = (int)orders->error;
    return false;
}

/* The function that would have been called without us. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void *buf, size_t len)
{
    return may_move(CALL_READ, fd, &len) ? REAL(read)(fd, buf, len) : -1;
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t at)
{
    return may_move(CALL_READ, fd, &len) ? REAL(pread64)(fd, buf, len, at) : -1;
}

ssize_t recv(int fd, void *buf, size_t len, int flags)
{
    return may_move(CALL_READ, fd, &len) ? REAL(recv)(fd, buf, len, flags) : -1;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    size_t len = 0;

    return may_move(CALL_READ, fd, &len) ? REAL(recvmsg)(fd, message, flags)
                                         : -1;
}

ssize_t readv(int fd, const struct iovec *bufs, int count)
{
    size_t len = (size_t)count;

    return may_move(CALL_READ, fd, &len) ? REAL(readv)(fd, bufs, (int)len) : -1;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    return may_move(CALL_WRITE, fd, &len) ? REAL(write)(fd, buf, len) : -1;
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t at)
{
    return may_move(CALL_WRITE, fd, &len) ? REAL(pwrite64)(fd, buf, len, at)
                                          : -1;
}

ssize_t send(int fd, const void *buf, size_t len, int flags)
{
    return may_move(CALL_WRITE, fd, &len) ? REAL(send)(fd, buf, len, flags)
                                          : -1;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    size_t len = 0;

    return may_move(CALL_WRITE, fd, &len) ? REAL(sendmsg)(fd, message, flags)
                                          : -1;
}

ssize_t writev(int fd, const struct iovec *bufs, int count)
{
    size_t len = (size_t)count;

    return may_move(CALL_WRITE, fd, &len) ? REAL(writev)(fd, bufs, (int)len)
                                          : -1;
}

int accept4(int fd, struct sockaddr *at, socklen_t *len, int flags)
{
    return may_do(CALL_ACCEPT) ? REAL(accept4)(fd, at, len, flags) : -1;
}

int connect(int fd, const struct sockaddr *at, socklen_t len)
{
    return may_do(CALL_CONNECT) ? REAL(connect)(fd, at, len) : -1;
}

int socket(int domain, int type, int protocol)
{
    return may_do(CALL_SOCKET) ? REAL(socket)(domain, type, protocol) : -1;
}

/* The mode that stands behind |flags|, when one does. */
static mode_t mode_of(int flags, va_list list)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): callers begin it */
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

#define DEFINE_OPEN(name)                                                      \
    int name(const char *path, int flags, ...)                                 \
    {                                                                          \
        mode_t mode;                                                           \
        va_list list;                                                          \
                                                                               \
        va_start(list, flags);                                                 \
        mode = mode_of(flags, list);                                           \
        va_end(list);                                                          \
        return may_do(CALL_OPEN) ? REAL(name)(path, flags, mode) : -1;         \
    }

DEFINE_OPEN(open)
DEFINE_OPEN(open64)

/* What open() becomes in programs built with _FORTIFY_SOURCE. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

int __open_2(const char *path, int flags)
{
    return open(path, flags);
}

int __open64_2(const char *path, int flags)
{
    return open64(path, flags);
}

FILE *fopen(const char *path, const char *mode)
{
    return may_do(CALL_OPEN) ? REAL(fopen)(path, mode) : NULL;
}

FILE *fopen64(const char *path, const char *mode)
{
    return may_do(CALL_OPEN) ? REAL(fopen64)(path, mode) : NULL;
}

int fsync(int fd)
{
    return may_do(CALL_FSYNC) ? REAL(fsync)(fd) : -1;
}

int fdatasync(int fd)
{
    return may_do(CALL_FSYNC) ? REAL(fdatasync)(fd) : -1;
}

/* --- memory --------------------------------------------------------------*/

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

void __libc_free(void *p);

/* Who asks for memory. */
enum asker { OTHERS, TLS, OURS };

static enum asker asker_of(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (orders == NULL || at < own_begin || at >= own_end) {
        return OTHERS;
    }
    return at >= tls_begin && at < tls_end ? TLS : OURS;
}

/* Whether an allocation for |asker| is to fail. */
static bool no_memory(enum asker asker)
{
    if (asker == OTHERS || (asker == TLS && orders->on != ON_ALL) ||
        !strikes(CALL_ALLOC)) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

/* What is held: addresses in a table, each at its place or behind it. */
#define HELD_SLOTS (1u << 18)

static uintptr_t held[HELD_SLOTS];
static atomic_flag held_lock = ATOMIC_FLAG_INIT;

static size_t place_of(uintptr_t p)
{
    return (size_t)((p >> 4) * 0x9e3779b97f4a7c15u >> 46) % HELD_SLOTS;
}

static void *note_held(void *p, enum asker asker)
{
    if (p == NULL || asker != OURS || orders->held > HELD_SLOTS / 2) {
        return p;
    }
    while (atomic_flag_test_and_set(&held_lock)) {
    }
    size_t at = place_of((uintptr_t)p);

    while (held[at] != 0) {
        at = (at + 1) % HELD_SLOTS;
    }
    held[at] = (uintptr_t)p;
    orders->held++;
    atomic_flag_clear(&held_lock);
    return p;
}

/* Take out |at|, and close the gap for those that stand behind their place. */
static void held_remove(size_t at)
{
    size_t next = (at + 1) % HELD_SLOTS;

    while (held[next] != 0) {
        size_t place = place_of(held[next]);

        if ((next - place) % HELD_SLOTS >= (next - at) % HELD_SLOTS) {
            held[at] = held[next];
            at = next;
        }
        next = (next + 1) % HELD_SLOTS;
    }
    held[at] = 0;
    orders->held--;
}

static void note_freed(void *p)
{
    if (p == NULL || orders == NULL || orders->held == 0) {
        return;
    }
    while (atomic_flag_test_and_set(&held_lock)) {
    }
    size_t at = place_of((uintptr_t)p);

    while (held[at] != 0 && held[at] != (uintptr_t)p) {
        at = (at + 1) % HELD_SLOTS;
    }
    if (held[at] != 0) {
        held_remove(at);
    }
    atomic_flag_clear(&held_lock);
}

void *malloc(size_t size)
{
    enum asker asker = asker_of(__builtin_return_address(0));

    return no_memory(asker) ? NULL : note_held(__libc_malloc(size), asker);
}

void *calloc(size_t count, size_t size)
{
    enum asker asker = asker_of(__builtin_return_address(0));

    return no_memory(asker) ? NULL
                            : note_held(__libc_calloc(count, size), asker);
}

void *realloc(void *p, size_t size)
{
    enum asker asker = asker_of(__builtin_return_address(0));
    void *other = no_memory(asker) ? NULL : __libc_realloc(p, size);

    if (other != NULL) {
        note_freed(p);
        note_held(other, asker);
    }
    return other;
}

void free(void *p)
{
    note_freed(p);
    __libc_free(p);
}
