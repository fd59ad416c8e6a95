"""Clients with a good key that flood, or take and never give.

Goal: one client's frames cost the relay no more memory, log and time than
its limits say, whatever it sends and whether or not it reads.
Checks: floods of each kind of frame, taken and not read; a client that never
answers; peers that never read their link, at both ends, while visitors of an
honest client are served.
"""

import contextlib
import re
import time

import frames as f
import liar
import peer as peers
import pytest
import raw_service
import stage as stages

ASK = b"GET / HTTP/1.1\r\nHost: %s.tunnel.test\r\nConnection: close\r\n\r\n"
CHUNK = b"x" * f.PAYLOAD_MAX
MIB = 1 << 20
MUTE = "127.0.9.5"


@pytest.fixture(name="house", scope="module")
def _house():
    with stages.Stage() as house:
        house.share(name="honest")
        house.greedy = peers.machine_key(house.enrol("greedy"))
        house.key = peers.relay_key(house.relay)
        yield house


@contextlib.contextmanager
def greedy(house, source="127.0.9.4", **login):
    """A peer that is logged in and has a tunnel."""
    with peers.Peer() as peer:
        peer.dial(house.relay.port, source)
        assert peer.login(house.greedy, house.key,
                          **login).kind == f.WELCOME
        peer.send(f.bind(1, b"greedy"))
        peer.wait_frame(f.BOUND)
        yield peer


def many(count, *makers):
    """The frames that each of |makers| gives for 2, 3, … |count|."""
    return b"".join(make(number) for number in range(2, count)
                    for make in makers)


def named(number):
    """BIND of a name nobody has."""
    return f.bind(number, b"greed-%d" % number)


# Name, how often, what; and why the session ends, if it does.
FLOODS = [
    ("pings", 200000, f.number(f.PING, 1), None),
    ("acks", 200000, f.number(f.ACK, 0), None),
    ("unbinds", 200000, f.unbind(77), None),
    ("goaways", 50000, f.goaway(15, b"bye" * 80), None),
    ("unknown_ones", 5000, f.frame(0x99, 0, bytes(4000)), None),
    ("binds_of_one_name", 1, many(20000, lambda n: f.bind(n, b"greedy")),
     "the client binds too fast"),
    ("binds_of_new_names", 1, many(20000, named),
     "the client binds too fast"),
    ("binds_and_unbinds", 1, many(20000, named, f.unbind),
     "the client binds too fast"),
]


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "mute"])
@pytest.mark.parametrize("case", FLOODS, ids=[c[0] for c in FLOODS])
def test_a_flood_costs_little(house, case, reads):
    """Checks: memory, lines of the log, the honest client's visitor."""
    _, count, flood, why = case
    if stages.is_sanitized():
        count = max(1, count // 20)
    relay = house.relay.child
    with greedy(house) as peer:
        before = peers.memory_bytes(relay), len(relay.errors())
        if not reads:
            peer.mute()
        since = peer.mark()
        peer.repeat(count, flood)
        assert house.get("/status") == (200, b"")
        peer.wait_done(since)
        if reads and why:
            assert peer.wait_frame(f.GOAWAY, since).sentence == ("LIMIT", why)
            peer.wait_end(since)
        assert house.get("/status") == (200, b"")
        assert peers.memory_bytes(relay) - before[0] < 16 * MIB
    stages.eventually("end in the log", lambda: why is None
                      or why in relay.errors()[before[1]:])
    assert len(relay.errors()) - before[1] < 20000


def test_a_client_that_never_answers_holds_only_its_own(house):
    """Checks: 100 visitors wait for nothing; when they leave it is told."""
    with greedy(house) as peer, contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(raw_service.visit(
            house.relay.port, house.ca, "greedy.tunnel.test"))
            for _ in range(100)]
        for sock in waiting:
            sock.sendall(ASK % b"greedy")
        peer.wait("100 OPENs", lambda: len(peer.frames(f.OPEN)) == 100)
        assert house.get("/status") == (200, b"")
        for sock in waiting:
            sock.close()
        peer.wait("100 RESETs", lambda: len(peer.frames(f.RESET)) == 100)
        assert {r.code for r in peer.frames(f.RESET)} == {"CANCEL"}
    assert house.get("/status") == (200, b"")


def fill(house, stack, count):
    """|count| visitors upload to the greedy client as fast as it goes."""
    for _ in range(count):
        sock = stack.enter_context(raw_service.visit(
            house.relay.port, house.ca, "greedy.tunnel.test"))
        sock.sendall(b"POST / HTTP/1.1\r\nHost: greedy.tunnel.test\r\n"
                     b"Content-Length: 99999999999\r\n\r\n")
        sock.settimeout(0.5)
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(CHUNK * 16)


def lost_by(house):
    """Why the muted link was closed: reason and sentence; None before."""
    return re.findall(rf"link-lost .*peer={MUTE}:.*reason=(.*)",
                      house.relay.child.errors())


def test_who_never_reads_its_link_loses_it(house):
    """
    Checks: a client with visitors that upload, and a relay whose visitor
    downloads: both let 16 MiB windows be filled and read nothing. Memory
    within the sent log's bound, the link closed within 45 s, each with a
    sentence; an honest client's visitors are served all the time.
    """
    before = peers.memory_bytes(house.relay.child)
    with liar.LyingRelay(house) as relay, contextlib.ExitStack() as stack:
        relay.service.is_endless = True
        relay.start()
        relay.begin()
        relay.client.wait_event("url")
        client_before = peers.memory_bytes(relay.client.child)
        peer = stack.enter_context(
            greedy(house, MUTE, window=f.WINDOW_MAX))
        peer.mute()
        relay.peer.mute()
        relay.peer.send(*(f.open_stream(2 * n, credit=f.WINDOW_MAX)
                          for n in range(1, 4)))
        fill(house, stack, 4)
        end = time.monotonic() + 60
        most = [0, 0]
        while not (lost := lost_by(house)) or not relay.client.events("lost"):
            assert time.monotonic() < end, house.relay.child.errors()[-500:]
            assert house.get("/status") == (200, b"")
            most[0] = max(most[0], peers.memory_bytes(house.relay.child))
            most[1] = max(most[1], peers.memory_bytes(relay.client.child))
            time.sleep(0.2)
        assert most[0] - before < 48 * MIB
        assert most[1] - client_before < 48 * MIB
        why = relay.client.events("lost")[0]["why"]
        assert lost[0].startswith("TIMEOUT") and why != "", (lost, why)
