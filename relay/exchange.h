/*
 * One request of a visitor and its response: which tunnel it belongs to, the
 * rules for its heads, the stream it travels on, and how it ends. What HTTP
 * version carried it is the edge's affair.
 */
#ifndef RELAY_EXCHANGE_H
#define RELAY_EXCHANGE_H

#include "common/splice.h"
#include "relay/error_page.h"

struct client_session;
struct worker;

enum exchange_end {
    EXCHANGE_DONE,   /* whole; exchange_may_keep(): the connection goes on */
    EXCHANGE_LINGER, /* the answer is whole, what of it is queued must leave;
                        then the connection ends */
    EXCHANGE_PAGE,   /* ended before a response head: answer with |page| */
    EXCHANGE_CUT     /* broken off, or the visitor left: cut the connection */
};

struct exchange;
typedef void exchange_fn(struct exchange *x, enum exchange_end end,
                         const struct error_page *page);

/* Embedded in the visitor's connection; zeroed when there is none. */
struct exchange {
    struct exchange *next, *prev; /* the session's list */
    struct client_session *session;
    struct worker *worker;
    struct conn *conn;
    struct splice *splice;
    exchange_fn *on_end;
    const char *host; /* the connection's server name, borrowed */
    char *line;       /* method and path for the log, at debug level */
    uint64_t since_us;
    uint32_t stream;
    uint16_t tunnel;
    uint16_t status; /* of the final head; 0 before it */
    uint8_t version; /* the visitor's */
    uint8_t slot;    /* of the link that carries it */
    bool keeps_alive;
    bool is_head;
    bool is_upgrade;
    bool is_raw;
    bool is_navigation;
    bool said_close;   /* the response said Connection: close */
    bool in_ended;     /* the request was read whole */
    bool gave_fin;     /* and given to the stream whole: no STOP came before */
    bool out_ended;    /* the response is whole and with the kernel */
    bool out_received; /* the stream's FIN came: nothing more to wait for */
    bool is_waiting;   /* for the client's link: nothing was sent yet */
    bool is_stopped;   /* the client wants no more of the request */
};

/* Whose request it is. All borrowed. */
struct exchange_visitor {
    struct worker *worker;
    struct conn *conn;
    struct h1_parser *parser; /* just gave |head| */
    struct head *head;        /* changed: fields dropped and set */
    const char *host;         /* SNI, normalised; outlives the exchange */
    const struct visitor_address *address;
    uint32_t visitor_conn;
    exchange_fn *on_end;
};

/*
 * Route the request and open its stream. ERR_OK: under way, call
 * exchange_conn(x, CONN_DATA) once the head's bytes are consumed. Otherwise
 * nothing has begun and |page| is the answer. |on_end| is not called from here.
 */
MUST_CHECK enum err exchange_start(struct exchange *x,
                                   const struct exchange_visitor *v,
                                   struct error_page *page);

/* Whether an exchange is under way. */
bool exchange_is_on(const struct exchange *x);

/* An event of the visitor's connection. May end |x| (|on_end|). */
void exchange_conn(struct exchange *x, enum conn_event event);

/* An event of the stream; its queue has room. May end |x| (|on_end|). */
void exchange_event(struct exchange *x, const struct session_event *event);
void exchange_writable(struct exchange *x);

/* For exchange_response: end |x|. Its stream, if it lives still, is reset with
 * |code|; on_end. */
void exchange_finish(struct exchange *x, enum exchange_end end, enum err code);
void exchange_finish_with(struct exchange *x, const struct error_page *page,
                          enum err code);
void exchange_finish_page(struct exchange *x, enum error_page_kind kind,
                          enum err code);

/* The session, or the tunnel in it, is going away, for |why|. Ends |x|. */
void exchange_lost(struct exchange *x, enum err why);

/* Memory needs what |x| holds; its stream was reset. Ends |x|. */
void exchange_shed(struct exchange *x);

/* |x| has waited for its session's link in vain. Ends |x|. */
void exchange_waited(struct exchange *x);

/* The visitor is gone or is cut off: RESET(CANCEL). No |on_end| follows. */
void exchange_cancel(struct exchange *x);

/* After EXCHANGE_DONE: whether the connection may carry a next request. */
bool exchange_may_keep(const struct exchange *x);

/* When bytes moved last while somebody wanted them to (the loop's clock), and
 * how long they may stand still now. */
uint64_t exchange_moved_us(const struct exchange *x);
uint64_t exchange_stall_us(const struct exchange *x);

#endif
