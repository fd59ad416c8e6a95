/*
 * What the person at the terminal sees: the URL and its QR code, a line for
 * each request, warnings; or JSON lines for programs. Text from outside is
 * escaped here.
 */
#ifndef CLIENT_SCREEN_H
#define CLIENT_SCREEN_H

#include "client/probe.h"
#include "client/uplink.h"

#define SCREEN_STATUS_MAX 120u

enum screen_style { SCREEN_PLAIN, SCREEN_TERMINAL, SCREEN_JSON };

struct screen {
    FILE *out;
    struct loop *loop;
    struct flush flush; /* writes the lines of a tick in one go */
    enum screen_style style;
    bool has_qr;
    bool has_colour;
    bool told_lost;  /* "reconnecting" was said since the link was lost */
    bool told_full;  /* that the uplink is */
    bool has_status; /* the last line on the terminal is |status| */
    char status[SCREEN_STATUS_MAX]; /* of the link; "": none yet */
};

/* Which style |out| wants: JSON when asked, terminal with colours unless
 * NO_COLOR, plain lines otherwise. Lines are written at the end of |loop|'s
 * tick. */
void screen_open(struct screen *s, struct loop *loop, FILE *out, bool is_json,
                 bool wants_qr);

/* Write what is left. */
void screen_close(struct screen *s);

void screen_connecting(struct screen *s, const struct relay_pin *relay);
void screen_news(struct screen *s, const struct uplink_news *news);
void screen_exchange(struct screen *s, const struct local_report *report,
                     const char *url);
void screen_finding(struct screen *s, enum probe_finding finding,
                    const struct target *target, const char *why);
/* How the link is, each time that somebody looked; the session went on
 * |resumes| times where one was lost. A terminal has it in its last line; that
 * the uplink is full, and that it no longer is, is said in every style. */
void screen_quality(struct screen *s, const struct link_quality *q,
                    uint32_t resumes);
/* "draining" and "drained": what the process does with itself. */
void screen_state(struct screen *s, const char *state, const char *text);

#endif
