/*
 * The response's side of an exchange: heads and bytes from the stream to the
 * visitor, and what the splice reports. Between exchange and this room only.
 */
#ifndef RELAY_EXCHANGE_RESPONSE_H
#define RELAY_EXCHANGE_RESPONSE_H

#include "relay/exchange.h"

/* The splice's events of both directions; |owner| is the exchange. */
void exchange_response_spliced(struct splice *s, enum splice_event event,
                               void *owner);

/* An event of the stream. May end |x|. */
void exchange_response_event(struct exchange *x,
                             const struct session_event *event);

#endif
