/* Socket addresses as text and back, and host:port strings. */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <sys/socket.h>

#include "proto/error.h"
#include "proto/frame.h"
#include "proto/span.h"

#define ADDRESS_TEXT_MAX 64u /* "[v6]:port" with its zero */

/* "198.51.100.4:443" or "[2001:db8::1]:443"; "?" when unknown. */
void address_text(const struct sockaddr_storage *a, char *out, size_t size);

/* As it stands in OPEN, and the address alone as text ("198.51.100.4"). An
 * IPv4 address mapped into IPv6 becomes plain IPv4. */
void address_to_visitor(const struct sockaddr_storage *a,
                        struct visitor_address *out);
void address_visitor_text(const struct visitor_address *a, char *out,
                          size_t size);

/* 127.0.0.0/8 or ::1. */
bool address_is_loopback(const struct sockaddr_storage *a);

/* The numeric |host| (no brackets) with |port|; false when it is a name. */
bool address_from_host(const char *host, uint16_t port,
                       struct sockaddr_storage *out);

/* Parse a numeric "ADDRESS:PORT" or "[V6]:PORT" to listen on or connect to.
 * ERR_SETTINGS when it is not one. */
MUST_CHECK enum err address_parse(const char *text,
                                  struct sockaddr_storage *out);

/* Split "HOST[:PORT]" ("[v6]:port" too); port |port_default| when absent.
 * ERR_SETTINGS when malformed. */
MUST_CHECK enum err address_split(struct span text, uint16_t port_default,
                                  char *host, size_t size, uint16_t *port);

#endif
