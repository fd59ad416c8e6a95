"""The attacks of tests/attacks/run: what strangers do, and what is claimed.

While an attack goes on, visitors ask the first house for a kilobyte again and
again. Blocks in which that house is attacked and blocks in which the other one
is take turns (ABBA), so that the machine is equally busy in both; a pair of
them gives one ratio of the visitors' rates.
"""

import collections
import os
import resource
import statistics
import time

import houses
import sloths
import stage
import tunnel

MIB = 1 << 20
# The rate of others: at least so much of what it is beside the same attack on
# another relay.
RATE_LEAST = 0.8
PAIRS_LEAST = 5
PAIRS_MOST = 30
BLOCK_S = 0.5
RAMP_S = 60.0
BACK_S = 60.0
# Less in so long is nothing: the visitors that are measured get answers too.
STILL, STILL_S = 256 * 1024, 0.3
VISITORS = 8
VISITORS_AT = ("127.9.0.1", 4)
# More than so sure, by the signs of the ratios alone, before it is decided.
SURE = 0.04

# |kind| of stranger, how many, from where; |held|: as many must be there before
# a block begins; memory that each may cost the relay and the client, beside
# what SLACK allows for all: the named overhead.
Attack = collections.namedtuple(
    "Attack", "kind count address addresses held relay_each client_each")
SLACK = 8 * MIB
# What waits in the relay's kernel for each: a batch, and a segment that came on
# top of it (common/conn_socket.c).
KEPT_EACH = 128 * 1024

# Who stalls may fill the pools of the session: what is received in the relay,
# what is unsent or not acknowledged in the client. Beside it each costs a batch
# that is read or written, a frame of its own, and its connection.
POOL = 32 * MIB
STALL = 96 * 1024

ATTACKS = {
    "silent connections": Attack(
        "connect", 300, "127.1.0.1", 1, 0, 2048, 0),
    "hellos": Attack("hello", 64, "127.1.1.1", 1, 0, 32768, 0),
    "hellos of many": Attack("hello", 64, "127.1.2.1", 200, 0, 32768, 0),
    "half hellos": Attack("half", 200, "127.1.3.1", 1, 0, 8192, 0),
    "half hellos of many": Attack(
        "half", 1000, "127.1.4.1", 200, 0, 8192, 0),
    "odd hellos": Attack("odd", 50, "127.1.5.1", 10, 0, 49152, 0),
    "idle TLS": Attack("idle", 300, "127.1.6.1", 6, 280, 24576, 0),
    "slow heads": Attack("head", 300, "127.1.7.1", 6, 280, 32768, 0),
    "slow bodies": Attack("body", 300, "127.1.8.1", 6, 280, 49152, 16384),
    "stalled visitors": Attack(
        "stall", 1000, "127.1.9.1", 20, 900, STALL + POOL // 1000,
        STALL + POOL // 1000),
    "slowhttptest -H": Attack("-H", 300, "127.3.1.1", 6, 280, 32768, 0),
    "slowhttptest -B": Attack("-B", 300, "127.3.2.1", 6, 280, 49152, 16384),
    "slowhttptest -R": Attack("-R", 1000, "127.3.3.1", 6, 0, 81920, 81920),
    "slowhttptest -X": Attack(
        "-X", 300, "127.3.4.1", 6, 280, STALL + POOL // 300,
        STALL + POOL // 300),
}

# One address and what it may take by default (design 3.2).
MANY = 5000
MANY_AT = "127.2.0.1"
CONNECTIONS_MOST = 1000
MANY_S = 60.0
OTHERS = 20
# The requests of one session (design 3.2), and what each may cost the relay and
# the client, with its connection.
STREAMS = 4096
STREAMS_AT = ("127.2.1.1", 40)
STREAMS_EACH = (49152, 16384)
STREAMS_FILES = STREAMS + 500


def is_missing(name):
    """Whether what makes this attack is not installed."""
    return ATTACKS[name].kind in sloths.WAYS and not sloths.is_there()


def bound_of(signs):
    """
    Whether the median is surely above (True) or below (False) the line, by the
    signs of so many differences; None while it may be either.
    """
    above, count = sum(signs), len(signs)
    for sign, most in ((True, count - above), (False, above)):
        rarer = sum(_choose(count, k) for k in range(most + 1)) / 2 ** count
        if rarer <= SURE:
            return sign
    return None


def _choose(n, k):
    result = 1
    for i in range(k):
        result = result * (n - i) // (i + 1)
    return result


class Scene:
    """Two houses, with visitors at the first."""

    def __init__(self, tally, victim, other, claims_rates):
        self.tally = tally
        self.claims_rates = claims_rates
        self.victim, self.other = victim, other
        self.folder = os.path.dirname(victim.folder)
        self.visitors = houses.Crowd(victim, "visit", VISITORS, *VISITORS_AT)
        # Of some standing: they were there before the strangers.
        time.sleep(2.0)
        self.calm = victim.memory()
        self.peak = self.calm
        self.kept = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.visitors.__exit__()

    def _since(self, begin):
        told = self.visitors.tell()
        return told["answered"] > begin["answered"] and told

    def rate(self, seconds):
        """The visitors' requests a second, for so long; longest gap in ms."""
        begin = self.visitors.tell()
        time.sleep(seconds)
        end = stage.eventually("answers", lambda: self._since(begin), RAMP_S)
        took_us = end["at_us"] - begin["at_us"]
        return ((end["answered"] - begin["answered"]) * 1e6 / took_us,
                end["gap_us"] / 1000)

    def block(self, house, attack):
        """One block: |house| is attacked; (rate, gap), strangers' counters."""
        kind = sloths.Sloth if attack.kind in sloths.WAYS else houses.Crowd
        with kind(house, *attack[:4]) as crowd:
            if attack.held:
                stage.eventually(
                    f"{attack.held} strangers at {house.name}",
                    lambda: crowd.tell()["held"] >= attack.held, RAMP_S)
                self.wait_still(house)
            measured = self.rate(BLOCK_S)
            if house is self.victim:
                self.peak = tuple(map(max, self.peak, house.memory()))
                self.kept = max(self.kept, house.kept())
            return measured, crowd.tell()

    @staticmethod
    def wait_still(house):
        """Wait until who reads nothing has got what it gets."""
        def is_still():
            before = house.kept()
            time.sleep(STILL_S)
            return abs(house.kept() - before) < STILL

        stage.eventually("an end of what is sent", is_still, RAMP_S)

    def rest(self):
        """Wait until what the attack before this one took is given back."""
        stage.eventually(
            "memory that is given back", lambda: all(
                now - calm <= SLACK for now, calm
                in zip(self.victim.memory(), self.calm)), BACK_S)

    def attack(self, name, attack):
        """Pairs of blocks until it is clear; then the claims."""
        self.rest()
        self.peak, self.kept = self.calm, 0
        ratios, gaps, rates, crowds = [], [], [], []
        sure = None
        while not ratios or self.claims_rates and (
                len(ratios) < PAIRS_LEAST or
                sure is None and len(ratios) < PAIRS_MOST):
            pair = [self.victim, self.other][:1 + self.claims_rates]
            order = pair if len(ratios) % 2 == 0 else pair[::-1]
            got = {house: self.block(house, attack) for house in order}
            (rate, gap), crowd = got[self.victim]
            ratios.append(rate / max(got[pair[-1]][0][0], 1e-9))
            rates.append(rate)
            gaps.append(gap)
            crowds.append(crowd)
            sure = bound_of([r > RATE_LEAST for r in ratios])
        self.check_rate(name, ratios, rates, gaps)
        self.check_memory(name, attack)
        self.check_links(name)
        self.tally.say("   strangers: " + ", ".join(
            f"{key} {statistics.median(c[key] for c in crowds):.0f}"
            for key in ("opened", "refused", "flights", "settled", "held")))

    def check_rate(self, name, ratios, rates, gaps):
        """Others are served; with --rates, as if another were attacked."""
        median = statistics.median(ratios)
        measured = (f"{statistics.median(rates):.0f} a second, "
                    f"longest gap {max(gaps):.0f} ms")
        if self.claims_rates:
            self.tally.check(
                f"{name}: others are served at {RATE_LEAST:g} of their rate",
                median >= RATE_LEAST,
                f"{median:.2f} of their rate, {min(ratios):.2f} to "
                f"{max(ratios):.2f} in {len(ratios)} pairs; {measured}")
        else:
            self.tally.check(f"{name}: others are served", min(rates) > 0,
                             measured)

    def check_memory(self, name, attack):
        """Nobody costs more than was allowed for."""
        each = (attack.relay_each, attack.client_each)
        for who, calm, peak, per in zip(
                ("relay", "client"), self.calm, self.peak, each):
            most = SLACK + per * attack.count
            self.tally.check(
                f"{name}: memory of the {who} is bounded",
                peak - calm <= most,
                f"{(peak - calm) / MIB:.1f} of {most / MIB:.1f} MiB more")
        most = SLACK + KEPT_EACH * attack.count
        self.tally.check(
            f"{name}: what the kernel keeps for visitors is bounded",
            self.kept <= most,
            f"{self.kept / MIB:.1f} of {most / MIB:.1f} MiB")

    def check_links(self, name):
        """The heartbeat was never missed."""
        troubles = self.victim.troubles() + self.other.troubles()
        self.tally.check(f"{name}: the clients keep their links",
                         not troubles, "; ".join(troubles))


def check_many(tally, scene):
    """Checks: one address that wants 5,000 connections."""
    house = scene.victim
    most = 0

    def full():
        nonlocal most
        most = max(most, crowd.tell()["held"])
        return most >= CONNECTIONS_MOST

    with houses.Crowd(house, "idle", MANY, MANY_AT, 1) as crowd:
        stage.eventually("a full account", full, MANY_S)
        with houses.Crowd(house, "visit", OTHERS, "127.9.2.1",
                          OTHERS) as others:
            def served():
                told = others.tell()
                return (told["settled"] >= OTHERS and
                        told["answered"] >= 10 * OTHERS and told)

            told = stage.eventually("answers for other addresses", served,
                                    MANY_S)
        time.sleep(1.0)
        full()
        said = crowd.tell()
        memory = house.memory()
    tally.check(f"{MANY} from one address: {CONNECTIONS_MOST} are let in",
                most == CONNECTIONS_MOST, f"{most} of {said['opened']} tries")
    tally.check(f"{MANY} from one address: what is over is refused",
                said["refused"] > 0 and said["ended"] == 0,
                f"{said['refused']} refused, {said['ended']} of them later")
    tally.check(f"{MANY} from one address: others come in and are answered",
                told["ended"] == 0,
                f"{told['settled']} of {OTHERS}, {told['answered']} answers")
    more = memory[0] - scene.calm[0]
    bound = SLACK + CONNECTIONS_MOST * ATTACKS["idle TLS"].relay_each
    tally.check(f"{MANY} from one address: memory of the relay is bounded",
                more <= bound, f"{more / MIB:.1f} of {bound / MIB:.1f} MiB more")
    scene.check_links(f"{MANY} from one address")


def check_streams(tally, scene):
    """Checks: the requests that a session may have, and those beyond it."""
    house = scene.other
    name = f"{STREAMS} requests"
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < STREAMS_FILES:
        tally.skip(name, f"{files} descriptors a process, not {STREAMS_FILES}")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    before = house.memory()
    beyond = [tunnel.Visitor(house.url, house.relay.ca) for _ in range(OTHERS)]
    neighbour = tunnel.Visitor(house.idle.url(), house.relay.ca)
    try:
        with houses.Crowd(house, "wait", STREAMS, *STREAMS_AT) as crowd:
            stage.eventually("requests of a whole session", lambda: crowd.tell()
                             ["held"] == STREAMS and house.live() == STREAMS,
                             MANY_S)
            answers = [_ask(visitor) for visitor in beyond]
            tally.check(f"{name}: more are refused, and told why",
                        all(status == 503 and b'"error":"busy"' in body
                            for status, body in answers),
                        str(answers[0]))
            tally.check(f"{name}: another session has its own",
                        _ask(neighbour)[0] == 200)
            told = crowd.tell()
            tally.check(f"{name}: those that are there stay",
                        house.live() == told["held"] == STREAMS,
                        f"{house.live()} live, {told['ended']} ended")
            more = [now - was for now, was in zip(house.memory(), before)]
        # On the same connections: a refusal costs nobody its connection.
        answers = [stage.eventually("answer", lambda v=visitor: _ask(v)[0] ==
                                    200, MANY_S) for visitor in beyond]
        tally.check(f"{name}: when they go, who was refused is served",
                    all(answers))
    finally:
        for visitor in [*beyond, neighbour]:
            visitor.close()
    for who, grown, each in zip(("relay", "client"), more, STREAMS_EACH):
        most = SLACK + STREAMS * each
        tally.check(f"{name}: memory of the {who} is bounded", grown <= most,
                    f"{grown / MIB:.1f} of {most / MIB:.1f} MiB more")
    scene.check_links(name)


def _ask(visitor):
    """(status, body) of one request on the connection that it keeps."""
    visitor.request("GET", "/1024", headers={"Accept": "text/html"})
    response = visitor.getresponse()
    return response.status, response.read()


def check_sound(tally, *all_houses):
    """Idle clients too can be reached still; the programs end well."""
    for house in all_houses:
        with houses.Crowd(house, "visit", 1, "127.9.1.1", 1) as one:
            stage.eventually("answer", lambda: one.tell()["answered"] > 0)
        children = [house.client.child, house.idle.child, house.relay.child]
        for child in children:
            child.stop()
            stage.check_sound(child)
        tally.check(f"{house.name}: relay and clients end well",
                    all(c.process.returncode == 0 for c in children))
