"""Relays that have the right key and abuse it.

Goal: the client believes its relay about visitors and nothing else: whatever
comes over the link, it reaches the one target of a tunnel or nothing, writes
no request that is not one, shows no text that steers a terminal, keeps its
memory within bounds, and comes back for more with growing patience.
Checks: a table of breaches and of things that end one stream; WELCOME, BOUND
and GOAWAY with lies; streams past the client's limit; logins cut short.
"""

import re
import struct
import time

import frames as f
import liar
import peer as peers
import pytest
import stage as stages

CHUNK = b"x" * f.PAYLOAD_MAX


@pytest.fixture(name="house", scope="module")
def _house():
    with stages.Stage() as house:
        yield house


@pytest.fixture(name="victim", scope="module")
def _victim(house):
    """A machine whose relay lies; the client is a test's own."""
    with liar.LyingRelay(house) as relay:
        yield relay


@pytest.fixture(name="linked")
def _linked(victim):
    """The client is there, and has its name."""
    since = victim.peer.mark()
    victim.start()
    victim.begin(since)
    victim.client.wait_event("url")
    del victim.service.came[:]
    yield victim
    # Without a link a drain has nothing to wait for.
    victim.peer.close()
    victim.client.stop()
    stages.check_sound(victim.client.child)


def check_sane(relay):
    """It runs, and has been nowhere but at its relay and its target."""
    assert relay.client.child.is_running()
    assert relay.targets() <= {f"127.0.0.1:{relay.port}",
                               f"127.0.0.1:{relay.service.port}"}
    assert "\x1b" not in relay.client.child.output() + \
        relay.client.child.errors()


def check_alive(peer):
    """The session goes on: PING is answered."""
    since = peer.mark()
    peer.send(f.number(f.PING, 77))
    peer.wait("the answer to PING", lambda: any(
        pong.payload[-1] == 77 for pong in peer.frames(f.PONG, since)))


OPEN_2 = f.open_stream(2)
UPLOAD = f.request(b"/up", method=b"POST", framing=2)
OPEN_UP = f.open_stream(2, UPLOAD, flags=f.END_HEAD)
SENTENCE = b"a\x1b]0;owned\x07"

# Name, bytes, reason, what the client's log says.
BREACHES = [
    ("odd_stream", f.open_stream(3), "PROTOCOL", "an odd stream id"),
    ("stream_0", f.frame(f.OPEN, 0, f.open_fixed() + f.request(), 3),
     "PROTOCOL", "on stream 0"),
    ("the_same_stream", OPEN_2 * 2, "PROTOCOL", "an id that was used"),
    ("streams_going_back", f.open_stream(8) + f.open_stream(6), "PROTOCOL",
     "an id that was used"),
    ("data_for_no_stream", f.data(2, b"x"), "PROTOCOL", "never opened"),
    ("window_for_no_stream", f.window(4, 1), "PROTOCOL", "never opened"),
    ("reset_for_no_stream", f.reset(2), "PROTOCOL", "never opened"),
    ("stop", OPEN_2 + f.frame(f.STOP, 2), "PROTOCOL", "only the other side"),
    ("bind", f.bind(2, b"x"), "PROTOCOL", "only the other side"),
    ("unbind", f.unbind(1), "PROTOCOL", "only the other side"),
    ("welcome_again", f.frame(f.WELCOME, 0, bytes(120)), "PROTOCOL",
     "a login frame after the login"),
    ("unknown", f.frame(0x26, 0, b"x"), "PROTOCOL", "an unknown frame"),
    ("answer_from_the_relay", OPEN_2 + f.head(2, f.response()), "PROTOCOL",
     "a response's head from the relay"),
    ("tunnel_0", f.open_stream(2, tunnel=0), "PROTOCOL", "a malformed OPEN"),
    ("kind_9", f.open_stream(2, kind=9), "PROTOCOL", "a malformed OPEN"),
    ("family_5", f.open_stream(2, family=5), "PROTOCOL", "a malformed OPEN"),
    ("credit_past_the_most", f.open_stream(2, credit=f.WINDOW_MAX + 1),
     "PROTOCOL", "a malformed OPEN"),
    ("open_too_short", f.frame(f.OPEN, 2, f.open_fixed()[:-1], 3),
     "PROTOCOL", "a length"),
    ("head_without_end", f.frame(f.OPEN, 2, f.open_fixed() + CHUNK[:9000], 0)
     + f.frame(f.HEAD, 2, CHUNK, 0) * 5, "PROTOCOL",
     "a head longer than any"),
    ("data_inside_the_head", f.frame(f.OPEN, 2, f.open_fixed()
                                     + f.request()[:9], 0) + f.data(2, b"x"),
     "PROTOCOL", "DATA before the head is whole"),
    ("second_request_head", OPEN_UP + f.head(2, f.request(), f.END_HEAD),
     "PROTOCOL", "may not come now"),
    ("window_past_the_most", OPEN_UP + f.window(2, f.WINDOW_MAX), "FLOW",
     "a window larger than any"),
    ("ack_of_the_future", f.number(f.ACK, 1 << 50), "PROTOCOL",
     "an ACK for what was not sent"),
    ("url_with_an_escape", f.bound(1, b"https://x\x1b[2J"), "PROTOCOL",
     "a malformed frame of the session"),
    ("url_with_a_line_end", f.bound(1, b"https://x\r\nhttps://y"),
     "PROTOCOL", "a malformed frame of the session"),
    ("url_of_nothing", f.bound(1, b""), "PROTOCOL", "a length"),
    ("url_too_long", f.bound(1, b"https://" + b"x" * 293), "PROTOCOL",
     "a length"),
    ("verdict_with_an_escape", f.verdict(f.UNBOUND, 1, 10, SENTENCE),
     "PROTOCOL", "a malformed frame of the session"),
    ("goaway_with_an_escape", f.goaway(15, SENTENCE), "PROTOCOL",
     "a malformed frame of the session"),
]


@pytest.mark.parametrize("case", BREACHES, ids=[c[0] for c in BREACHES])
def test_a_breach_is_named_and_ends_the_link(victim, case):
    """Checks: said on the screen and in GOAWAY; the client comes back."""
    _, bad, reason, why = case
    peer = victim.peer
    victim.client.stop()
    since = peer.mark()
    victim.start()
    victim.begin(since)
    peer.send(bad)
    code, sentence = peer.wait_frame(f.GOAWAY, since).sentence
    assert (code, why in sentence) == (reason, True), sentence
    assert victim.client.wait_event("lost")["why"] == sentence
    since = peer.mark()
    victim.begin(since)
    check_alive(peer)
    check_sane(victim)
    victim.client.stop()
    stages.check_sound(victim.client.child)
    peer.wait_end(since)


def test_more_than_the_window_is_refused(linked):
    """Checks: a service that does not read, 64 MB for 256 KiB of credit."""
    linked.service.is_deaf = True
    since = linked.peer.mark()
    linked.peer.send(OPEN_UP)
    linked.peer.repeat(4000, f.data(2, CHUNK))
    assert linked.peer.wait_frame(f.GOAWAY, since).sentence == (
        "FLOW", "payload past the window")
    linked.peer.wait_end(since)
    linked.service.is_deaf = False
    check_sane(linked)


def evil(target=b"/", pairs=(), **other):
    """OPEN of a request that must not be written."""
    return f.open_stream(2, f.request(target, pairs, **other))


# Ends its stream with HEAD or REFUSED, and nothing reaches the service.
REFUSED = [
    ("tunnel_never_bound", f.open_stream(2, tunnel=7), "REFUSED"),
    ("raw", f.open_stream(2, kind=2), "HEAD"),
    ("line_end_in_a_value", evil(pairs=[(b"x", b"1\r\ny: 2")]), "HEAD"),
    ("newline_in_a_value", evil(pairs=[(b"x", b"1\n\nGET /2")]), "HEAD"),
    ("zero_in_a_value", evil(pairs=[(b"x", b"\0")]), "HEAD"),
    ("line_end_in_a_name", evil(pairs=[(b"x: 1\r\ny", b"2")]), "HEAD"),
    ("colon_in_a_name", evil(pairs=[(b"x:", b"2")]), "HEAD"),
    ("upper_case_name", evil(pairs=[(b"Host", b"internal")]), "HEAD"),
    ("host", evil(pairs=[(b"host", b"internal")]), "HEAD"),
    ("length", evil(pairs=[(b"content-length", b"5")]), "HEAD"),
    ("coding", evil(pairs=[(b"transfer-encoding", b"chunked")]), "HEAD"),
    ("upgrade", evil(pairs=[(b"upgrade", b"h2c")]), "HEAD"),
    ("blank_in_the_target", evil(b"/ HTTP/1.1\r\nx: 1"), "HEAD"),
    ("no_target", evil(b""), "HEAD"),
    ("absolute_target", evil(b"http://10.0.0.1/"), "HEAD"),
    ("authority_target", evil(b"10.0.0.1:22", method=b"CONNECT"), "HEAD"),
    ("fragment", evil(b"/#x"), "HEAD"),
    ("blank_in_the_method", evil(method=b"GET /evil"), "HEAD"),
    ("no_method", evil(method=b""), "HEAD"),
    ("user_info", evil(authority=b"a@b"), "HEAD"),
    ("line_end_in_the_authority", evil(authority=b"a\r\nx: 1"), "HEAD"),
    ("upgrade_of_a_post", f.open_stream(2, f.request(
        method=b"POST", flags=1), flags=f.END_HEAD), "HEAD"),
    ("answer_for_a_request", f.open_stream(2, f.response()), "HEAD"),
    ("trailers_for_a_request", f.open_stream(2, f.trailers()), "HEAD"),
    ("bytes_behind", f.open_stream(2, f.request() + b"GET / HTTP/1.1"),
     "HEAD"),
    ("no_head", f.open_stream(2, b""), "HEAD"),
    ("length_without_framing", evil(length=5), "HEAD"),
]


def test_what_is_no_request_reaches_no_service(linked):
    """Checks: RESET with its code, no byte and no connection, alive."""
    for number, (name, bad, code) in enumerate(REFUSED, 1):
        since = linked.peer.mark()
        stream = struct.pack(">I", 2 * number)
        linked.peer.send(stream + bad[4:])
        assert linked.peer.wait_frame(f.RESET, since).code == code, name
        check_alive(linked.peer)
    assert not linked.service.came
    check_sane(linked)
    assert f"127.0.0.1:{linked.service.port}" not in linked.targets()


# What a WELCOME may not say; the client says that it does not fit.
WELCOMES = [{"epoch": 7}, {"slot": 1}, {"slot": 2}, {"flags": 1},
            {"flags": 1, "received": 1 << 40}, {"flags": 2},
            {"received": 5}, {"features": 1 << 63}, {"minor": 1},
            {"window": 0}, {"window": f.WINDOW_MAX + 1}, {"streams": 0},
            {"software": b"\x1b[2J"}]


@pytest.mark.parametrize("lies", WELCOMES, ids=str)
def test_a_welcome_that_does_not_fit_is_refused(victim, lies):
    """Checks: no session comes of it; an honest answer is still taken."""
    victim.client.stop()
    since = victim.peer.mark()
    victim.start()
    victim.let_in(since, **lies)
    victim.peer.wait_end(since)
    assert "WELCOME" in victim.client.wait_event("retry")["why"]
    assert not victim.peer.frames(f.BIND, since)
    victim.begin(victim.peer.mark())
    victim.client.wait_event("url")
    check_sane(victim)
    victim.client.stop()


def test_limits_may_be_huge_or_nothing(victim):
    """Checks: huge ones change nothing, no tunnel at all is said."""
    victim.client.stop()
    since = victim.peer.mark()
    victim.start()
    victim.begin(since, window=f.WINDOW_MAX, streams=0xffffffff,
                 tunnels=0xffffffff, grace=0xffffffff)
    victim.client.wait_event("url")
    check_alive(victim.peer)
    victim.client.stop()
    since = victim.peer.mark()
    victim.start()
    victim.let_in(since, tunnels=0)
    assert "too many tunnels" in victim.client.wait_event("refused")["why"]
    assert victim.client.child.wait(10) != 0


@pytest.mark.parametrize("url", [
    b"http://demo.tunnel.test", b"javascript:alert(1)", b"https://",
    b"https://a@evil.test", b"https://evil.test/path", b"https://a:b",
    b"https://a:", b"https://a:123456", b"HTTPS://A", b"x" * 300,
    b"https://" + b"x" * 290])
def test_an_address_that_is_none_is_not_shown(victim, url):
    """Checks: told as refused, with the reason; no URL event, no request."""
    victim.client.stop()
    since = victim.peer.mark()
    victim.start()
    victim.let_in(since)
    victim.peer.wait_frame(f.BIND, since)
    victim.peer.send(f.bound(1, url))
    why = victim.client.wait_event("refused")["why"]
    assert "no https address" in why
    assert victim.client.child.wait(10) != 0
    assert not victim.client.events("url")


def test_what_is_said_twice_is_shown_once(linked):
    """Checks: storms of BOUND, GOAWAY and verdicts for nobody."""
    storm = f.bound(1, b"https://other.tunnel.test") + f.bound(9, liar.URL) \
        + f.verdict(f.REFUSED, 9, 1) + f.goaway(f.CODE["SHUTDOWN"], b"soon") \
        + f.goaway(f.CODE["LIMIT"], b"now") \
        + f.frame(f.NEXT_KEY, 0, bytes(96))
    before = peers.memory_bytes(linked.client.child)
    linked.peer.repeat(5000, storm[:-104])
    linked.peer.repeat(3, storm)
    check_alive(linked.peer)
    assert len(linked.client.events("url")) == 1
    said = linked.client.child.errors() + linked.client.child.output()
    assert len(said) < 10000
    assert peers.memory_bytes(linked.client.child) < before + 8000000
    check_sane(linked)


@pytest.mark.parametrize("how", ["renew", "abort"])
def test_who_lets_in_and_cuts_off_is_dialled_ever_more_rarely(victim, how):
    """Checks: some logins in three seconds, not some each second."""
    peer = victim.peer
    victim.client.stop()
    since = begin = peer.mark()
    victim.start()
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            victim.let_in(since)
            peer.wait_frame(f.BIND, since, 4)
        except AssertionError:
            continue
        since = peer.mark()
        if how == "abort":
            peer.abort()
        else:
            peer.send(f.goaway(f.CODE["RENEW"]))
            peer.wait_end(since)
    assert 2 <= len(peer.frames(f.LOGIN, begin)) <= 20
    check_sane(victim)
    victim.client.stop()


def test_streams_past_the_clients_limit_are_refused(linked):
    """Checks: 4,096 that never end, with the heads' bytes in its pool."""
    before = peers.memory_bytes(linked.client.child)
    begin = f.open_fixed() + b"\1" * 2000
    since = linked.peer.mark()
    linked.peer.send(b"".join(
        f.frame(f.OPEN, 2 * n, begin[:300], 0) for n in range(1, 4097)))
    check_alive(linked.peer)
    assert not linked.peer.frames(f.RESET, since)
    linked.peer.send(f.open_stream(8194))
    reset = linked.peer.wait_frame(f.RESET, since)
    assert (reset.stream, reset.code) == (8194, "REFUSED")
    for start in range(1, 4097, 256):
        linked.peer.send(b"".join(f.frame(f.HEAD, 2 * n, begin[22:], 0)
                                  for n in range(start, start + 256)))
    check_alive(linked.peer)
    assert peers.memory_bytes(linked.client.child) < before + 48000000
    assert not linked.service.came
    check_sane(linked)


def test_pings_without_end_cost_nothing(linked):
    """Checks: very many, and no answer read."""
    before = peers.memory_bytes(linked.client.child)
    linked.peer.mute()
    since = linked.peer.mark()
    count = 10000 if stages.is_sanitized() else 200000
    linked.peer.repeat(count, f.number(f.PING, 1))
    linked.peer.wait_done(since)
    linked.peer.read_on()
    check_alive(linked.peer)
    assert peers.memory_bytes(linked.client.child) < before + 8000000
    check_sane(linked)
