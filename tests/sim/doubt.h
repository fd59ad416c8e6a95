/*
 * Two links, of which one falls silent: it has to be in doubt in time, and a
 * link that delivers never, whatever its round trip.
 */
#ifndef TESTS_SIM_DOUBT_H
#define TESTS_SIM_DOUBT_H

/* Ends the program when it is not so. */
void doubt_check(void);

#endif
