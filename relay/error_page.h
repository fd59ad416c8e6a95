/*
 * What a visitor gets when the relay itself has to answer: a plain page for a
 * navigation, JSON otherwise. Both say what happened and what the developer
 * can do about it. Pure.
 */
#ifndef RELAY_ERROR_PAGE_H
#define RELAY_ERROR_PAGE_H

#include "common/http/h1_writer.h"
#include "proto/head.h"

#define ERROR_PAGE_MAX (8u * KIB)

enum error_page_kind {
    PAGE_BASE,          /* 200: the relay's own name */
    PAGE_BAD,           /* |status| of the parser, |detail| its sentence */
    PAGE_NAME_UNKNOWN,  /* 404 */
    PAGE_HEAD_LATE,     /* 408 */
    PAGE_MISDIRECTED,   /* 421 */
    PAGE_SERVICE_DOWN,  /* 502: nothing listens at the target */
    PAGE_SERVICE_BROKE, /* 502: it broke off before a head */
    PAGE_CLIENT_LOST,   /* 502: the tunnel went away meanwhile */
    PAGE_RECONNECTING,  /* 503: the client's link is lost, and awaited */
    PAGE_NO_CLIENT,     /* 503: nobody serves the name now */
    PAGE_RESTARTING,    /* 503: this relay makes room for the next one */
    PAGE_BUSY           /* 503: a limit of the session was reached */
};

struct error_page {
    enum error_page_kind kind;
    unsigned status;    /* of PAGE_BAD; else 0 */
    const char *host;   /* the public name, escaped here; NULL none */
    const char *detail; /* for PAGE_BAD; NULL none */
    bool is_navigation; /* a person looks: HTML */
};

/* Write the body into |w|, which has ERROR_PAGE_MAX bytes. */
void error_page_body(struct wire_writer *w, const struct error_page *p);

/* The head that goes with a body of |len| bytes; borrows constants only. */
void error_page_head(struct head *h, const struct error_page *p, size_t len);

/* The whole response for |to|, head and body, into |w|. */
void error_page_write(struct wire_writer *w, const struct error_page *p,
                      const struct h1_response_to *to);

/* Whether the request |h| is a navigation (Sec-Fetch-Mode). */
bool error_page_is_navigation(const struct head *h);

#endif
