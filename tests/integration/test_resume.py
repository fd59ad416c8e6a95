"""Streams outlive links.

Goal: a client that loses its connection and comes back goes on where it was:
no visitor notices more than a pause.
Checks: downloads, uploads, event streams and WebSockets through cuts at any
moment, byte by byte; requests that come meanwhile wait; what ends with the
grace, and how; a goodbye is not waited for.
"""

import asyncio
import concurrent.futures
import json
import ssl
import threading
import time
import urllib.parse

import calm
import cutter
import pattern
import pytest
import raw_visitor
import stage as stages
import tunnel
import websockets

MB = 1000 * 1000
CUTS = 6
AWAY_S = 0.4
BACK_S = 5.0
SWALLOWED_S = 12.0  # a PING each 5 s, doubt after 2 s, and a slow machine
REPLACED, REFUSED = 3, 4  # exit codes


@pytest.fixture(name="cut_stage", params=[()])
def _cut_stage(request):
    """A stage whose client reaches its relay through a cutter."""
    with stages.Stage(settings=request.param) as stage:
        with cutter.Cutter(stage.relay.port) as network:
            network.lead(stage.client)
            stage.network = network
            stage.share("steady")
            yield stage


def links(stage, event):
    """How many times the relay's log says |event|."""
    return stage.relay.child.errors().count(f" {event} ")


def break_often(stage, stop):
    """Cut and heal until |stop| is set; how often."""
    cuts = 0
    while not stop.is_set():
        before = links(stage, "link-resumed")
        stage.network.cut()
        time.sleep(AWAY_S)
        stage.network.heal()
        cuts += 1
        stages.eventually("the client back", lambda: stop.is_set() or
                          links(stage, "link-resumed") > before, 30)
        stop.wait(AWAY_S)
    return cuts


def upload(stage, length):
    """The hash the service made of a large request."""
    visitor = stage.visitor(120)
    try:
        visitor.request("POST", "/upload", body=pattern.blocks(length),
                        headers={"Content-Length": str(length)})
        return json.loads(visitor.getresponse().read())["sha256"]
    finally:
        visitor.close()


def connect(stage):
    """A WebSocket through the tunnel."""
    parts = urllib.parse.urlsplit(stage.url)
    return websockets.connect(
        f"wss://{parts.netloc}/ws", host="127.0.0.1", port=parts.port,
        ssl=ssl.create_default_context(cafile=stage.ca), ping_interval=None,
        server_hostname=parts.hostname)


def converse(stage, stop):
    """Echo numbers over a WebSocket until |stop|; how many came back."""
    async def story():
        count = 0
        async with connect(stage) as socket:
            while not stop.is_set():
                await socket.send(str(count))
                assert await asyncio.wait_for(socket.recv(), 60) == str(count)
                count += 1
                await asyncio.sleep(0.01)
        return count

    return asyncio.run(story())


def test_everything_lives_through_cuts(cut_stage):
    """Whole bodies, the same sockets, and nothing doubled or lost."""
    length = 8 * MB if stages.is_sanitized() else 60 * MB
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(9) as pool:
        talks = [pool.submit(converse, cut_stage, stop) for _ in range(3)]
        cuts = pool.submit(break_often, cut_stage, stop)
        bodies = [pool.submit(move, cut_stage, length)
                  for move in (stages.Stage.download_sha256, upload) * 2]
        try:
            hashes = {body.result(240) for body in bodies}
            stages.eventually("several cuts", lambda: links(
                cut_stage, "link-resumed") >= CUTS, 120)
        finally:
            stop.set()
        assert hashes == {pattern.sha256(length)}
        assert all(talk.result(60) > 0 for talk in talks)
        assert cuts.result(60) >= CUTS
    # One session from the first to the last byte.
    assert links(cut_stage, "link-up") == 2  # the enrolment, and this one
    assert len(cut_stage.client.events("url")) == 1


def longest_gap(stage, is_talking, stop):
    """Echo over one WebSocket until |stop|; the longest wait, in seconds.
    |is_talking| when the first word came back."""
    async def story():
        longest = 0.0
        async with connect(stage) as socket:
            while not stop.is_set():
                begin = calm.now()
                await socket.send("word")
                assert await asyncio.wait_for(socket.recv(), 60) == "word"
                longest = max(longest, calm.now() - begin)
                is_talking.set()
                await asyncio.sleep(0.02)
        return longest

    return asyncio.run(story())


def test_a_link_that_swallows_everything_is_replaced(cut_stage):
    """As after a change of network: nothing says that the old flow is dead.
    The client doubts it after 2 s of silence and dials beside it; without that
    it would take 15 s."""
    is_talking, stop = threading.Event(), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        gap = pool.submit(longest_gap, cut_stage, is_talking, stop)
        try:
            # Not while it begins: a client that knows of no stream asks after
            # 25 s only.
            assert is_talking.wait(60)
            cut_stage.network.freeze()
            cut_stage.network.heal()
            stages.eventually("the client back", lambda: links(
                cut_stage, "link-resumed") >= 1, 30)
            time.sleep(0.5)
        finally:
            stop.set()
        assert gap.result(60) < SWALLOWED_S
    assert "link-fenced" in cut_stage.relay.child.errors()
    begin = calm.now()
    assert cut_stage.get("/status")[0] == 200
    assert calm.now() - begin < SWALLOWED_S  # on the other link


def test_a_request_that_comes_meanwhile_waits(cut_stage):
    cut_stage.network.cut()
    cut_stage.client.wait_event("lost")
    stages.eventually("a parked session",
                      lambda: links(cut_stage, "session-parked"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(cut_stage.get, "/status")
        time.sleep(1.0)
        assert not answer.done()
        cut_stage.network.heal()
        assert answer.result(BACK_S)[0] == 200


@pytest.mark.parametrize("cut_stage", [["wait: 2s"]], indirect=True)
def test_who_waited_too_long_is_told_to_come_again(cut_stage):
    """503 with Retry-After, and a page that looks again by itself."""
    cut_stage.network.cut()
    stages.eventually("a parked session",
                      lambda: links(cut_stage, "session-parked"))
    begin = time.monotonic()
    with raw_visitor.open_to(cut_stage.url, cut_stage.ca) as visitor:
        visitor.ask("/", fields=[("Sec-Fetch-Mode", "navigate")])
        answer = visitor.answer()
    assert answer.status == 503
    assert time.monotonic() - begin > 1.9
    assert answer.field("retry-after") == "5"
    assert answer.field("refresh") == "3"
    assert b"reconnecting" in answer.body


@pytest.mark.parametrize("cut_stage", [["grace: 2s"]], indirect=True)
def test_the_grace_ends_what_waits(cut_stage):
    """502 before a head, a cut body after it; a session as new after that."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool, \
            raw_visitor.open_to(cut_stage.url, cut_stage.ca) as visitor:
        visitor.ask("/endless")
        assert visitor.until(b"still here")
        answer = pool.submit(cut_stage.get, "/slow?ms=60000")
        stages.eventually("request at the service", lambda: b"/slow" in
                          tunnel.curl(cut_stage.direct + "/seen?path=/slow",
                                      cut_stage.ca))
        cut_stage.network.cut()
        assert answer.result(15)[0] == 502
        assert visitor.ends() == "cut"
    cut_stage.network.heal()
    stages.eventually("the name again", lambda: links(
        cut_stage, "bound") == 2, 15)
    assert cut_stage.get("/status")[0] == 200


def test_a_goodbye_is_not_waited_for(cut_stage):
    """After Ctrl-C the name is free at once: 503 without a wait."""
    cut_stage.client.stop()
    status, body = cut_stage.get("/")
    assert status == 503
    assert b"no_client" in body
    assert links(cut_stage, "session-parked") == 0


def test_who_lost_its_name_meanwhile_is_told(stage):
    """It comes back to its session, hears so, and does not take it back."""
    with cutter.Cutter(stage.relay.port) as network:
        older = stage.client
        newer = stage.twin(older)
        network.lead(older)
        target = f"127.0.0.1:{stage.serve()}"
        url = older.http(target, name="moved")
        network.cut()
        stages.eventually("a parked session",
                          lambda: links(stage, "session-parked"))
        assert newer.http(target, name="moved") == url
        network.heal()
        assert older.child.wait(30) == REPLACED
        assert stage.get("/status", url)[0] == 200
        assert newer.child.is_running()


def test_who_was_revoked_meanwhile_does_not_come_back(cut_stage):
    """Nor does anything go on for it."""
    cut_stage.network.cut()
    stages.eventually("a parked session",
                      lambda: links(cut_stage, "session-parked"))
    cut_stage.relay.command("revoke", "machine")
    stages.eventually("no session", lambda: "no sessions" in
                      cut_stage.relay.command("sessions").stdout)
    cut_stage.network.heal()
    assert cut_stage.client.child.wait(30) == REFUSED
