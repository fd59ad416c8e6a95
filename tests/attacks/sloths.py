"""slowhttptest, which others have written, at one house's door.

It is Debian's: it says no server name, and comes from one address only; what
tests/preload/sloth.c, loaded into it, mends. That also tells what happens to
its connections, so that it can be asked as a crowd of ours can.
"""

import collections
import contextlib
import os
import shutil

import children
import clock
import houses
import preload
import stage

PROGRAM = "slowhttptest"
WHY_NOT = f"no {PROGRAM}: tests/deps installs it"
LIBRARY = "preload/sloth.c"
LENGTH_S = 600  # longer than anything here: it is ended before
# At its start it asks once as anybody does, to see whether it is answered.
PROBES = 1
RAMP_S = 60.0

# |options| of each of its ways; |still| more of them, for who does nothing any
# more; how many connections a second; the |status| of its answers, if any.
Way = collections.namedtuple("Way", "options still path rate status")
WAYS = {
    "-H": Way(["-i", "1"], [], "/1024", 300, "408"),
    "-B": Way(["-i", "1", "-s", "1000000"], ["-i", str(LENGTH_S)], "/1024",
              300, None),
    "-R": Way([], [], "/1024", 500, "200"),
    "-X": Way(["-i", "1"], ["-n", str(LENGTH_S)], "/100000000", 300, None),
}

SLOTHS = 50
STALLING = SLOTHS * sum(way.status is None for way in WAYS.values())
VISITORS = 2
# Below the 2 s of silence after which a link is in doubt.
STEP_S = 1
PATIENCE_S = 240  # it is 300, less what the test itself may take
ENOUGH_S = 390
SOON_S = 30


def is_there():
    """Whether it can be run."""
    return shutil.which(PROGRAM) is not None


class Sloth:
    """One slowhttptest; may be used for a houses.Crowd."""

    _count = 0

    # pylint: disable-next=too-many-arguments,too-many-positional-arguments
    def __init__(self, house, way, count, address, addresses, is_still=False):
        """|count| connections from |addresses| addresses from |address| on."""
        Sloth._count += 1
        options = WAYS[way].options + (WAYS[way].still if is_still else [])
        env = dict(os.environ, LD_PRELOAD=preload.library(LIBRARY),
                   SLOTH_FROM=address, SLOTH_ADDRESSES=str(addresses))
        self.child = children.Child(
            f"sloth-{Sloth._count}",
            [PROGRAM, way, *options, "-c", str(count),
             "-r", str(WAYS[way].rate), "-l", str(LENGTH_S),
             "-p", str(LENGTH_S), "-u", house.url + WAYS[way].path],
            house.folder, env=env)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()

    def tell(self):
        """What has happened so far, in the words of a houses.Crowd."""
        said = collections.Counter(self.child.errors().split("\n"))
        return {"opened": said["up"] - PROBES, "settled": said["up"] - PROBES,
                "held": said["up"] - said["down"], "refused": 0, "flights": 0,
                "ended": said["down"] - PROBES}

    def answers(self, status):
        """How often it got an answer of |status|."""
        count = self.child.errors().count(f"answer {status}\n")
        return count - PROBES if status == "200" else count


class Timed:
    """A house whose clock is the test's, with a visitor that goes on."""

    def __init__(self, folder):
        self.clock = clock.Clock(folder)
        self.house = houses.House(folder, "timed", self.clock.prefix)
        self.visitors = houses.Crowd(self.house, "visit", VISITORS,
                                     "127.9.3.1", 1)
        self.visited = 0

    def __enter__(self):
        self._visit()
        return self

    def __exit__(self, *_):
        self.visitors.__exit__()

    def _visit(self):
        """Some answers more: what links ask each other comes before them."""
        stage.eventually("answers", lambda: self.visitors.tell()["answered"] >=
                         self.visited + 4, RAMP_S)
        self.visited = self.visitors.tell()["answered"]

    def stalls(self):
        """How many visitors the relay has ended for their stall."""
        return self.house.relay.child.errors().count(" visitor-stalled ")

    def step_until(self, found, most_s):
        """Let time pass till |found| is true; whether it is."""
        while not found() and self.clock.ahead_s < most_s:
            self.clock.advance(STEP_S)
            self._visit()
        return found()


def check(tally, scene):
    """Checks: who is slow is ended by the limit that is meant for it."""
    if not is_there():
        tally.skip("ends of the slow", WHY_NOT)
        return
    with Timed(scene.folder) as timed, contextlib.ExitStack() as ends:
        sloths = {way: ends.enter_context(
            Sloth(timed.house, way, SLOTHS, f"127.3.{10 + i}.1", 1, True))
            for i, way in enumerate(WAYS)}
        stage.eventually("slow visitors", lambda: all(
            s.tell()["opened"] >= SLOTHS for s in sloths.values()), RAMP_S)
        _check_ends(tally, timed, sloths)
        troubles = timed.house.troubles()
        tally.check("ends of the slow: the clients keep their links",
                    not troubles, "; ".join(troubles))
        tally.check("ends of the slow: others are served all the time",
                    timed.visitors.tell()["ended"] == 0,
                    f"{timed.visited} answers")


def _check_ends(tally, timed, sloths):
    def answered(way):
        return sloths[way].answers(WAYS[way].status)

    for way in [way for way in WAYS if WAYS[way].status]:
        timed.step_until(lambda w=way: answered(w) >= SLOTHS, SOON_S)
        tally.check(f"{PROGRAM} {way}: each is answered {WAYS[way].status}",
                    answered(way) == SLOTHS, f"{answered(way)} of {SLOTHS} "
                    f"after {timed.clock.ahead_s} s")
    timed.step_until(lambda: False, PATIENCE_S)
    tally.check(f"{PROGRAM} -B and -X: a stall of {PATIENCE_S} s is borne",
                timed.stalls() == 0 and timed.house.live() >= STALLING,
                f"{timed.stalls()} ended")
    timed.step_until(lambda: timed.stalls() >= STALLING, ENOUGH_S)
    tally.check(f"{PROGRAM} -B and -X: each is ended, and the log says so",
                timed.stalls() == STALLING,
                f"{timed.stalls()} of {STALLING} "
                f"after {timed.clock.ahead_s} s")
    tally.check(f"{PROGRAM} -B and -X: nothing of theirs is under way",
                timed.house.live() <= VISITORS)
    # Who does not read (-X) does not see its end either.
    stage.eventually("end of slow bodies", lambda:
                     sloths["-B"].tell()["ended"] == SLOTHS, RAMP_S)
