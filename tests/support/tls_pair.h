/* Two TLS connections joined in memory. */
#ifndef TESTS_SUPPORT_TLS_PAIR_H
#define TESTS_SUPPORT_TLS_PAIR_H

#include "common/tls.h"

#define TLS_PAIR_ROOM (256u * KIB)

struct tls_end {
    struct tls *tls;
    struct wire_writer out; /* cipher bytes it wrote */
    size_t taken;           /* of them, given to the other end */
    enum tls_status status; /* of its last call */
    bool is_up;
};

struct tls_pair {
    struct tls_end server, client;
};

void tls_pair_init(struct tls_pair *p, struct tls_context *server,
                   struct tls_context *client, const char *host);
void tls_pair_deinit(struct tls_pair *p);

/* Until both are up (true) or one has failed. */
bool tls_pair_handshake(struct tls_pair *p);

/* Let |to| read what |from| wrote, at most |at_a_time| bytes of it lent at
 * once: the plain bytes go to |out|, their count is returned. */
size_t tls_pair_read(struct tls_end *from, struct tls_end *to, uint8_t *out,
                     size_t size, size_t at_a_time);

#endif
