/*
 * One encoder and one decoder per frame, side by side, and the table of who
 * may send what, how long it may be. PROTOCOL.md draws each frame. LOGIN,
 * WELCOME and DENIED have their own room, login.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "proto/error.h"
#include "proto/limits.h"
#include "proto/wire.h"

enum frame_type {
    FRAME_LOGIN = 0x01,   /* client, first on a link, not sequenced */
    FRAME_WELCOME = 0x02, /* relay, the answer, not sequenced */
    FRAME_DENIED = 0x03,  /* relay, the other answer, not sequenced */
    FRAME_PING = 0x04,    /* either, not sequenced */
    FRAME_PONG = 0x05,    /* either, not sequenced */
    FRAME_ACK = 0x06,     /* either, not sequenced */
    FRAME_OPEN = 0x10,    /* relay */
    FRAME_HEAD = 0x11,    /* either: goes on with OPEN's head, or a head back */
    FRAME_DATA = 0x12,    /* either */
    FRAME_WINDOW = 0x13,  /* either */
    FRAME_RESET = 0x14,   /* either */
    FRAME_STOP = 0x15,    /* client */
    FRAME_BIND = 0x20,    /* client */
    FRAME_BOUND = 0x21,   /* relay */
    FRAME_REFUSED = 0x22, /* relay */
    FRAME_UNBIND = 0x23,  /* client */
    FRAME_UNBOUND = 0x24, /* relay */
    FRAME_GOAWAY = 0x25,  /* either */
    FRAME_OPTIONAL_FIRST = 0x80,
    FRAME_NEXT_KEY = 0x80 /* relay: its coming key, signed by the current */
};

enum frame_flag {
    FRAME_FIN = 0x01,      /* OPEN, HEAD, DATA: the sender's last */
    FRAME_END_HEAD = 0x02, /* OPEN, HEAD: the block is complete */
    FRAME_BLOCKED = 0x04   /* DATA: used the last of the window */
};

/* What kind of head HEAD frames carry: bits 4 and 5 of their flags. */
enum head_kind {
    HEAD_REQUEST = 0, /* OPEN's head and the HEAD frames that go on with it */
    HEAD_INFORMATIONAL = 1,
    HEAD_FINAL = 2,
    HEAD_TRAILERS = 3
};
#define FRAME_HEAD_KIND_SHIFT 4u

struct frame_header {
    uint32_t stream;
    uint16_t len; /* of the payload */
    uint8_t type;
    uint8_t flags;
};

enum stream_kind { STREAM_HTTP = 1, STREAM_RAW = 2 };

/* A visitor's address as the relay saw it. */
struct visitor_address {
    uint8_t family;    /* 4 or 6 */
    uint8_t bytes[16]; /* the first 4 for family 4 */
    uint16_t port;
};

struct frame_open {
    uint16_t tunnel;
    uint32_t window; /* first credit for the client's bytes */
    enum stream_kind kind;
    uint32_t visitor_conn; /* unique among live visitor connections */
    struct visitor_address address;
    uint8_t http_version; /* 10, 11 or 20, as the visitor spoke */
};

struct frame_bind {
    uint16_t tunnel;
    struct span name; /* wanted label, empty for none */
    uint8_t tag[TARGET_TAG_LEN];
};

/* A tunnel id with a code and a sentence: REFUSED and UNBOUND. */
struct frame_verdict {
    uint16_t tunnel;
    enum err code;
    struct span sentence;
};

/* Header: write FRAME_HEADER_LEN bytes to |out|; read them from |in|. */
void frame_header_put(uint8_t *out, const struct frame_header *h);
void frame_header_get(const uint8_t *in, struct frame_header *h);

/*
 * Whether a frame with header |h| may come from the relay (or, |from_relay|
 * false, from the client) on an established session: known type, length,
 * flags, stream zero or not. ERR_PROTOCOL with |*why| a constant sentence if
 * not. A frame of an unknown optional type is fine: see frame_is_known().
 */
MUST_CHECK enum err frame_check(const struct frame_header *h, bool from_relay,
                                const char **why);
/*
 * The same for the first frame of a link: LOGIN from the client, WELCOME or
 * DENIED from the relay, nothing else.
 */
MUST_CHECK enum err frame_check_login(const struct frame_header *h,
                                      bool from_relay, const char **why);

/* Whether |type| stands in the table; unknown optional ones are skipped. */
bool frame_is_known(uint8_t type);
/* Whether frames of |type| count for positions and stay in the sent log. */
bool frame_is_sequenced(uint8_t type);

/*
 * Payloads: write into |w|; read the whole of |in|, ERR_PROTOCOL if wrong.
 * Codes must be error_is_wire(), tunnel ids are not 0. A sentence is cut to
 * SENTENCE_MAX_LEN when written, and what is not printable ASCII becomes '?'.
 */
void frame_put_open(struct wire_writer *w, const struct frame_open *f);
/* The head bytes that follow the fixed part go to |*head|. */
MUST_CHECK enum err frame_get_open(struct span in, struct frame_open *f,
                                   struct span *head);
void frame_put_u32(struct wire_writer *w, uint32_t v); /* WINDOW, not 0 */
MUST_CHECK enum err frame_get_u32(struct span in, uint32_t *v);
void frame_put_u64(struct wire_writer *w, uint64_t v); /* PING PONG ACK */
MUST_CHECK enum err frame_get_u64(struct span in, uint64_t *v);
void frame_put_code(struct wire_writer *w, enum err code); /* RESET */
MUST_CHECK enum err frame_get_code(struct span in, enum err *code);
void frame_put_bind(struct wire_writer *w, const struct frame_bind *f);
MUST_CHECK enum err frame_get_bind(struct span in, struct frame_bind *f);
void frame_put_bound(struct wire_writer *w, uint16_t tunnel, struct span url);
MUST_CHECK enum err frame_get_bound(struct span in, uint16_t *tunnel,
                                    struct span *url);
void frame_put_verdict(struct wire_writer *w, const struct frame_verdict *f);
MUST_CHECK enum err frame_get_verdict(struct span in, struct frame_verdict *f);
void frame_put_unbind(struct wire_writer *w, uint16_t tunnel);
MUST_CHECK enum err frame_get_unbind(struct span in, uint16_t *tunnel);
void frame_put_goaway(struct wire_writer *w, enum err code,
                      struct span sentence);
MUST_CHECK enum err frame_get_goaway(struct span in, enum err *code,
                                     struct span *sentence);
void frame_put_next_key(struct wire_writer *w, const uint8_t key[KEY_LEN],
                        const uint8_t signature[SIGNATURE_LEN]);
MUST_CHECK enum err frame_get_next_key(struct span in, uint8_t key[KEY_LEN],
                                       uint8_t signature[SIGNATURE_LEN]);

/* A sentence for people, with its length in front; and whether one is good:
 * printable ASCII and nothing else. DENIED has them too. */
void frame_put_sentence(struct wire_writer *w, struct span sentence);
bool frame_is_printable(struct span text);

#endif
