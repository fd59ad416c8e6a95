"""WebSockets, which become raw bytes after their 101.

Goal: whatever the two ends agree on is theirs: extensions, sizes, silence,
half-closed ends.
Checks: echo up to 1 MB, permessage-deflate, half-close both ways, refusals,
200 idle connections, bytes that come with the heads.
"""

import asyncio
import os
import queue
import ssl
import urllib.parse

import pytest
import raw_visitor
import stage as stages
import websockets

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"),
           ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
SWITCHING = (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             b"Connection: Upgrade\r\n"
             b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
MANY = 200


def connect(stage, target="/ws", **options):
    """A WebSocket through the tunnel."""
    parts = urllib.parse.urlsplit(stage.url)
    return websockets.connect(
        f"wss://{parts.netloc}{target}", host="127.0.0.1", port=parts.port,
        ssl=ssl.create_default_context(cafile=stage.ca),
        server_hostname=parts.hostname, max_size=None, **options)


@pytest.mark.parametrize("compression", [None, "deflate"])
def test_messages_come_back(shared, compression):
    """Text and bytes, from nothing to 1 MB."""
    async def story():
        async with connect(shared, compression=compression) as socket:
            for size in (0, 1, 125, 126, 16384, 65535, 65536, 1_000_000):
                sent = os.urandom(size)
                await socket.send(sent)
                assert await socket.recv() == sent
            await socket.send("Grüße")
            assert await socket.recv() == "Grüße"

    asyncio.run(asyncio.wait_for(story(), 60))


def test_messages_cross(shared):
    """Both directions full at the same time: 100 messages of 100 kB."""
    async def story():
        message = os.urandom(100_000)
        async with connect(shared, compression=None) as socket:
            async def send():
                for _ in range(100):
                    await socket.send(message)

            sending = asyncio.create_task(send())
            for _ in range(100):
                assert await socket.recv() == message
            await sending

    asyncio.run(asyncio.wait_for(story(), 60))


def test_extensions_are_the_ends_affair(shared, odd):
    """permessage-deflate is offered and taken, its frames are not touched."""
    frame = bytes(range(256)) * 300
    seen = {}

    def service(peer):
        seen["head"] = peer.head()
        peer.say(SWITCHING[:-2] + b"Sec-WebSocket-Extensions: "
                 b"permessage-deflate; server_no_context_takeover\r\n\r\n")
        peer.say(peer.exactly(len(frame)))
        peer.wait_end()

    odd.begin(service)
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask("/", fields=UPGRADE + [
            ("Sec-WebSocket-Extensions",
             "permessage-deflate; client_max_window_bits")])
        answer = visitor.head()
        assert answer.status == 101, answer.fields
        assert answer.field("sec-websocket-extensions") == \
            "permessage-deflate; server_no_context_takeover"
        assert answer.field("upgrade").lower() == "websocket"
        visitor.send(frame)
        assert visitor.exactly(len(frame)) == frame
    assert "permessage-deflate; client_max_window_bits" in seen["head"]


def test_the_service_may_end_its_half_first(shared, odd):
    """Its FIN reaches the visitor, whose bytes still arrive."""
    got = queue.Queue()

    def service(peer):
        peer.head()
        peer.say(SWITCHING + b"bye")
        peer.socket.shutdown(1)
        got.put(peer.exactly(5))
        got.put(peer.socket.recv(1))

    odd.begin(service)
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask("/", fields=UPGRADE)
        assert visitor.head().status == 101
        assert visitor.exactly(3) == b"bye"
        assert visitor.read() == b""
        visitor.send(b"still")
        assert got.get(timeout=5) == b"still"
        visitor.end_sending()
        assert got.get(timeout=5) == b""


@pytest.mark.parametrize("how", ["close_notify", "fin"])
def test_the_visitor_may_end_its_half_first(shared, odd, how):
    """The service sees the end, and its last words still arrive."""
    def service(peer):
        peer.head()
        peer.say(SWITCHING)
        assert peer.exactly(4) == b"over"
        assert peer.socket.recv(1) == b""
        peer.say(b"and out")

    odd.begin(service)
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask("/", fields=UPGRADE)
        assert visitor.head().status == 101
        visitor.send(b"over")
        visitor.end_sending(how)
        assert visitor.exactly(7) == b"and out"
        assert visitor.read() == b""


def test_bytes_that_come_with_the_head_are_not_lost(shared, odd):
    """A visitor that does not wait for the 101 is understood."""
    def service(peer):
        peer.head()
        peer.say(SWITCHING + b"welcome")
        assert peer.exactly(5) == b"eager"
        peer.wait_end()

    odd.begin(service)
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        head = f"GET / HTTP/1.1\r\nHost: {visitor.host}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in UPGRADE) + "\r\n"
        visitor.send(head.encode() + b"eager")
        assert visitor.head().status == 101
        assert visitor.exactly(7) == b"welcome"


def test_a_refused_upgrade_is_an_ordinary_answer(shared):
    """A path that is no WebSocket: its answer, and the exchange is over."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.ask("/no-socket", fields=UPGRADE)
        answer = visitor.answer()
        assert (answer.status, answer.body) == \
            (404, b"nothing at /no-socket\n")
    stages.eventually("the exchange's end", lambda: [
        e for e in shared.client.events("request")
        if e["path"] == "/no-socket"])


def test_a_403_says_which_line_to_set(stage, odd):
    """The client prints CORS_ALLOW_ORIGIN with the public URL."""
    odd.begin(lambda peer: peer.head() and peer.say(
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
    url = stage.client.http(f"127.0.0.1:{odd.port}", name="refused",
                            options=["--no-probe"])
    with raw_visitor.open_to(url, stage.ca) as visitor:
        visitor.ask("/ws/socket.io", fields=UPGRADE)
        assert visitor.answer().status == 403
    hint = stage.client.wait_event("websocket-refused")["hint"]
    assert f'CORS_ALLOW_ORIGIN="{url}"' in hint


def test_other_upgrades_are_not_passed_on(shared, odd):
    """h2c is dropped; the request is served as an ordinary one."""
    seen = []

    def service(peer):
        seen.append(peer.head().lower())
        peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    odd.begin(service)
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask("/", fields=[("Connection", "Upgrade"),
                                 ("Upgrade", "h2c")])
        assert visitor.answer().body == b"ok"
    assert "upgrade" not in seen[0]


def test_a_101_nobody_asked_for_is_502(shared, odd):
    """A service cannot make a tunnel of an ordinary request."""
    odd.begin(lambda peer: peer.head() and peer.say(SWITCHING + b"raw"))
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask("/")
        answer = visitor.answer()
        assert answer.status == 502 and b"raw" not in answer.body


def test_200_idle_sockets_live(shared):
    """All stay open, and each still answers afterwards."""
    async def story():
        sockets = []
        try:
            for _ in range(MANY // 20):
                sockets += await asyncio.gather(
                    *[connect(shared, ping_interval=None, compression=None,
                              open_timeout=30) for _ in range(20)])
            await asyncio.sleep(2)
            for number, socket in enumerate(sockets):
                await socket.send(str(number))
            for number, socket in enumerate(sockets):
                assert await socket.recv() == str(number)
        finally:
            await asyncio.gather(*[s.close() for s in sockets])

    asyncio.run(asyncio.wait_for(story(), 90))
