/*
 * A socket that does not block, plain or with TLS around it, and the few
 * fields of an HTTP head that both ends of the soak look at.
 */
#ifndef TESTS_SOAK_CHANNEL_H
#define TESTS_SOAK_CHANNEL_H

#include <openssl/ssl.h>

#include <stdbool.h>
#include <stddef.h>

enum { CHANNEL_ENDED = 0, CHANNEL_AGAIN = -1, CHANNEL_BROKEN = -2 };

struct channel {
    int fd; /* -1: none */
    SSL *ssl;
};

/* Bytes moved, or one of the above. */
long channel_read(struct channel *c, void *to, size_t size);
long channel_write(struct channel *c, const void *from, size_t len);

/* Close it; |is_polite|: tell the peer first, with TLS. */
void channel_close(struct channel *c, bool is_polite);

/* Set |fd| to not block and not delay; false when it cannot be. */
bool channel_tune(int fd);

/* The value of |name| in |head| (a text), up to |size| bytes; "" if none. */
void channel_field(const char *head, const char *name, char *out, size_t size);

#endif
