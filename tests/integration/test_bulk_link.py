"""A session's second link.

Goal: what may be large goes beside what is urgent, over a connection of its
own, and nobody notices when that one is lost, or cannot be had.
Checks: when it is dialled and when not; what goes where; it is cut alone; its
grace ends its own streams only; whose session it may join.
"""

import concurrent.futures
import re
import signal

import cutter
import frames as f
import pattern
import peer as peers
import pytest
import raw_visitor
import stage as stages

MB = 1000 * 1000
LATE_S = 20.0
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"),
           ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


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
