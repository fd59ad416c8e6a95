/* A URL as a QR code made of text, for phones in front of a terminal. */
#ifndef CLIENT_QR_H
#define CLIENT_QR_H

#include <stdio.h>

#include "proto/error.h"

/* Print |text| as a QR code, two rows a line, dark on light. ERR_LIMIT when it
 * is too long for one, ERR_NOMEM. */
MUST_CHECK enum err qr_print(const char *text, FILE *out);

#endif
