/*
 * Listening sockets that whoever started this process made before and passes
 * on, as systemd does it (sd_listen_fds(3)): they stay open while one process
 * follows another, and who knocks meanwhile waits in the kernel. Only takes
 * and checks them; what they are for is their owner's matter.
 */
#ifndef COMMON_ACTIVATION_H
#define COMMON_ACTIVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proto/error.h"

#define ACTIVATION_SOCKETS_MAX 16u
#define ACTIVATION_NAME_MAX 64u /* of a longer name the beginning counts */

struct activation_socket {
    int fd;
    char name[ACTIVATION_NAME_MAX]; /* of LISTEN_FDNAMES; "" none */
    struct sockaddr_storage at;     /* where it listens */
    bool is_dual;                   /* [::] that takes IPv4 as well */
};

struct activation {
    struct activation_socket sockets[ACTIVATION_SOCKETS_MAX];
    size_t count;  /* 0: none were passed */
    char why[160]; /* after an error */
};

/*
 * Take the sockets that LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES tell of:
 * those from descriptor 3 on, the caller's to close from here on. The
 * variables are unset, so that nobody takes them twice. Variables for another
 * process, or none, are no error: |count| is 0. ERR_SETTINGS with out->why:
 * what was passed is not so many listening TCP sockets.
 */
MUST_CHECK enum err activation_take(struct activation *out);

/* Close them all. */
void activation_close(struct activation *a);

#endif
