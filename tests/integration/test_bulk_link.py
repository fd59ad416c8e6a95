"""A session's second link.

Goal: what may be large goes beside what is urgent, over a connection of its
own, and nobody notices when that one is lost, or cannot be had.
Checks: when it is dialled and when not; what goes where; it is cut alone, or
swallows all alone; its grace ends its own streams only, the other's ends all;
an operator ends both; whose session it may join.
"""

import concurrent.futures
import hashlib
import json
import re
import signal
import time

import calm
import cutter
import frames as f
import pattern
import peer as peers
import pytest
import raw_visitor
import stage as stages
import tunnel

MB = 1000 * 1000
LATE_S = 20.0
BLOCK = 65536
SLOW = 5 * MB  # a line whose bytes are always under way
SWALLOWED_S = 12.0  # doubt after 2 s; without it 15 s
REVOKED = 4  # exit code
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"),
           ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
WORD, ECHO = b"\x81\x84\0\0\0\0word", b"\x81\x04word"


@pytest.fixture(name="two", params=[((), ())])
def _two(request):
    """A stage whose client reaches its relay through a cutter; its parameters
    are the relay's settings and the client's options."""
    settings, options = request.param
    with stages.Stage(settings=["log: debug", *settings]) as stage:
        with cutter.Cutter(stage.relay.port) as network:
            network.lead(stage.client)
            stage.network = network
            stage.share("both", options=options)
            yield stage


def said(stage, event):
    """How many times the relay's log says |event|."""
    return stage.relay.child.errors().count(f" {event} ")


def slots(stage):
    """The links of the requests that are over, in their order."""
    return [int(slot) for slot in re.findall(
        r" request .* slot=(\d) ", stage.relay.child.errors())]


def goes_on(stage, slot):
    """Whether a plain request is carried by |slot|."""
    before = len(slots(stage))
    assert stage.get("/status")[0] == 200
    return stages.eventually(
        "a line of the request", lambda: slots(stage)[before:])[0] == slot


def have_both(stage):
    """A request brings the second link, which takes those after it."""
    stages.eventually("a second link", lambda: goes_on(stage, 1), LATE_S)


def follow(stage):
    """A visitor that follows an event stream without end."""
    visitor = raw_visitor.open_to(stage.url, stage.ca)
    visitor.ask("/events?count=100000&ms=20",
                fields=[("Accept", "text/event-stream")])
    assert visitor.until(b"data:")
    return visitor


def test_it_is_dialled_with_the_first_request(two):
    assert said(two, "bulk-link-up") == 0
    assert goes_on(two, 0)
    have_both(two)
    assert goes_on(two, 1)
    assert said(two, "bulk-link-up") == 1


def test_the_log_tells_each_link_from_the_other(two):
    """By its own peer, where it begins and where it ends."""
    have_both(two)
    two.network.cut_last()
    stages.eventually("it again", lambda: said(two, "bulk-link-resumed"), LATE_S)
    peers_of = dict(re.findall(
        r" info (\S*link\S*) session=2 .*?peer=(\S+)",
        two.relay.child.errors()))
    assert len(peers_of) == 4  # up twice, lost, resumed
    assert peers_of["link-up"] != peers_of["bulk-link-up"]
    assert peers_of["link-lost"] == peers_of["bulk-link-up"]
    assert peers_of["bulk-link-resumed"] not in (
        peers_of["link-up"], peers_of["bulk-link-up"])


def test_what_is_urgent_goes_on_the_first(two):
    have_both(two)
    before = len(slots(two))
    follow(two).close()
    with raw_visitor.open_to(two.url, two.ca) as visitor:
        visitor.ask("/ws", fields=UPGRADE)
        assert b" 101 " in visitor.until(b"\r\n\r\n")
    stages.eventually("their ends", lambda: len(slots(two)) == before + 2)
    assert slots(two)[before:] == [0, 0]
    assert goes_on(two, 1)


@pytest.mark.parametrize("two", [((), ["--single-link"])], indirect=True)
def test_who_wants_one_link_has_one(two):
    length = MB
    assert two.download_sha256(length) == pattern.sha256(length)
    assert two.download_sha256(length) == pattern.sha256(length)
    assert said(two, "bulk-link-up") == 0


def test_where_a_second_one_is_refused_the_first_serves_all(two):
    two.network.refuse()
    length = MB
    with follow(two) as events:
        assert two.download_sha256(length) == pattern.sha256(length)
        assert events.until(b"data:")
    assert said(two, "bulk-link-up") == 0


def test_it_is_lost_and_comes_back_alone(two):
    """A download on it is whole, and events do not even wait."""
    length = 8 * MB if stages.is_sanitized() else 60 * MB
    have_both(two)
    with follow(two) as events, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        for cuts in range(1, 4):
            body = pool.submit(two.download_sha256, length)
            assert events.until(b"data:")
            two.network.cut_last()
            stages.eventually("the second link again", lambda n=cuts: said(
                two, "bulk-link-resumed") == n, LATE_S)
            assert body.result(120) == pattern.sha256(length)
        assert events.until(b"data:")
    assert said(two, "session-parked") == 0
    assert said(two, "link-resumed") == 0


def call(stage):
    """A visitor with a WebSocket."""
    visitor = raw_visitor.open_to(stage.url, stage.ca, timeout_s=LATE_S)
    visitor.ask("/ws", fields=UPGRADE)
    assert b" 101 " in visitor.until(b"\r\n\r\n")
    return visitor


def read(visitor, length, digest):
    """So many bytes, into |digest|."""
    for begin in range(0, length, BLOCK):
        digest.update(visitor.exactly(min(BLOCK, length - begin)))


def longest_wait(talk, is_over):
    """Have words come back until |is_over|; how long one took at most."""
    longest = 0.0
    end = calm.now() + SWALLOWED_S
    while not is_over():
        assert calm.now() < end
        begin = time.monotonic()
        talk.send(WORD)
        assert talk.exactly(len(ECHO)) == ECHO
        longest = max(longest, time.monotonic() - begin)
        time.sleep(0.02)
    return longest


def test_one_that_swallows_all_is_replaced_beside_it(two):
    """A download goes on, on its visitor's connection; who talks meanwhile
    does not hear of it."""
    length = 8 * MB if stages.is_sanitized() else 30 * MB
    digest = hashlib.sha256()
    have_both(two)
    two.network.rate = SLOW
    with call(two) as talk, raw_visitor.open_to(
            two.url, two.ca, timeout_s=LATE_S) as visitor, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        visitor.ask(f"/download?bytes={length}")
        assert visitor.head().status == 200
        read(visitor, MB, digest)
        two.network.freeze_last()
        two.network.rate = None
        rest = pool.submit(read, visitor, length - MB, digest)
        begin = time.monotonic()
        longest = longest_wait(talk, lambda: said(two, "bulk-link-resumed"))
        assert longest < (time.monotonic() - begin) / 2
        rest.result(120)
        assert digest.hexdigest() == pattern.sha256(length)
        visitor.ask("/status")
        assert visitor.answer().status == 200
    # The relay had two of them for a moment, and nothing else was touched.
    log = two.relay.child.errors()
    assert re.findall(r" link-fenced .*slot=(\d)", log) == ["1"]
    assert not re.search(r" link-lost .*slot=1", log)
    assert said(two, "session-parked") == said(two, "link-resumed") == 0


@pytest.mark.parametrize("two", [(["grace: 1s"], ())], indirect=True)
def test_its_grace_ends_what_it_carried_and_no_more(two):
    have_both(two)
    with follow(two) as events, \
            raw_visitor.open_to(two.url, two.ca) as visitor:
        visitor.ask("/endless")
        assert visitor.until(b"still here")
        two.network.refuse()
        two.network.cut_last()
        assert visitor.ends(LATE_S) == "cut"
        assert events.until(b"data:")
        assert two.get("/status")[0] == 200
        two.network.heal()
        stages.eventually("a second link again",
                          lambda: said(two, "bulk-link-up") == 2, LATE_S)
        assert two.get("/status")[0] == 200
    assert said(two, "session-parked") == 0


def is_asked(stage, path):
    """Whether the service has heard of |path|."""
    return path in tunnel.curl(f"{stage.direct}/seen?path={path}",
                               stage.ca).decode()


def left(stage):
    """How many /endless the service was left alone with."""
    return json.loads(tunnel.curl(f"{stage.direct}/gone", stage.ca))["gone"]


def takes_a_download(stage):
    """A large one is whole, and went on the second link."""
    length = 8 * MB if stages.is_sanitized() else 30 * MB
    assert stage.download_sha256(length) == pattern.sha256(length)
    line = stages.eventually("a line of the download", lambda: re.search(
        rf'"GET /download" .*slot=(\d) .*out={length}',
        stage.relay.child.errors()))
    return line[1] == "1"


@pytest.mark.parametrize("two", [(["grace: 1s"], ())], indirect=True)
def test_the_first_does_not_hear_that_its_grace_is_over(two):
    """502 for who had no head; a large download has a new one."""
    have_both(two)
    with follow(two) as events, call(two) as talk, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(two.get, "/slow?ms=60000")
        stages.eventually("a request at the service",
                          lambda: is_asked(two, "/slow"))
        two.network.refuse()
        two.network.cut_last()
        assert answer.result(LATE_S)[0] == 502
        two.network.heal()
        have_both(two)
        assert takes_a_download(two)
        assert events.until(b"data:")
        talk.send(WORD)
        assert talk.exactly(len(ECHO)) == ECHO
    assert said(two, "bulk-link-up") == 2
    assert said(two, "session-parked") == said(two, "link-resumed") == 0


@pytest.mark.parametrize("two", [(["grace: 3s"], ())], indirect=True)
def test_the_grace_of_the_first_ends_both(two):
    """Till then the second serves. What either carried ends, at both ends;
    that they give their memory back they assert when they end. The client
    comes back with a new session, and both links of it work."""
    have_both(two)
    with follow(two) as events, \
            raw_visitor.open_to(two.url, two.ca) as visitor, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        visitor.ask("/endless")
        assert visitor.until(b"still here")
        answer = pool.submit(two.get, "/slow?ms=60000")
        stages.eventually("a request at the service",
                          lambda: is_asked(two, "/slow"))
        two.network.refuse()
        two.network.cut_first()
        stages.eventually("a parked session",
                          lambda: said(two, "session-parked"))
        assert goes_on(two, 1)
        assert visitor.ends(LATE_S) == "cut"
        assert events.ends(LATE_S) == "cut"
        assert answer.result(LATE_S)[0] == 502
    assert "no sessions" in two.relay.command("sessions").stdout
    stages.eventually("no link", lambda: not two.network.standing())
    stages.eventually("an end at the service", lambda: left(two) == 1)
    two.network.heal()
    stages.eventually("the name again", lambda: said(two, "bound") == 2,
                      LATE_S)
    have_both(two)
    assert takes_a_download(two)
    follow(two).close()
    assert said(two, "bulk-link-up") == 2
    assert said(two, "link-resumed") == said(two, "bulk-link-resumed") == 0


def end_by_operator(stage, verb):
    """Both links and all that they carry, among it a download under way."""
    have_both(stage)
    links = stage.network.standing()
    assert len(links) == 2
    with follow(stage) as events, \
            raw_visitor.open_to(stage.url, stage.ca) as visitor, \
            raw_visitor.open_to(stage.url, stage.ca) as other, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        other.ask("/endless")
        assert other.until(b"still here")
        visitor.ask(f"/download?bytes={10_000 * MB}")
        assert visitor.head().status == 200
        visitor.exactly(MB)
        end = pool.submit(visitor.ends, LATE_S)
        done = stage.relay.command(*verb)
        assert "1 session ended" in done.stdout and done.returncode == 0
        assert end.result(2 * LATE_S) == "cut"
        assert events.ends(LATE_S) == other.ends(LATE_S) == "cut"
    stages.eventually("the end of both links",
                      lambda: all(link.is_over for link in links))
    stages.eventually("an end at the service", lambda: left(stage) == 1)


def test_revoking_ends_both_for_ever(two):
    """The client says why, as it does with one link."""
    end_by_operator(two, ["revoke", "machine"])
    assert two.client.child.wait(LATE_S) == REVOKED
    assert "revoked" in two.client.child.errors() + two.client.child.output()
    assert "no sessions" in two.relay.command("sessions").stdout


def test_who_is_kicked_comes_back_with_both(two):
    """In a new session: nothing of the old one is left."""
    end_by_operator(two, ["kick", "both"])
    assert "operator ended" in two.client.wait_event("lost")["why"]
    stages.eventually("the name again", lambda: said(two, "bound") == 2,
                      LATE_S)
    have_both(two)
    assert takes_a_download(two)
    head, *rows = two.relay.command("sessions").stdout.splitlines()
    assert len(rows) == 1
    row = dict(zip(head.split(), rows[0].split()))
    assert (row["LIVE"], row["LINK"], row["RESUMES"]) == ("0", "up", "0")
    assert len(two.network.standing()) == 2


def test_a_relay_that_ends_does_not_wait_for_it(two):
    """Well before the 30 s of a drain: nobody may come back."""
    have_both(two)
    with raw_visitor.open_to(two.url, two.ca) as visitor:
        visitor.ask("/endless")
        assert visitor.until(b"still here")
        two.network.refuse()
        two.network.cut_last()
        stages.eventually("its loss", lambda: re.search(
            r" link-lost .*slot=1 ", two.relay.child.errors()))
        two.relay.child.signal(signal.SIGTERM)
        assert visitor.ends(LATE_S) == "cut"
        assert two.relay.child.wait(LATE_S) == 0


def test_only_its_own_key_may_join_a_session():
    """And only with a newer login than the last, to a session that lives."""
    with stages.Stage() as stage:
        owner = peers.machine_key(stage.enrol("owner"))
        other = peers.machine_key(stage.enrol("other"))
        relay = peers.relay_key(stage.relay)
        with peers.Peer() as first:
            first.dial(stage.relay.port)
            welcome = first.login(owner, relay)
            assert welcome.kind == f.WELCOME
            session = welcome.payload[27:43]

            def join(key, **body):
                with peers.Peer() as second:
                    second.dial(stage.relay.port)
                    return second.login(key, relay, slot=1, **body)

            assert join(other, session=session, epoch=2).kind == f.DENIED
            assert join(owner, session=b"n" * 16, epoch=2).kind == f.DENIED
            assert join(owner, session=session, epoch=2).kind == f.WELCOME
            assert join(owner, session=session, epoch=2).kind == f.DENIED
            # A position that was never sent is not believed.
            answer = join(owner, session=session, epoch=3, flags=1,
                          received=1 << 40)
            assert answer.kind == f.WELCOME
            assert answer.payload[1] == 0  # not RESUMED
            assert not first.has_ended()
