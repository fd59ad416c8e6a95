/*
 * The one table of errors: name, number on the wire, whose fault it is, and
 * the sentence a person reads. Numbers under ERR_LOCAL_FIRST may stand in
 * RESET, REFUSED, UNBOUND, DENIED and GOAWAY frames; the others never leave
 * the process.
 */
#ifndef PROTO_ERROR_H
#define PROTO_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* Return the error of |call| at once; only where nothing needs undoing. */
#define TRY(call)                                                              \
    do {                                                                       \
        enum err try_err_ = (call);                                            \
        if (try_err_ != ERR_OK) {                                              \
            return try_err_;                                                   \
        }                                                                      \
    } while (0)

#define ERR_LOCAL_FIRST 0x100

/* clang-format off */
/*    name           wire   fault  text                                      */
#define ERR_TABLE(X)                                                          \
    X(OK,            0,     NONE,  "no error")                                \
    X(PROTOCOL,      1,     PEER,  "the peer broke the protocol")             \
    X(FLOW,          2,     PEER,  "the peer sent past its window")           \
    X(LIMIT,         3,     PEER,  "a limit was reached")                     \
    X(AUTH,          4,     PEER,  "the credentials were refused")            \
    X(NOMEM,         5,     WORLD, "out of memory")                           \
    X(CANCEL,        6,     PEER,  "the other end cancelled")                 \
    X(REFUSED,       7,     PEER,  "the stream was refused")                  \
    X(SERVICE_DOWN,  8,     WORLD, "nothing answers at the local target")     \
    X(SERVICE_BROKE, 9,     WORLD, "the local service broke off its answer")  \
    X(REPLACED,      10,    NONE,  "another client of this key took the name")\
    X(REVOKED,       11,    PEER,  "the key was revoked")                     \
    X(NAME_TAKEN,    12,    PEER,  "the name belongs to another key")         \
    X(NAME_BAD,      13,    PEER,  "the name is not allowed")                 \
    X(RENEW,         14,    NONE,  "the session used up its stream ids")      \
    X(SHUTDOWN,      15,    NONE,  "the other end is shutting down")          \
    X(VERSION,       16,    PEER,  "no protocol version in common")           \
    X(TIMEOUT,       17,    WORLD, "no answer in time")                       \
    X(HEAD,          18,    PEER,  "a malformed request or response head")    \
    X(STALE,         19,    PEER,  "a login older than the current one")      \
    X(BINDING,       20,    PEER,  "a signature for another TLS connection")  \
    X(EXPIRED,       21,    PEER,  "the grace for coming back ran out")       \
    X(IO,            0x100, WORLD, "a read or write failed")                  \
    X(TLS,           0x101, WORLD, "TLS failed")                              \
    X(CLOSED,        0x102, WORLD, "the connection is closed")                \
    X(SETTINGS,      0x103, WORLD, "a setting is wrong")                      \
    X(FILE,          0x104, WORLD, "a file could not be used")                \
    X(STORE,         0x105, WORLD, "the relay's store failed")                \
    X(ABSENT,        0x106, WORLD, "there is no such thing")                  \
    X(RESOLVE,       0x107, WORLD, "the host name could not be resolved")
/* clang-format on */

enum err {
#define X(name, wire, fault, text) ERR_##name = wire,
    ERR_TABLE(X)
#undef X
};

enum err_fault { FAULT_NONE, FAULT_PEER, FAULT_WORLD };

/* The name of |e| as it stands in logs, such as "FLOW". */
const char *error_name(enum err e);

/* The sentence of |e|, lower case, without a full stop. */
const char *error_text(enum err e);

/* Whose fault |e| is. */
enum err_fault error_fault(enum err e);

/*
 * The error with number |wire| in a frame; ERR_PROTOCOL when the number is
 * unknown (a later version's), so that a new code never kills a session.
 */
enum err error_from_wire(uint16_t wire);

/* Whether |e| may stand in a frame. */
bool error_is_wire(enum err e);

#endif
