"""System calls that fail, one after the other, under both programs.

Goal: whatever the kernel refuses, nobody crashes, nobody gets wrong bytes, and
the next request works.
Checks: reads, writes, accepts, connects and sockets that fail, once and again
and again, while bodies go both ways; descriptors and leaks at the end.
FAULTS_ALL=1: many more of the calls.
"""

import hashlib
import http.client
import json
import os

import faults
import pattern
import pytest
import stage as stages

BODY = 400_000
BACK_S = 20.0
ALL = os.environ.get("FAULTS_ALL") == "1"
BOTH = ("relay", "client")

# What nobody may notice.
HARMLESS = [
    *[("relay", "accept", error) for error in (
        "EAGAIN", "EINTR", "ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS")],
    ("client", "connect", "EINTR"),
    *[(who, call, error) for who in BOTH for call in ("read", "write")
      for error in ("EAGAIN", "EINTR", "short")],
]
# What may cost the request, or the link.
COSTLY = [
    *[("client", "connect", error) for error in (
        "EAGAIN", "ECONNREFUSED", "ENETUNREACH")],
    *[("client", "socket", error) for error in (
        "EMFILE", "ENFILE", "ENOBUFS")],
    *[(who, "read", error) for who in BOTH
      for error in ("ECONNRESET", "ETIMEDOUT")],
    *[(who, "write", error) for who in BOTH
      for error in ("ECONNRESET", "EPIPE", "ENETUNREACH")],
]


def skips(call):
    """How many calls go well before."""
    if call in ("read", "write"):
        return range(40) if ALL else (0, 2, 6)
    return (0, 1)


def descriptors(child):
    """What |child| holds open."""
    folder = f"/proc/{child.process.pid}/fd"
    return [os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)]


class House:
    """A stage whose programs do as they are told to."""

    def __init__(self):
        self.stage = stages.Stage()
        self.orders = {who: faults.Faults(self.stage.folder, who + ".faults")
                       for who in BOTH}
        self.before = []

    def __enter__(self):
        self.stage.relay.prefix = self.orders["relay"].prefix
        self.stage.__enter__()
        self.stage.client.prefix = self.orders["client"].prefix
        self.stage.share("faults", ["--no-probe"])
        self.before = [descriptors(child) for child in self._children()]
        return self

    def __exit__(self, *_):
        try:
            for orders in self.orders.values():
                orders.disarm()
            # The idle connections to the service go after some seconds.
            stages.eventually("end of descriptors", self._has_no_more, BACK_S)
        finally:
            self.stage.__exit__()

    def _children(self):
        return self.stage.relay.child, self.stage.client.child

    def _has_no_more(self):
        return all(len(descriptors(child)) <= len(before) for child, before
                   in zip(self._children(), self.before))

    def exchange(self):
        """A body up and one down; whether both went well."""
        done = [self._attempt(self._upload), self._attempt(self._download)]
        assert all(child.is_running() for child in self._children())
        return all(done)

    def _attempt(self, exchange):
        visitor = self.stage.visitor(BACK_S)
        try:
            return exchange(visitor)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            visitor.close()

    @staticmethod
    def _upload(visitor):
        visitor.request("POST", "/upload", b"".join(pattern.blocks(BODY)))
        response = visitor.getresponse()
        body = response.read()
        if response.status == 200:
            assert json.loads(body) == {
                "bytes": BODY, "sha256": pattern.sha256(BODY)}
        return response.status == 200

    @staticmethod
    def _download(visitor):
        visitor.request("GET", f"/download?bytes={BODY}")
        response = visitor.getresponse()
        body = response.read()
        if response.status == 200:
            assert hashlib.sha256(body).hexdigest() == pattern.sha256(BODY)
        return response.status == 200


@pytest.fixture(name="house", scope="module")
def house_of_faults():
    """One for all: what a fault leaves behind meets the next."""
    with House() as house:
        yield house


@pytest.mark.parametrize("who,call,error", HARMLESS)
def test_a_fault_that_nobody_notices(house, who, call, error):
    """Once, at several places: the bodies arrive as if nothing was."""
    orders = house.orders[who]
    for skip in skips(call):
        orders.arm(call, error, skip=skip)
        assert house.exchange(), f"after {skip}"
        assert orders.failed == 1 or skip >= orders.seen
    orders.disarm()


@pytest.mark.parametrize("who,call,error", [
    row for row in HARMLESS if row[1] in ("read", "write", "accept")])
def test_faults_again_and_again(house, who, call, error):
    """Every third call fails, for as long as it takes."""
    orders = house.orders[who]
    orders.arm(call, error, count=faults.EVER, every=3)
    assert house.exchange()
    assert orders.failed > 0
    orders.disarm()


@pytest.mark.parametrize("who,call,error", COSTLY)
def test_a_fault_that_costs_a_request(house, who, call, error):
    """It fails visibly or goes well, and what comes next goes well again."""
    orders = house.orders[who]
    for skip in skips(call):
        orders.arm(call, error, skip=skip)
        house.exchange()
        assert orders.failed == 1 or skip >= orders.seen
        orders.disarm()
        stages.eventually("service again", house.exchange, BACK_S)
