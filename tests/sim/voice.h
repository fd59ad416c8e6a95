/*
 * Voice beside an upload on lines of several rates: how late its messages are,
 * and what is left for the upload.
 */
#ifndef TESTS_SIM_VOICE_H
#define TESTS_SIM_VOICE_H

/* Play all; watcher_fail() when voice is late or the upload too slow. */
void voice_check(void);

#endif
