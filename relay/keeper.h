/*
 * A relay whose listening sockets were passed to it is two processes: the
 * keeper, which whoever started it knows, and the relay itself. Told to stop,
 * the keeper ends as soon as the relay has let go of what a successor needs,
 * so that `systemctl restart` starts that one at once, while the relay goes on
 * with what is under way. (sshd does the like: its sessions outlive it.)
 */
#ifndef RELAY_KEEPER_H
#define RELAY_KEEPER_H

struct activation;

struct keeper {
    int released; /* the relay's end of a pipe: closed, it has let go */
};

/*
 * Run |run| with |owner| in a process of its own and keep it: pass SIGHUP,
 * SIGTERM and SIGINT on. The result is the exit code of the process that
 * returns: in the relay's what |run| returned, in the keeper's that as well,
 * or 0 after SIGTERM or SIGINT, when the relay has let go. The keeper closes
 * its copies of |passed|. If the keeper is killed, the relay drains. Call it
 * before there is a thread.
 */
int keeper_run(struct activation *passed,
               int (*run)(void *owner, struct keeper *k), void *owner);

/* Called by the relay: a successor may start. NULL is fine. */
void keeper_release(struct keeper *k);

#endif
