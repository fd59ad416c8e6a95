"""Who stops reading: ended after 5 minutes, or 30 s when memory is short.

Goal: a visitor that does not read its answer and a service that does not read
its request are ended when their time is over, not before, and nobody else is.
Checks: connections and lines of the log, by a clock that the test moves on in
steps too small for a link to be given up.
"""

import resource
import select
import ssl
import time

import pytest

import tunnel
from clock import Clock
from stage import Stage, eventually
from stalled import BigService, Crowd, visit

NAME = "stalls"
HOST = f"{NAME}.{tunnel.BASE}"
STEP_S = 3
UPLOAD = 64 << 20


class House:
    """A stage whose time is the test's, with a service that has much."""

    def __init__(self):
        self.stage = Stage(settings=["address-rate: 10000",
                                     "address-burst: 10000"])
        self.clock = Clock(self.stage.folder)
        self.service = BigService()
        self.other = None

    def __enter__(self):
        self.stage.relay.prefix = self.clock.prefix
        self.stage.__enter__()
        self.service.__enter__()
        self.stage.client.prefix = self.clock.prefix
        self.stage.url = self.stage.client.http(
            f"127.0.0.1:{self.service.port}", name=NAME,
            options=["--no-probe"])
        self.other = self.stage.visitor(60)
        self.ask()
        return self

    def __exit__(self, *_):
        self.other.close()
        self.service.__exit__()
        self.stage.__exit__()

    def ask(self):
        """Another visitor's request, which wakes both programs."""
        self.other.request("GET", "/small")
        response = self.other.getresponse()
        assert (response.status, response.read()) == (200, b"ok")

    def step(self):
        """Some seconds pass. What the links ask each other is answered before
        the next step: it comes before the answer to the request."""
        self.clock.advance(STEP_S)
        self.ask()

    def said(self, what):
        """How often one of the two has said it."""
        return sum(child.errors().count(f" {what} ") for child in
                   (self.stage.relay.child, self.stage.client.child))

    def step_until(self, what, most_s):
        """Let time pass till it is said; for how long."""
        begin = self.clock.ahead_s
        while not self.said(what):
            assert self.clock.ahead_s - begin < most_s, f"no {what}"
            self.step()
        return self.clock.ahead_s - begin


@pytest.fixture(name="house")
def _house():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with House() as house:
        yield house


def has_ended(sock):
    """Whether the other side has ended the connection; drops what comes."""
    sock.settimeout(0)
    try:
        while sock.recv(65536):
            pass
        return True
    except (ssl.SSLWantReadError, BlockingIOError):
        return False
    except (ssl.SSLError, OSError):
        return True


def upload(house):
    """A visitor whose upload nobody reads, when nothing of it moves."""
    context = tunnel.trust(house.stage.ca)
    sock = visit(house.stage.relay.port, context, HOST, "127.0.2.1")
    sock.sendall(f"POST /deaf HTTP/1.1\r\nHost: {HOST}\r\n"
                 f"Content-Length: {UPLOAD}\r\n\r\n".encode())
    sock.settimeout(0)
    moved = time.monotonic()
    while time.monotonic() - moved < 1:
        try:
            sock.send(bytes(16384))
            moved = time.monotonic()
        except (ssl.SSLWantWriteError, BlockingIOError):
            select.select([], [sock], [], 0.1)
    return sock


def test_a_visitor_that_does_not_read_has_five_minutes(house):
    """Checks: nothing is cut before, the connection after."""
    relay = house.stage.relay
    with Crowd(relay.port, house.stage.ca, HOST) as crowd:
        house.service.go()
        crowd.ask(1)
        house.service.wait_for(1)
        before = -1
        while before != house.service.sent:
            before = house.service.sent
            time.sleep(1.5)
        while house.clock.ahead_s < 280:
            house.step()
        assert not house.said("visitor-stalled")
        # It looks each 30 s.
        house.step_until("visitor-stalled", 120)
        assert house.said("visitor-stalled") == 1
        crowd.held[0].settimeout(10)
        with pytest.raises(OSError):
            while crowd.held[0].recv(65536):
                pass
            raise OSError("a clean end, though something is missing")
    assert not house.said("link-down") and not house.said("stream-shed")


def test_a_service_that_does_not_read_has_five_minutes(house):
    """Checks: the client ends the upload, after its time, not before."""
    with upload(house) as visitor:
        while house.clock.ahead_s < 280:
            house.step()
        assert not house.said("service-stalled") and not has_ended(visitor)
        house.step_until("service-stalled", 120)
        eventually("end of the upload", lambda: has_ended(visitor), 30)
    assert house.said("service-stalled") == 1
    assert not house.said("link-down") and not house.said("visitor-stalled")


def test_when_memory_is_short_a_stall_has_30_seconds(house):
    """Checks: those that stalled go till a quarter of the pool is free, with
    the reason; others are answered meanwhile."""
    relay = house.stage.relay
    with Crowd(relay.port, house.stage.ca, HOST) as crowd:
        crowd.ask(300)
        house.service.wait_for(300)
        house.service.go()
        eventually("full pool", lambda: house.said("stream-shed"), 60)
        begin = house.clock.ahead_s
        while house.clock.ahead_s - begin < 70:
            house.step()
        lines = [line for line in relay.child.errors().split("\n")
                 if "nobody has taken" in line]
        assert lines or house.said("visitor-stalled")
        for line in lines:
            assert int(line.rsplit("stalled_ms=", 1)[1]) >= 30_000, line
            assert "reason=LIMIT" in line
    assert not house.said("link-down")
