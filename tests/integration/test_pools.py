"""Memory for what is received: pools that hold, whoever stalls.

Goal: a thousand visitors that read nothing cost what the pools allow and hold
nobody else up; who holds most goes when a pool is full; what they held comes
back.
Checks: memory of both programs, other visitors' requests, the log's reasons,
with all promises made before the first byte comes and with promises made as
memory fills.
"""

import resource
import threading
import time

import pytest

import tunnel
from stage import Stage, eventually, is_sanitized
from stalled import BigService, Crowd

# Fewer where all is slow: they are promised more than a session's pool still.
VISITORS = 200 if is_sanitized() else 1000
NAME = "pools"
MIB = 1 << 20
# proto/limits.h: a session's receive pool; its unsent queues and sent log.
RECEIVE_POOL = 32 * MIB
SENT_POOL = 32 * MIB
# The client's receive pool, and uploads that use more than it promises.
CLIENT_POOL = 64 * MIB
UPLOADS = 400
# What a stalled exchange costs beside it: a batch on its way to the socket
# (BATCH_CAPACITY); a chunk that was read and has to wait, and its sockets'.
EACH = 80 * 1024
ANSWER_S = 20.0


def memory(child, what):
    """VmRSS or VmHWM of |child|, in bytes."""
    with open(f"/proc/{child.process.pid}/status", encoding="ascii") as status:
        line = next(li for li in status if li.startswith(what + ":"))
    return int(line.split()[1]) * 1024


class Others:
    """One visitor after the other that asks for little, all the time."""

    def __init__(self, house):
        self.house = house
        self.answers = []
        self.slowest_s = 0.0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join(60)

    def _run(self):
        while not self._ends.wait(0.02):
            start = time.monotonic()
            try:
                self.answers.append(self.house.get("/small"))
            except OSError as error:
                self.answers.append(error)
            self.slowest_s = max(self.slowest_s, time.monotonic() - start)

    def check(self, count):
        """At least |count| more were answered, and all were, in time."""
        first = len(self.answers)
        eventually("answers for others",
                   lambda: len(self.answers) >= first + count, 60)
        assert all(a == (200, b"ok") for a in self.answers), self.answers[-5:]
        assert self.slowest_s < ANSWER_S


@pytest.fixture(name="house")
def _house():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with Stage(settings=["address-rate: 10000",
                         "address-burst: 10000"]) as house, \
            BigService() as service:
        house.service = service
        house.url = house.client.http(f"127.0.0.1:{service.port}", name=NAME,
                                      options=["--no-probe"])
        assert house.get("/small") == (200, b"ok")
        yield house


def shed(child):
    """Its lines about exchanges that had to go."""
    return [line for line in child.errors().split("\n")
            if " stream-shed " in line]


def links(house):
    """How often a link came and went."""
    said = house.relay.child.errors()
    return said.count(" link-up "), said.count(" link-lost ")


def quiet(house):
    """Wait until nothing moves any more: all that can has been sent."""
    now = None
    before = (-1, 0)
    while now != before:
        before = now
        time.sleep(1)
        now = (house.service.sent, len(shed(house.relay.child)))


def live(house):
    """How many requests the relay says are under way."""
    return int(house.relay.command("sessions").stdout.split("\n")[1].split()[6])


def check_memory(house, before):
    """Both have kept within their pools and what each visitor costs."""
    if is_sanitized():
        return
    grown = [memory(child, "VmHWM") - start for child, start in before]
    assert grown[0] < RECEIVE_POOL + VISITORS * EACH, grown
    assert grown[1] < SENT_POOL + VISITORS * EACH, grown


def check_returned(house, before):
    """What the crowd held is the system's again, some seconds later."""
    eventually("end of the crowd", lambda: live(house) <= 1, 60)
    for child, start in before:
        eventually("memory of " + child.name, lambda c=child, s=start:
                   is_sanitized() or memory(c, "VmRSS") < s + 16 * MIB, 60)


@pytest.mark.parametrize("promises", ["all made at first", "made as it fills"])
def test_a_thousand_stalled_visitors_cost_what_the_pools_allow(house, promises):
    """Checks: use reaches the pool and stays there, the largest holders go,
    others are answered all the time, and the link is never lost."""
    children = [house.relay.child, house.client.child]
    before = [(child, memory(child, "VmRSS")) for child in children]
    linked = links(house)
    with Others(house) as others, \
            Crowd(house.relay.port, house.ca,
                  f"{NAME}.{tunnel.BASE}") as crowd:
        if promises == "made as it fills":
            house.service.go()
        crowd.ask(VISITORS)
        house.service.wait_for(VISITORS)
        if promises == "all made at first":
            # Far more than the pool is promised, and all of it will be used.
            assert live(house) >= VISITORS and not shed(children[0])
            house.service.go()
            eventually("full pool", lambda: shed(children[0]), 60)
        quiet(house)
        others.check(20)
        check_memory(house, before)
        for line in shed(children[0]):
            assert "reason=LIMIT" in line and 'why="memory is ' in line, line
        assert links(house) == linked
        crowd.leave()
        others.check(5)
    check_returned(house, before)


def test_services_that_do_not_read_cost_what_the_clients_pool_allows(house):
    """Checks: uploads whose windows are larger than the pool together: the
    largest holders go, others are answered, memory stays and comes back."""
    children = [house.relay.child, house.client.child]
    before = [(child, memory(child, "VmRSS")) for child in children]
    host = f"{NAME}.{tunnel.BASE}"
    head = (f"POST /deaf HTTP/1.1\r\nHost: {host}\r\n"
            f"Content-Length: {1 << 30}\r\n\r\n").encode()
    linked = links(house)
    with Others(house) as others, \
            Crowd(house.relay.port, house.ca, host) as crowd:
        crowd.ask(UPLOADS, head)
        eventually("full pool",
                   lambda: (crowd.push(), shed(children[1]))[1], 60)
        others.check(20)
        for line in shed(children[1]):
            assert "reason=LIMIT" in line and 'why="memory is ' in line, line
        grown = memory(children[1], "VmHWM") - before[1][1]
        assert is_sanitized() or grown < CLIENT_POOL + UPLOADS * EACH, grown
        assert links(house) == linked
        # That a visitor leaves is not noticed while nothing of its upload is
        # wanted; that its service does is.
        house.service.hang_up()
        others.check(5)
        check_returned(house, before)
