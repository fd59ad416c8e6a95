/*
 * BoringSSL does the socket's calls itself here: no buffers of ours.
 */
#include "tests/soak/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static long tls_outcome(const struct channel *c, int result)
{
    int error = SSL_get_error(c->ssl, result);

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        return CHANNEL_AGAIN;
    }
    return error == SSL_ERROR_ZERO_RETURN ? CHANNEL_ENDED : CHANNEL_BROKEN;
}

static long plain_outcome(ssize_t result)
{
    if (result >= 0) {
        return result;
    }
    return errno == EAGAIN || errno == EINTR ? CHANNEL_AGAIN : CHANNEL_BROKEN;
}

long channel_read(struct channel *c, void *to, size_t size)
{
    int result;

    if (c->ssl == NULL) {
        return plain_outcome(read(c->fd, to, size));
    }
    result = SSL_read(c->ssl, to, (int)size);
    return result > 0 ? result : tls_outcome(c, result);
}

long channel_write(struct channel *c, const void *from, size_t len)
{
    int result;

    if (c->ssl == NULL) {
        return plain_outcome(send(c->fd, from, len, MSG_NOSIGNAL));
    }
    result = SSL_write(c->ssl, from, (int)len);
    return result > 0 ? result : tls_outcome(c, result);
}

void channel_close(struct channel *c, bool is_polite)
{
    if (c->ssl != NULL) {
        if (is_polite) {
            (void)SSL_shutdown(c->ssl);
        }
        SSL_free(c->ssl);
        c->ssl = NULL;
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

bool channel_tune(int fd)
{
    int on = 1;

    return fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0 &&
           setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0;
}

void channel_field(const char *head, const char *name, char *out, size_t size)
{
    size_t name_len = strlen(name);
    const char *line = head;
    size_t len = 0;

    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            line += name_len + 1;
            line += strspn(line, " ");
            len = strcspn(line, "\r");
            len = len < size ? len : size - 1;
            memcpy(out, line, len);
            break;
        }
    }
    out[len] = '\0';
}
