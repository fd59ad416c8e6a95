/*
 * How a session outlives its links (PROTOCOL.md, sections 8 and 10), as a model
 * that spin searches whole: every order in which two ends, a network that cuts
 * and a clock can act. tests/model/run does it, and shows that each mistake
 * that this file knows by name (spin -D NAME) is found as an error.
 *
 * What stands for what:
 *   a position   counts half frames, not bytes: frame k ends at 2k. An odd one
 *                is inside a frame, and a link may be cut there.
 *   a frame      is two messages, HALF and REST. The session and the number in
 *                them are for the checks: the ends only count, as the code does.
 *   a link       is a queue each way. A cut takes in nothing more in one of the
 *                directions, at any time, and shows to nobody. What is under
 *                way arrives up to any half of a frame: each end reads on till
 *                it notices, which may be at once or never. An end that has
 *                closed its socket reads no more; what it sent arrives yet.
 *   the clock    is left to chance: what needs time (to notice, to give up an
 *                answer, to end the grace) may happen at any time.
 *   bounds       FRAMES each way, LINKS of which the last one holds, one end of
 *                the grace.
 *
 * Left out: streams, windows, classes of frames and PING (none of them changes
 * a position); TLS and signatures (section 2); tunnels and names; the second
 * slot, which does all of this by itself. What is not sequenced is ACK alone.
 * A session that a late LOGIN makes is forgotten at once: its client has given
 * that link up, and will never name it.
 *
 * What has to hold: the assertions, each of them named where it stands, and
 * that there is no end but the one where everything has arrived.
 */

#ifndef FRAMES
#define FRAMES 3
#endif
#ifndef LINKS
#define LINKS 4
#endif
#define LAST (LINKS - 1)
#define NONE LINKS
#define WIRE 3 /* messages that one direction of a link holds */

/* Checks of what either end believes. Without them (OUTCOME) the mistakes are
 * found by what comes of them: a frame lost or doubled, or an end that waits. */
#ifdef OUTCOME
#define CHECK(truth) true
#else
#define CHECK(truth) assert(truth)
#endif

/*
 * LOGIN(session, epoch, received); WELCOME is RESUMED or FRESH(session, -,
 * received), DENIED is STALE; HALF and REST(session, number); ACK(-, position).
 */
mtype = { LOGIN, RESUMED, FRESH, STALE, HALF, REST, ACK };

chan up[LINKS] = [WIRE] of { mtype, byte, byte, byte };
chan down[LINKS] = [WIRE] of { mtype, byte, byte, byte };
bool is_up_cut[LINKS];
bool is_down_cut[LINKS];
bool relay_has[LINKS]; /* its socket is open */

/* What either end keeps of a session: proto/session_state.h, struct slot. */
typedef slot {
    byte session;  /* its id; 0: none */
    byte link;     /* the one in use, or NONE: parked */
    byte end;      /* sent log: position of its end */
    byte acked;    /* what is before it was acknowledged, and is freed */
    byte handed;   /* given to the link in use up to here; at |end|: all */
    byte received; /* position: whole frames that came */
    bool has_half; /* half a frame is assembled */
    byte told;     /* the newest ACK */
    byte taken     /* for the checks: number of the newest frame */
};

slot client, relay;
byte relay_epoch;   /* of the newest LOGIN that was taken */
byte taken_epoch;   /* the same, for the checks */
byte sessions = 1;  /* ids that were given */
byte login = NONE;  /* the link whose answer the client awaits: only one */
bool is_grace_over; /* it was, once */

/* --- both ends -----------------------------------------------------------*/

/* Whether the peer of |me| may have received |position|, as
 * sent_log_may_resume() decides it; and what it has to decide. */
#ifdef CLAIM_NOT_CHECKED
#define MAY_RESUME(me, position) ((position) >= me.acked)
#else
#define MAY_RESUME(me, position)                                               \
    ((position) == me.acked ||                                                 \
     ((position) > me.acked && (position) <= me.end && (position) % 2 == 0))
#endif
#define MIGHT_BE_TRUE(me, position)                                            \
    ((position) % 2 == 0 && !((position) < me.acked || (position) > me.end))

#ifdef POSITION_OFF_BY_ONE
#define RECEIVED(me) (me.received + 1)
#else
#define RECEIVED(me) (me.received)
#endif

inline drop_all(queue)
{
    do
    :: queue?_, _, _, _
    :: empty(queue) -> break
    od
}

/* A session begins at |me|: all positions are 0. */
inline begin_session(me, id)
{
    me.session = id;
    me.end = 0;
    me.acked = 0;
    me.handed = 0;
#ifndef POSITION_KEPT
    me.received = 0;
#endif
    me.has_half = false;
    me.told = 0;
    me.taken = 0
}

/* The link of |me| is gone: an input, not the session's death. */
inline lose_link(me)
{
    me.link = NONE;
#ifndef HALF_A_FRAME_KEPT
    me.has_half = false;
#endif
    me.told = 0
}

/* |me| goes on over link |i|: what the peer has received is freed, the rest of
 * the log comes again as it was. */
inline resume(me, i, position)
{
    me.link = i;
    me.acked = position;
#ifdef NOTHING_SENT_AGAIN
    me.handed = me.end
#else
#ifdef A_FRAME_SKIPPED
    me.handed = (position < me.end -> position + 2 : position)
#else
    me.handed = position
#endif
#endif
}

/* Whatever lie a login could have told |me| now would be refused, if it is one
 * that |me| can know: a position that was never sent, is freed, or is inside a
 * frame. */
inline check_lies(me)
{
    for (lie : 0 .. 2 * FRAMES + 2) {
        assert(MAY_RESUME(me, lie) == MIGHT_BE_TRUE(me, lie))
    }
    lie = 0
}

/* An end has closed its socket of link |i|, on which |queue| came: nothing is
 * read from it, or sent on it, and what is sent to it is lost. */
inline close_link(i, queue)
{
    drop_all(queue);
    is_up_cut[i] = true;
    is_down_cut[i] = true
}

/* All links but the last may have been cut by now. It shows in what is sent. */
inline network(i, is_cut)
{
    if
    :: i < LAST -> is_cut = true
    :: true
    fi
}

#define MAY_SEND(me, queue)                                                    \
    (me.link != NONE && me.handed < 2 * FRAMES && len(queue) <= WIRE - 2)

/* The next frame: from the log while some of it has to come again, else a new
 * one, which gets its position now. */
inline send_frame(me, queue, is_cut)
{
    if
    :: me.handed < me.end
    :: else -> me.end = me.end + 2
    fi;
    me.handed = me.handed + 2;
#ifdef FREED_WHEN_SENT
    me.acked = me.handed;
#endif
    network(me.link, is_cut);
    if
    :: is_cut
    :: else ->
        queue!HALF, me.session, me.handed / 2, 0;
        queue!REST, me.session, me.handed / 2, 0
    fi
}

#define MAY_ACK(me, queue)                                                     \
    (me.link != NONE && me.received > me.told && nfull(queue))

inline send_ack(me, queue, is_cut)
{
    me.told = me.received;
    network(me.link, is_cut);
    if
    :: is_cut
    :: else -> queue!ACK, 0, me.received, 0
    fi
}

/* A message came that is no part of a login. */
inline take(me, kind, id, number)
{
    if
    :: kind == HALF ->
        assert(!me.has_half); /* no half of another link is left */
        me.has_half = true
    :: kind == REST ->
        assert(me.has_half);
        assert(id == me.session);       /* none of a session before */
        assert(number == me.taken + 1); /* none lost, doubled, moved */
        me.has_half = false;
        me.taken = number;
        me.received = me.received + 2
    :: kind == ACK ->
        assert(number <= me.handed); /* or the code says PROTOCOL */
        if
        :: number > me.acked -> me.acked = number
        :: else
        fi
    fi
}

/* --- the relay -----------------------------------------------------------*/

#ifdef EPOCH_NOT_COMPARED
#define IS_STALE(epoch) false
#else
#define IS_STALE(epoch) ((epoch) <= relay_epoch)
#endif

/* What a LOGIN gets that names |id|, with |epoch| and |position|. */
inline judge(id, epoch, position, verdict)
{
    if
    :: id == 0 || id != relay.session -> verdict = FRESH
    :: else ->
        if
        :: IS_STALE(epoch) -> verdict = STALE
        :: else ->
            verdict = (MAY_RESUME(relay, position) -> RESUMED : FRESH)
        fi
    fi
}

/* Not a byte of the older link counts from now on. */
inline fence()
{
    if
    :: relay.link != NONE ->
#ifndef FENCE_SKIPPED
        relay_has[relay.link] = false;
        close_link(relay.link, up[relay.link]);
#endif
        lose_link(relay)
    :: else
    fi
}

inline take_login(i, id, epoch, position)
{
    judge(id, epoch, position, verdict);
    if
    :: verdict == STALE || (verdict == FRESH && login != i) ->
        assert(login != i); /* who awaits an answer is never refused */
        relay_has[i] = false;
        close_link(i, up[i])
    :: else ->
        /* Who names the session in its grace goes on, however many answers were
         * lost before: that has cost a login each, and nothing else. */
        assert(verdict == RESUMED || id == 0 || id != relay.session);
        fence();
        if
        :: verdict == RESUMED ->
            CHECK(epoch > taken_epoch); /* no stale one, ever */
            check_lies(relay);
            resume(relay, i, position)
        :: else ->
            sessions++;
            begin_session(relay, sessions);
            relay.link = i
        fi;
        relay_epoch = epoch;
        taken_epoch = epoch;
        CHECK(IS_STALE(epoch)); /* the same LOGIN once more gets nothing */
        network(i, is_down_cut[i]);
        if
        :: is_down_cut[i]
        :: else -> down[i]!verdict, relay.session, 0, RECEIVED(relay)
        fi
    fi;
    verdict = 0
}

/* The relay's end of link |i|: its LOGIN, and then what it brings. */
proctype Relay_link(byte i)
{
    mtype kind, verdict;
    byte id, number, position, lie;

    if
    :: i == 0 /* was logged in before the model begins */
    :: else ->
end_unused:
        atomic {
            nempty(up[i]) ->
            up[i]?LOGIN, id, number, position;
            take_login(i, id, number, position);
            id = 0;
            number = 0;
            position = 0
        }
    fi;
end_silent:
    do
    :: d_step {
        relay_has[i] && nempty(up[i]) ->
        up[i]?kind, id, number, position;
        CHECK(relay.link == i); /* not a byte of a link that was fenced */
        take(relay, kind, id, number);
        kind = 0;
        id = 0;
        number = 0
    }
    od
}

proctype Relay()
{
end_idle:
    do
    :: atomic {
        MAY_SEND(relay, down[relay.link]) ->
        send_frame(relay, down[relay.link], is_down_cut[relay.link])
    }
    :: atomic {
        MAY_ACK(relay, down[relay.link]) ->
        send_ack(relay, down[relay.link], is_down_cut[relay.link])
    }
    :: d_step {
        /* It notices that its link is gone: parked. */
        relay.link < LAST ->
        relay_has[relay.link] = false;
        close_link(relay.link, up[relay.link]);
        lose_link(relay)
    }
    :: d_step {
        /* Parked for longer than the grace: the session is forgotten. */
        relay.link == NONE && relay.session != 0 && !is_grace_over ->
        is_grace_over = true;
        begin_session(relay, 0);
        relay_epoch = 0;
        taken_epoch = 0
    }
    od
}

/* --- the client ----------------------------------------------------------*/

/* An epoch higher than any before, and the position of this moment. */
inline log_in()
{
    epoch++;
    login = next;
    next++;
    relay_has[login] = true;
    network(login, is_up_cut[login]);
    if
    :: is_up_cut[login]
    :: else -> up[login]!LOGIN, client.session, epoch, RECEIVED(client)
    fi
}

inline take_answer(kind, id, position)
{
    if
    :: kind == FRESH ->
        /* All its streams are reset, and its tunnels bound again. */
        begin_session(client, id);
        client.link = login
    :: else ->
        check_lies(client);
        assert(id == client.session && MAY_RESUME(client, position));
        resume(client, login, position)
    fi;
    login = NONE
}

proctype Client()
{
    byte next = 1;     /* the link to dial */
    byte epoch = 1;    /* of the newest LOGIN */
    mtype kind;
    byte id, number, position, lie;

end_idle:
    do
    :: atomic {
        MAY_SEND(client, up[client.link]) ->
        send_frame(client, up[client.link], is_up_cut[client.link])
    }
    :: atomic {
        MAY_ACK(client, up[client.link]) ->
        send_ack(client, up[client.link], is_up_cut[client.link])
    }
    :: d_step {
        client.link != NONE && nempty(down[client.link]) ->
        down[client.link]?kind, id, number, position;
        take(client, kind, id, number);
        kind = 0;
        id = 0;
        number = 0
    }
    :: atomic {
        /* It notices that its link is gone, or knows a better way. */
        client.link < LAST ->
#ifndef OLD_LINK_READ_ON
        close_link(client.link, down[client.link]);
        lose_link(client)
#else
        if
        :: login == NONE && next < LINKS -> log_in()
        :: else
        fi
#endif
    }
    :: atomic {
        client.link == NONE && login == NONE ->
        log_in()
    }
    :: d_step {
        login != NONE && nempty(down[login]) ->
        down[login]?kind, id, number, position;
        take_answer(kind, id, position);
        kind = 0;
        id = 0;
        number = 0;
        position = 0
    }
    :: d_step {
        /* No answer in time: that connection is closed first. */
        login < LAST ->
        close_link(login, down[login]);
        login = NONE
    }
    od
}

/* --- what has to come of it ----------------------------------------------*/

#define HAS_ALL(me)                                                            \
    (me.taken == FRAMES && me.acked == 2 * FRAMES && me.handed == me.end)

/* This step cannot be taken in an end that spin shall find invalid. */
proctype Everything_arrived()
{
    HAS_ALL(client) && HAS_ALL(relay) && client.session == relay.session
}

init {
    byte i;

    atomic {
        client.session = 1;
        relay.session = 1;
        relay_epoch = 1;
        taken_epoch = 1;
        relay_has[0] = true;
        for (i : 0 .. LAST) {
            run Relay_link(i)
        }
        i = 0;
        run Relay();
        run Client();
        run Everything_arrived()
    }
}
