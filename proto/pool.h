/*
 * An account of bytes in use, with a bound and a parent that is charged too:
 * stream bytes are charged to their session, and through it to the relay. It
 * holds no memory itself; it only counts what others hold.
 */
#ifndef PROTO_POOL_H
#define PROTO_POOL_H

#include <stdint.h>

struct pool {
    struct pool *parent; /* charged as well, or NULL */
    uint64_t used;       /* bytes */
    uint64_t max;        /* bytes */
    uint64_t peak;       /* the most used, see pool_fallen() */
};

/* Make |p| an empty account of at most |max| bytes below |parent|. */
void pool_init(struct pool *p, struct pool *parent, uint64_t max);

/* Charge |len| bytes to |p| and its parents; may pass the bound, see
 * pool_percent(). */
void pool_charge(struct pool *p, uint64_t len);

/* Give |len| charged bytes back. */
void pool_release(struct pool *p, uint64_t len);

/* How far its use is below the most it was since pool_forget_peak(). */
uint64_t pool_fallen(const struct pool *p);
void pool_forget_peak(struct pool *p);

/* How full the fullest of |p| and its parents is, in percent, may pass 100. */
unsigned pool_percent(const struct pool *p);

#endif
