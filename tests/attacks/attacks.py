"""The attacks of tests/attacks/run: what strangers do, and what is claimed.

While an attack goes on, visitors ask the first house for a kilobyte again and
again. Blocks in which that house is attacked and blocks in which the other one
is take turns (ABBA), so that the machine is equally busy in both; a pair of
them gives one ratio of the visitors' rates.
"""

import collections
import statistics
import time

import houses
import stage

MIB = 1 << 20
# The rate of others: at least so much of what it is beside the same attack on
# another relay.
RATE_LEAST = 0.8
PAIRS_LEAST = 5
PAIRS_MOST = 30
BLOCK_S = 0.5
RAMP_S = 30.0
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
}

# One address and what it may take by default (design 3.2).
MANY = 5000
MANY_AT = "127.2.0.1"
CONNECTIONS_MOST = 1000
MANY_S = 60.0
OTHERS = 20


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
        self.visitors = houses.Crowd(victim, "visit", VISITORS, *VISITORS_AT)
        # Of some standing: they were there before the strangers.
        time.sleep(2.0)
        self.calm = victim.memory()
        self.peak = self.calm

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.visitors.__exit__()

    def rate(self, seconds):
        """The visitors' requests a second, for so long; longest gap in ms."""
        begin = self.visitors.tell()
        time.sleep(seconds)
        end = self.visitors.tell()
        took_us = end["at_us"] - begin["at_us"]
        return ((end["answered"] - begin["answered"]) * 1e6 / took_us,
                end["gap_us"] / 1000)

    def block(self, house, attack):
        """One block: |house| is attacked; (rate, gap), strangers' counters."""
        with houses.Crowd(house, *attack[:4]) as crowd:
            if attack.held:
                stage.eventually(
                    f"{attack.held} strangers at {house.name}",
                    lambda: crowd.tell()["held"] >= attack.held, RAMP_S)
            measured = self.rate(BLOCK_S)
            if house is self.victim:
                self.peak = tuple(map(max, self.peak, house.memory()))
            return measured, crowd.tell()

    def attack(self, name, attack):
        """Pairs of blocks until it is clear; then the claims."""
        self.peak = self.calm
        ratios, gaps, rates, crowds = [], [], [], []
        sure = None
        while not ratios or self.claims_rates and (
                len(ratios) < PAIRS_LEAST or
                sure is None and len(ratios) < PAIRS_MOST):
            pair = [self.victim, self.other]
            order = pair if len(ratios) % 2 == 0 else pair[::-1]
            got = {house: self.block(house, attack) for house in order}
            (rate, gap), crowd = got[self.victim]
            ratios.append(rate / max(got[self.other][0][0], 1e-9))
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
        measured = (
            f"{median:.2f} of their rate, {min(ratios):.2f} to "
            f"{max(ratios):.2f} in {len(ratios)} pairs; "
            f"{statistics.median(rates):.0f} a second, "
            f"longest gap {max(gaps):.0f} ms")
        if self.claims_rates:
            self.tally.check(
                f"{name}: others are served at {RATE_LEAST:g} of their rate",
                median >= RATE_LEAST, measured)
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
