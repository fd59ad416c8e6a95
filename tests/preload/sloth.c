/*
 * Loaded into slowhttptest, which knows neither server names nor addresses to
 * come from: names below tunnel.test are on loopback and said in each hello,
 * and connections come from SLOTH_ADDRESSES addresses from SLOTH_FROM on, in
 * turn. What happens to them goes to standard error, a line each: "up" after
 * the handshake, "answer 408", "down".
 * OpenSSL's names are found when slowhttptest has loaded it; nothing of ours
 * sees them.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOMAIN ".tunnel.test"
#define NAME_LEN 256
#define LINE_LEN 32
#define STATUS_AT 9 /* in "HTTP/1.1 408" */
#define STATUS_END 12
#define SET_NAME 55 /* SSL_CTRL_SET_TLSEXT_HOSTNAME, of a host: 0 */
#define FILES 4096

struct ssl;

typedef int ssl_fn(struct ssl *ssl);
typedef int read_fn(struct ssl *ssl, void *out, int size);
typedef int write_fn(struct ssl *ssl, const void *data, int len);
typedef long ctrl_fn(struct ssl *ssl, int what, long more, void *with);
typedef void free_fn(struct ssl *ssl);
typedef int look_up_fn(const char *node, const char *service,
                       const struct addrinfo *hints, struct addrinfo **out);
typedef int connect_fn(int fd, const struct sockaddr *to, socklen_t len);

int SSL_connect(struct ssl *ssl);
int SSL_do_handshake(struct ssl *ssl);
int SSL_write(struct ssl *ssl, const void *data, int len);
int SSL_read(struct ssl *ssl, void *out, int size);
void SSL_free(struct ssl *ssl);

static char name[NAME_LEN];

/* By the descriptor of a connection. */
static struct {
    char is_up;
    char is_answered;
} seen[FILES];

/* The function that ours stands in front of. */
static void *next(const char *symbol)
{
    void *found = dlsym(RTLD_NEXT, symbol);

    if (found == NULL) {
        abort();
    }
    return found;
}

static void say(const char *what, const char *more)
{
    char line[LINE_LEN];
    int len = snprintf(line, sizeof(line), "%s%s\n", what, more);

    if (write(STDERR_FILENO, line, (size_t)len) != len) {
        abort();
    }
}

static int file_of(struct ssl *ssl)
{
    int fd = ((ssl_fn *)next("SSL_get_fd"))(ssl);

    return fd >= 0 && fd < FILES ? fd : 0;
}

int getaddrinfo(const char *node, const char *service,
                const struct addrinfo *hints, struct addrinfo **out)
{
    size_t len = node == NULL ? 0 : strlen(node);

    if (len > strlen(DOMAIN) && len < sizeof(name) &&
        strcmp(node + len - strlen(DOMAIN), DOMAIN) == 0) {
        memcpy(name, node, len + 1);
        node = "127.0.0.1";
    }
    return ((look_up_fn *)next("getaddrinfo"))(node, service, hints, out);
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    static uint32_t turn;
    const char *first = getenv("SLOTH_FROM");
    const char *count = getenv("SLOTH_ADDRESSES");
    struct sockaddr_in from = { .sin_family = AF_INET };
    int one = 1;

    if (to->sa_family == AF_INET && first != NULL && count != NULL &&
        inet_pton(AF_INET, first, &from.sin_addr) == 1) {
        from.sin_addr.s_addr =
            htonl(ntohl(from.sin_addr.s_addr) +
                  turn++ % (uint32_t)strtoul(count, NULL, 10));
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0) {
            return -1;
        }
    }
    return ((connect_fn *)next("connect"))(fd, to, len);
}

/* The handshake is done when any of these first succeeds. */
static int passed(struct ssl *ssl, int result)
{
    int fd = file_of(ssl);

    if (result > 0 && !seen[fd].is_up) {
        seen[fd].is_up = 1;
        say("up", "");
    }
    return result;
}

int SSL_connect(struct ssl *ssl)
{
    if (((ctrl_fn *)next("SSL_ctrl"))(ssl, SET_NAME, 0, name) != 1) {
        return -1;
    }
    return passed(ssl, ((ssl_fn *)next("SSL_connect"))(ssl));
}

int SSL_do_handshake(struct ssl *ssl)
{
    return passed(ssl, ((ssl_fn *)next("SSL_do_handshake"))(ssl));
}

int SSL_write(struct ssl *ssl, const void *data, int len)
{
    return passed(ssl, ((write_fn *)next("SSL_write"))(ssl, data, len));
}

int SSL_read(struct ssl *ssl, void *out, int size)
{
    int len = passed(ssl, ((read_fn *)next("SSL_read"))(ssl, out, size));
    int fd = file_of(ssl);

    if (len >= STATUS_END && !seen[fd].is_answered &&
        memcmp(out, "HTTP/1.1 ", STATUS_AT) == 0) {
        char status[] = { 0, 0, 0, 0 };

        seen[fd].is_answered = 1;
        memcpy(status, (char *)out + STATUS_AT, sizeof(status) - 1);
        say("answer ", status);
    }
    return len;
}

void SSL_free(struct ssl *ssl)
{
    int fd = file_of(ssl);

    if (seen[fd].is_up) {
        say("down", "");
    }
    seen[fd].is_up = seen[fd].is_answered = 0;
    ((free_fn *)next("SSL_free"))(ssl);
}
