/*
 * Idle connections to the service: at most one for each visitor connection,
 * never shared between two visitors, closed before the service would (uvicorn
 * closes at 5 s).
 */
#ifndef CLIENT_CONN_POOL_H
#define CLIENT_CONN_POOL_H

#include "common/conn.h"
#include "common/http/h1_parser.h"

struct conn_pool;

/* A connection with the parser that read its last response. */
struct pooled {
    struct conn *conn;
    struct h1_parser *parser;
};

/* NULL without memory. */
struct conn_pool *conn_pool_new(struct loop *loop);

/* Closes all of them. NULL is fine. */
void conn_pool_free(struct conn_pool *p);

/* Close all of them: |visitor_conn| means others from here on. */
void conn_pool_clear(struct conn_pool *p);

/* Keep |idle| for |visitor_conn| of |tunnel| for LOCAL_IDLE_US; the pool owns
 * both from here on. An older one of the same visitor is closed. */
void conn_pool_put(struct conn_pool *p, uint16_t tunnel, uint32_t visitor_conn,
                   struct pooled idle);

/* The idle connection of that visitor, the caller's again; false: none. */
bool conn_pool_take(struct conn_pool *p, uint16_t tunnel, uint32_t visitor_conn,
                    struct pooled *out);

#endif
