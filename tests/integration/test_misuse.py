"""Peers that take more than they give, and ends at bad moments.

Goal: no visitor, service or client makes either program hold without bound,
mix visitors up, or wait for what cannot come any more.
Checks: a visitor that asks and never reads; a service that never stops
hinting; heads that are full; visitors' numbers after a relay's restart; a
client that drains when its relay is gone.
"""

import os
import signal
import ssl
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "support"))
import stage as stages  # noqa: E402
import tunnel  # noqa: E402
from raw_service import (RawService, read_all, read_exactly,  # noqa: E402
                         read_head, visit)

NAME = "misuse.tunnel.test"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Place:
    """A relay, a client, and the service behind it."""

    def __init__(self, folder):
        self.service = RawService().__enter__()
        self.relay = tunnel.Relay(folder)
        self.relay.start()
        self.client = tunnel.Client(self.relay, folder)
        self.client.login()
        self.client.http(f"127.0.0.1:{self.service.port}", name="misuse",
                         options=["--no-probe"])

    def visit(self, name=NAME):
        """A visitor's connection."""
        return visit(self.relay.port, self.relay.ca, name)

    def close(self):
        """End all three."""
        self.client.stop()
        self.relay.stop()
        self.service.__exit__()


@pytest.fixture(name="place")
def _place(tmp_path):
    place = Place(str(tmp_path))
    yield place
    place.close()


def get(path, *fields, host=NAME):
    """A request's head."""
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}",
                        *fields, "", ""]).encode()


def read_quietly(sock):
    """All that comes until the end, however it ends."""
    data, _ = read_all(sock)
    return data


def test_who_never_reads_gets_so_many_answers_and_no_more(place):
    """Checks: the relay's own answers do not pile up without bound."""
    host = "nobody.tunnel.test"
    ask = get("/", "Sec-Fetch-Mode: navigate", host=host)
    last = get("/", "Connection: close", host=host)
    count = 6000
    with place.visit(host) as sock:
        sock.settimeout(10)
        try:
            sock.sendall(ask * count + last)
        except OSError:
            pass
        assert read_quietly(sock).count(b"HTTP/1.1 404") < count


def who_before_and_after(place):
    """The service's peers before and after a restart; how long it took."""
    ports = []

    def answer(sock, _request):
        ports.append(sock.getpeername()[1])
        sock.sendall(OK)

    place.service.answers["/who"] = answer
    known = len(place.client.events("url"))
    with place.visit() as sock:
        sock.sendall(get("/who"))
        head, rest = read_head(sock)
        assert read_exactly(sock, 2, rest) == b"ok" and b" 200 " in head
        place.relay.kill()
    began = time.monotonic()
    place.relay.start()
    stages.eventually("URL again",
                      lambda: len(place.client.events("url")) > known)
    with place.visit() as sock:
        sock.sendall(get("/who", "Connection: close"))
        assert b" 200 " in read_quietly(sock)
    return ports, time.monotonic() - began


def test_a_local_connection_is_not_another_visitors_after_a_restart(place):
    """Checks: a new relay counts its visitors anew; the client forgets."""
    for _ in range(6):
        ports, took_s = who_before_and_after(place)
        assert ports[0] != ports[1]
        # Later than that the client has forgotten it for its age.
        if took_s < 3.5:
            return
    pytest.fail("too slow to tell")


def test_hints_without_end_do_not_pile_up(place):
    """Checks: 1xx beyond what the visitor reads are dropped, the answer not."""
    hint = (b"HTTP/1.1 103 Early Hints\r\nlink: <" + b"x" * 8000
            + b">\r\n\r\n")
    count = 4000

    def answer(sock, _request):
        for _ in range(count):
            sock.sendall(hint)
        sock.sendall(OK)

    place.service.answers["/hints"] = answer
    with place.visit() as sock:
        sock.settimeout(20)
        sock.sendall(get("/hints", "Connection: close"))
        time.sleep(3)
        data = read_quietly(sock)
    assert data.count(b" 103 ") < count
    assert data.endswith(b"ok") and b" 200 OK" in data


@pytest.mark.parametrize("count", [94, 99])
def test_a_head_full_of_fields_is_passed_or_refused_for_that(place, count):
    """Checks: with ours there may be too many: 431, not an excuse."""
    place.service.answers["/full"] = lambda s, r: s.sendall(OK)
    with place.visit() as sock:
        sock.sendall(get("/full", "Connection: close",
                         *(f"x-{i}: 1" for i in range(count - 2))))
        answer = read_quietly(sock)
    assert answer.split(b" ")[1] in (b"200", b"431")


def test_a_drain_does_not_wait_for_a_relay_that_is_gone(place):
    """Checks: without a link nothing can be finished any more."""
    place.service.answers["/slow"] = lambda s, r: time.sleep(8)
    with place.visit() as sock:
        sock.sendall(get("/slow"))
        place.service.last("/slow")
        place.client.child.signal(signal.SIGTERM)
        place.client.wait_event("draining")
        place.relay.kill()
        assert place.client.child.wait(5) == 0


def test_a_drain_ends_soon_after_what_it_waited_for(place):
    """Checks: an answer that leaves slowly is waited for, and no longer."""
    body = b"x" * 3000000
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
    place.service.answers["/late"] = lambda s, r: (
        time.sleep(1), s.sendall(head.encode() + body))
    with place.visit() as sock:
        sock.sendall(get("/late"))
        place.service.last("/late")
        place.client.child.signal(signal.SIGTERM)
        answer, rest = read_head(sock)
        assert b" 200 " in answer
        assert len(read_exactly(sock, len(body), rest)) == len(body)
        assert place.client.child.wait(3) == 0


def test_one_target_twice_needs_names(place):
    """Checks: the second is refused with what to do, with names both are."""
    target = f"127.0.0.1:{place.service.port}"
    place.client.stop()
    place.client.configure(tunnels={"one": {"target": target},
                                    "two": {"target": target}})
    place.client.start("start")
    place.client.wait_event("url")
    refused = place.client.wait_event("refused")
    assert "a name of its own" in refused["why"]
    assert place.client.child.is_running()
    place.client.stop()
    place.client.configure(tunnels={
        "one": {"target": target, "name": "one"},
        "two": {"target": target, "name": "two"}})
    place.client.start("start")
    place.client.child.wait_for(
        "two URLs", lambda: len(place.client.events("url")) == 2, 10)


def test_a_drain_sees_the_end_of_what_left_late(place):
    """Checks: the last bytes wait for credit, and the drain for them only."""
    body = b"x" * 350000
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
    go = threading.Event()
    place.service.answers["/late"] = lambda s, r: (
        go.wait(5), s.sendall(head.encode() + body))
    with place.visit() as sock:
        sock.sendall(get("/late"))
        place.service.last("/late")
        place.client.child.signal(signal.SIGTERM)
        place.client.wait_event("draining")
        time.sleep(0.2)
        place.relay.child.signal(signal.SIGSTOP)
        go.set()
        time.sleep(1)
        place.relay.child.signal(signal.SIGCONT)
        _, rest = read_head(sock)
        assert len(read_exactly(sock, len(body), rest)) == len(body)
        assert place.client.child.wait(3) == 0
