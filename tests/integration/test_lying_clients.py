"""Clients with a good key and bad manners.

Goal: whatever a logged-in peer sends, the relay names the breach, ends that
session and nothing else, answers its visitors with what it has, and takes no
byte of theirs or its own memory for the liar's.
Checks: a table of breaches (PROTOCOL.md), each on a link of its own; what is
no breach and must be dropped or reset; floods; a client that never reads and
one that never answers. After each an honest client's visitor is served.
"""

import contextlib
import re
import struct
import threading
import time

import frames as f
import peer as peers
import pytest
import raw_service
import stage as stages

ASK = (b"GET /lie HTTP/1.1\r\nHost: lies.tunnel.test\r\n"
       b"Connection: close\r\n\r\n")
BIG = f.PAYLOAD_MAX
LAST_CHUNK = b"0\r\n\r\n"
CHUNK = b"x" * BIG


@pytest.fixture(name="house", scope="module")
def _house():
    """A relay with an honest client and the key of a liar."""
    with stages.Stage(settings=["address-rate: 100000",
                                "address-burst: 100000"]) as house:
        house.share(name="honest")
        house.liar = peers.machine_key(house.enrol("liar"))
        house.key = peers.relay_key(house.relay)
        yield house


@contextlib.contextmanager
def liar(house, tunnels=(b"lies",)):
    """A peer that is logged in and has |tunnels| bound, from 1."""
    with peers.Peer() as peer:
        peer.dial(house.relay.port, "127.0.9.1")
        assert peer.login(house.liar, house.key).kind == f.WELCOME
        for number, name in enumerate(tunnels, 1):
            peer.send(f.bind(number, name))
            peer.wait_frame(f.BOUND)
        yield peer


def said(house, since, line):
    """What the relay's log says in |line| after |since|; once it does."""
    found = stages.eventually(f"`{line}` in the relay's log", lambda: re.search(
        rf' {line} .*reason=(\S+) why="([^"]*)"',
        house.relay.child.errors()[since:]))
    return found.group(1), found.group(2)


def check_honest(house):
    """The relay serves the others as if nothing were."""
    assert house.relay.child.is_running()
    assert house.get("/status") == (200, b"")


HEAD_200 = f.head(2, f.response())
HEAD_ONE = f.response(100, framing=0)
LONG = f.frame(f.HEAD, 2, CHUNK, f.FINAL)

# Without any stream: name, bytes, reason, what the log says.
BREACHES = [
    ("data_for_no_stream", f.data(2, b"x"), "PROTOCOL", "never opened"),
    ("head_for_no_stream", HEAD_200, "PROTOCOL", "never opened"),
    ("window_for_no_stream", f.window(2, 1), "PROTOCOL", "never opened"),
    ("reset_for_no_stream", f.reset(2), "PROTOCOL", "never opened"),
    ("stop_for_no_stream", f.frame(f.STOP, 2), "PROTOCOL", "never opened"),
    ("data_for_the_last_id", f.data(0xfffffffe, b"x"), "PROTOCOL",
     "never opened"),
    ("odd_stream", f.data(3, b"x"), "PROTOCOL", "an odd stream id"),
    ("data_on_the_session", f.data(0, b"x"), "PROTOCOL", "on stream 0"),
    ("ping_on_a_stream", f.number(f.PING, 1, stream=2), "PROTOCOL",
     "a session's frame on a stream"),
    ("open", f.open_stream(2), "PROTOCOL", "only the other side"),
    ("bound", f.bound(1, b"https://x"), "PROTOCOL", "only the other side"),
    ("refused", f.verdict(f.REFUSED, 1, 1), "PROTOCOL",
     "only the other side"),
    ("unbound", f.verdict(f.UNBOUND, 1, 1), "PROTOCOL",
     "only the other side"),
    ("next_key", f.frame(f.NEXT_KEY, 0, bytes(96)), "PROTOCOL",
     "only the other side"),
    ("login_again", f.frame(f.LOGIN, 0, bytes(153)), "PROTOCOL",
     "a login frame after the login"),
    ("welcome", f.frame(f.WELCOME, 0, bytes(120)), "PROTOCOL",
     "a login frame after the login"),
    ("type_0", f.frame(0), "PROTOCOL", "an unknown frame"),
    ("type_7f", f.frame(0x7f, 0, b"new"), "PROTOCOL", "an unknown frame"),
    ("too_long", struct.pack(">IHBB", 0, BIG + 1, 0x90, 0), "PROTOCOL",
     "longer than any"),
    ("short_ping", f.frame(f.PING, 0, bytes(7)), "PROTOCOL", "a length"),
    ("long_ack", f.frame(f.ACK, 0, bytes(9)), "PROTOCOL", "a length"),
    ("empty_data", f.data(2), "PROTOCOL", "empty DATA without FIN"),
    ("flag_on_ping", f.frame(f.PING, 0, bytes(8), 1), "PROTOCOL", "a flag"),
    ("flag_on_data", f.data(2, b"x", f.END_HEAD), "PROTOCOL", "a flag"),
    ("unknown_flag", f.head(2, f.response(), 0x80), "PROTOCOL", "a flag"),
    ("request_head", f.head(2, f.request(), f.END_HEAD), "PROTOCOL",
     "a request's head from the client"),
    ("fin_inside_a_head", f.head(2, f.response(), f.FINAL | f.FIN),
     "PROTOCOL", "FIN inside a head"),
    ("fin_on_a_hint", f.head(2, HEAD_ONE, 0x13), "PROTOCOL",
     "FIN on an informational head"),
    ("ack_of_the_future", f.number(f.ACK, 1 << 40), "PROTOCOL",
     "an ACK for what was not sent"),
    ("ack_of_no_frames_end", f.number(f.ACK, 3), "PROTOCOL",
     "an ACK for what was not sent"),
    ("ack_of_the_end_of_time", f.number(f.ACK, (1 << 64) - 1), "PROTOCOL",
     "an ACK for what was not sent"),
    ("bind_0", f.bind(0), "PROTOCOL", "malformed frame of the session"),
    ("bind_twice", f.bind(1, b"other"), "PROTOCOL",
     "malformed frame of the session"),
    ("bind_that_ends_early", f.frame(f.BIND, 0, b"\0\2\x3f" + bytes(18)),
     "PROTOCOL", "malformed frame of the session"),
    ("unbind_0", f.unbind(0), "PROTOCOL", "malformed frame of the session"),
    ("goaway_with_an_escape", f.goaway(15, b"\x1b[2J"), "PROTOCOL",
     "malformed frame of the session"),
]

# A visitor waits on stream 2: the same, and what the visitor got of it.
STREAM_BREACHES = [
    ("data_before_the_head", f.data(2, b"x"), "PROTOCOL",
     "DATA before the head is whole", 502),
    ("trailers_first", f.head(2, f.trailers(), f.TRAILERS | f.END_HEAD),
     "PROTOCOL", "may not come now", 502),
    ("two_finals", HEAD_200 + HEAD_200, "PROTOCOL", "may not come now", None),
    ("hint_after_the_final", HEAD_200 + f.head(2, HEAD_ONE, 0x12),
     "PROTOCOL", "may not come now", None),
    ("data_inside_a_head", f.head(2, f.response()[:5], f.FINAL)
     + f.data(2, b"x"), "PROTOCOL", "DATA before the head is whole", 502),
    ("hint_inside_a_head", f.head(2, f.response()[:5], f.FINAL)
     + f.head(2, HEAD_ONE, 0x12), "PROTOCOL", "a head inside another", 502),
    ("head_without_end", LONG * 5, "PROTOCOL", "a head longer than any", 502),
    ("data_after_fin", HEAD_200 + f.data(2, b"x", f.FIN) + f.data(2, b"y"),
     None, None, 200),
    ("data_after_trailers", HEAD_200 + f.head(
        2, f.trailers(), f.TRAILERS | f.END_HEAD) + f.data(2, b"x"),
     "PROTOCOL", "DATA after the trailers", None),
    ("past_the_window_in_hints", f.head(2, f.response(103, [
        (b"link", b"x" * 16000)], framing=0), 0x12) * 3
     + f.head(2, f.response()[:9], f.FINAL) * 8000, "PROTOCOL",
     "a head longer than any", None),
    ("window_of_0", f.window(2, 0), "PROTOCOL", "an empty WINDOW", 502),
    ("window_past_the_most", f.window(2, f.WINDOW_MAX), "FLOW",
     "a window larger than any", 502),
    ("windows_past_the_most", f.window(2, 8 << 20) * 2, "FLOW",
     "a window larger than any", 502),
    ("window_that_wraps", f.window(2, 0xffffffff), "FLOW",
     "a window larger than any", 502),
    ("stream_above", f.data(4, b"x"), "PROTOCOL", "never opened", 502),
]


def status_of(answer):
    """The status of what a visitor got; None when nothing came."""
    found = re.match(rb"HTTP/1\.1 (\d+) ", answer)
    return int(found.group(1)) if found else None


@pytest.mark.parametrize("case", BREACHES, ids=[c[0] for c in BREACHES])
def test_a_breach_is_named_and_ends_its_session(house, case):
    """Checks: one line of the log, the link cut, the others served."""
    _, bad, reason, why = case
    since = len(house.relay.child.errors())
    with liar(house) as peer:
        peer.send(bad)
        peer.wait_end()
        told = peer.wait_frame(f.GOAWAY).sentence
    code, sentence = said(house, since, "session-failed")
    assert told == (code, sentence)
    assert (code, why in sentence) == (reason, True), sentence
    check_honest(house)


@pytest.mark.parametrize("case", STREAM_BREACHES,
                         ids=[c[0] for c in STREAM_BREACHES])
def test_a_breach_on_a_stream_reaches_no_visitor(house, case):
    """Checks: the same, and the visitor has an answer or a cut one."""
    _, bad, reason, why, status = case
    since = len(house.relay.child.errors())
    with liar(house) as peer, raw_service.visit(
            house.relay.port, house.ca, "lies.tunnel.test") as visitor:
        visitor.sendall(ASK)
        peer.wait_frame(f.OPEN)
        peer.send(bad)
        if reason:
            peer.wait_end()
        answer, _ = raw_service.read_all(visitor)
    if reason:
        assert LAST_CHUNK not in answer
        code, sentence = said(house, since, "session-failed")
        assert (code, why in sentence) == (reason, True), sentence
    assert status is None or status_of(answer) == status, answer[:300]
    check_honest(house)


def test_more_than_the_window_is_refused(house):
    """Checks: a visitor that does not read, 64 MB for 256 KiB of credit."""
    with liar(house) as peer, raw_service.visit(
            house.relay.port, house.ca, "lies.tunnel.test") as visitor:
        visitor.sendall(ASK)
        peer.wait_frame(f.OPEN)
        peer.send(HEAD_200)
        peer.repeat(4000, f.data(2, CHUNK))
        assert peer.wait_frame(f.GOAWAY).sentence == (
            "FLOW", "payload past the window")
        peer.wait_end()
        answer, is_clean = raw_service.read_all(visitor)
    assert LAST_CHUNK not in answer[-9:] and not is_clean
    check_honest(house)


def check_alive(peer):
    """The session goes on: PING is answered."""
    since = peer.mark()
    peer.send(f.number(f.PING, 77))
    peer.wait("the answer to PING", lambda: any(
        pong.payload[-1] == 77 for pong in peer.frames(f.PONG, since)))


OVER = f.head(2, f.response(204, framing=0), 0x23)

# What is no breach: dropped and counted, or it ends the stream alone.
HARMLESS = [
    ("optional_types", f.frame(0x81, 0, b"x") + f.frame(0xff, 3, b"", 0xff)
     + f.frame(0x90, 0xffffffff, CHUNK, 1), 502),
    ("unknown_code", f.reset(2, 9999), 502),
    ("frames_for_the_dead", OVER + f.data(2, b"x") + f.window(2, 1)
     + f.reset(2) + f.frame(f.STOP, 2) + HEAD_200, 204),
    ("reset_twice", f.reset(2) * 2, 502),
    ("unbind_of_nothing", f.unbind(9) * 3 + f.reset(2), 502),
    ("old_ack", f.number(f.ACK, 0) * 5 + f.reset(2), 502),
    ("pong_unasked", f.number(f.PONG, 5) * 5 + f.reset(2), 502),
    ("window_of_1", f.window(2, 1) * 999 + f.reset(2), 502),
    ("stop_then_answer", f.frame(f.STOP, 2) * 2 + OVER, 204),
]


def final(status=200, pairs=(), **other):
    """A whole answer in one frame."""
    return f.head(2, f.response(status, pairs, **other), 0x23)


BROKEN = f.response()[:-2]  # without its count of fields
EVIL = b"evil"

# Heads that the relay must not write: the visitor gets 502 and none of it.
HEADS = [
    ("line_end_in_a_value", final(200, [(b"x", b"a\r\nset-cookie: evil")])),
    ("newline_in_a_value", final(200, [(b"x", b"a\nevil: 1")])),
    ("zero_in_a_value", final(200, [(b"x", b"evil\0")])),
    ("blank_before_a_value", final(200, [(b"evil", b" x")])),
    ("line_end_in_a_name", final(200, [(b"x\r\nevil", b"1")])),
    ("colon_in_a_name", final(200, [(b"evil:", b"1")])),
    ("blank_in_a_name", final(200, [(b"evil x", b"1")])),
    ("upper_case_name", final(200, [(b"Evil", b"1")])),
    ("no_name", final(200, [(b"", b"evil")])),
    ("length_among_the_fields", final(200, [(b"content-length", b"666")])),
    ("coding_among_the_fields", final(200, [(b"transfer-encoding",
                                             b"chunked")])),
    ("connection_among_the_fields", final(200, [(b"connection", b"evil")])),
    ("status_99", final(99)), ("status_600", final(600)),
    ("status_0", final(0)), ("status_100_as_final", final(100, framing=0)),
    ("switching_unasked", final(101, [(b"evil", b"1")], flags=1, framing=0)),
    ("upgrade_without_101", final(200, flags=1)),
    ("unknown_flag", final(200, flags=2)),
    ("unknown_framing", final(200, framing=3)),
    ("length_without_framing", final(200, framing=0, length=5)),
    ("fewer_fields_than_said", f.head(2, BROKEN + b"\0\5", 0x23)),
    ("bytes_behind_the_fields", f.head(2, f.response() + b"evil", 0x23)),
    ("too_many_fields", final(200, [(b"evil", b"1")] * 101)),
    ("request_for_an_answer", f.head(2, f.request(b"/evil"), 0x23)),
    ("trailers_for_an_answer", f.head(2, f.trailers([(b"evil", b"1")]),
                                      0x23)),
    ("final_as_informational", f.head(2, f.response(200), 0x12)),
    ("empty_as_can_be", f.head(2, b"\2", 0x23)),
]

# Bodies that are not what their heads say: the visitor can tell.
BODIES = [
    ("shorter", f.head(2, f.response(200, framing=1, length=5))
     + f.data(2, b"abc", f.FIN)),
    ("none_at_all", final(200, framing=1, length=5)),
    ("longer", f.head(2, f.response(200, framing=1, length=5))
     + f.data(2, b"abcdefgh", f.FIN)),
    ("one_for_none", f.head(2, f.response(204, framing=0))
     + f.data(2, b"HTTP/1.1 200 OK\r\n\r\n", f.FIN)),
    ("reset_inside", f.head(2, f.response()) + f.data(2, b"abc")
     + f.reset(2, 9)),
    ("bad_trailers", f.head(2, f.response()) + f.data(2, b"abc") + f.head(
        2, f.trailers([(b"x", b"1\r\nevil: 1")]), 0x33)),
]


def one_visit(house, peer, bad):
    """What the visitor gets while |peer| answers with |bad|; ended well?"""
    with raw_service.visit(house.relay.port, house.ca,
                           "lies.tunnel.test") as visitor:
        visitor.sendall(ASK)
        peer.wait_frame(f.OPEN)
        peer.send(bad)
        return raw_service.read_all(visitor)


@pytest.mark.parametrize("case", HARMLESS, ids=[c[0] for c in HARMLESS])
def test_what_is_no_breach_ends_a_stream_at_most(house, case):
    """Checks: the visitor's answer; the session goes on."""
    _, odd, status = case
    with liar(house) as peer:
        if case[0] == "optional_types":
            odd += f.reset(2)
        answer, _ = one_visit(house, peer, odd)
        assert status_of(answer) == status, answer[:300]
        check_alive(peer)
    check_honest(house)


@pytest.mark.parametrize("case", HEADS, ids=[c[0] for c in HEADS])
def test_a_bad_head_is_the_clients_fault_and_stays_there(house, case):
    """Checks: 502, none of the head's words, RESET(HEAD), session alive."""
    with liar(house) as peer:
        answer, _ = one_visit(house, peer, case[1])
        assert status_of(answer) == 502, answer[:300]
        assert EVIL not in answer.lower()
        check_alive(peer)
    check_honest(house)


@pytest.mark.parametrize("case", BODIES, ids=[c[0] for c in BODIES])
def test_a_body_that_lies_is_never_a_whole_answer(house, case):
    """Checks: cut without a close_notify and without a last chunk."""
    with liar(house) as peer:
        answer, is_clean = one_visit(house, peer, case[1])
        if status_of(answer) != 502:
            assert not is_clean and LAST_CHUNK not in answer, answer[-300:]
        assert b"evil" not in answer and answer.count(b"HTTP/1.1 ") <= 1
        check_alive(peer)
    check_honest(house)


def test_malformed_logins_are_dropped(house):
    """Checks: one byte too few, flags, slots, limits, a frame before it."""
    good = f.login_body(house.liar.public)
    bad = [good[:-1], good + b"x", good[:2] + b"\x80" + good[3:],
           good[:3] + b"\2" + good[4:],
           f.login_body(house.liar.public, minor_min=1),
           f.login_body(house.liar.public, window=0),
           f.login_body(house.liar.public, window=f.WINDOW_MAX + 1),
           f.login_body(house.liar.public, streams=0),
           f.login_body(house.liar.public, received=5),
           f.login_body(house.liar.public, session=b"s" * 16),
           f.login_body(house.liar.public, software=b"\x1b[2J")]
    with peers.Peer() as peer:
        for body in bad:
            since = peer.mark()
            peer.dial(house.relay.port, "127.0.9.2")
            peer.say("login", body.hex(), house.liar.seed.hex(),
                     house.key.public.hex())
            peer.wait_end(since)
            assert not peer.frames(None, since), body
        for first in (f.number(f.PING, 1), f.bind(1, b"lies"),
                      f.frame(f.LOGIN, 2, bytes(153)),
                      f.frame(f.LOGIN, 0, bytes(16000))):
            since = peer.mark()
            peer.dial(house.relay.port, "127.0.9.2")
            peer.send(first)
            peer.wait_end(since)
            assert not peer.frames(None, since)
    check_honest(house)


def test_limits_of_the_client_hold(house):
    """Checks: it takes three streams, the fourth visitor hears 503."""
    with peers.Peer() as peer, contextlib.ExitStack() as stack:
        peer.dial(house.relay.port, "127.0.9.3")
        assert peer.login(house.liar, house.key,
                          streams=3).kind == f.WELCOME
        peer.send(f.bind(1, b"lies"))
        peer.wait_frame(f.BOUND)
        for count in range(1, 4):
            stack.enter_context(raw_service.visit(
                house.relay.port, house.ca, "lies.tunnel.test")).sendall(ASK)
            peer.wait("OPEN", lambda n=count: len(peer.frames(f.OPEN)) == n)
        with raw_service.visit(house.relay.port, house.ca,
                               "lies.tunnel.test") as visitor:
            visitor.sendall(ASK)
            assert status_of(raw_service.read_all(visitor)[0]) == 503
        check_alive(peer)
