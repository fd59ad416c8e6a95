/*
 * The keeper reads nothing that strangers send and holds no secret: it forks
 * before the relay's key is read, and waits for signals.
 */
#include "relay/keeper.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/activation.h"

static int complain(const char *what)
{
    (void)fprintf(stderr, "sallyport-relay: %s: %s\n", what, strerror(errno));
    return 1;
}

void keeper_release(struct keeper *k)
{
    if (k == NULL || k->released < 0) {
        return;
    }
    /* First: the keeper ends as soon as it sees the pipe's end. */
    (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    (void)close(k->released);
    k->released = -1;
}

/* The relay's exit code if it has ended, else -1. */
static int code_of(pid_t relay)
{
    int status;

    if (waitpid(relay, &status, WNOHANG) != relay) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Back when the relay has let go, or has ended. */
static void await_release(int pipe_end)
{
    char none;

    while (read(pipe_end, &none, 1) < 0 && errno == EINTR) {
    }
}

static int keep(pid_t relay, int pipe_end, const sigset_t *caught)
{
    for (;;) {
        siginfo_t info;
        int signal = sigwaitinfo(caught, &info);
        int code = code_of(relay);

        if (code >= 0) {
            return code;
        }
        /* What a terminal sends goes to both of us. */
        if (signal == SIGHUP && info.si_code <= 0) {
            (void)kill(relay, SIGHUP);
        } else if (signal == SIGTERM || signal == SIGINT) {
            if (info.si_code <= 0) {
                (void)kill(relay, signal);
            }
            await_release(pipe_end);
            code = code_of(relay);
            /* By the signal itself: it was still starting. */
            return code < 0 || code == 128 + signal ? 0 : code;
        }
    }
}

int keeper_run(struct activation *passed,
               int (*run)(void *owner, struct keeper *k), void *owner)
{
    struct keeper k;
    sigset_t caught, before;
    pid_t self = getpid();
    pid_t relay;
    int ends[2];

    (void)sigemptyset(&caught);
    (void)sigaddset(&caught, SIGTERM);
    (void)sigaddset(&caught, SIGINT);
    (void)sigaddset(&caught, SIGHUP);
    (void)sigaddset(&caught, SIGCHLD);
    if (pipe(ends) != 0) {
        return complain("no pipe");
    }
    (void)sigprocmask(SIG_BLOCK, &caught, &before);
    relay = fork();
    if (relay < 0) {
        return complain("no second process");
    }
    if (relay > 0) {
        (void)close(ends[1]);
        activation_close(passed);
        return keep(relay, ends[0], &caught);
    }
    (void)close(ends[0]);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (getppid() != self) {
        return 1;
    }
    k.released = ends[1];
    return run(owner, &k);
}
