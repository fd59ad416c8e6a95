#!/usr/bin/python3
"""A local service that sends back what it gets, for tests of the tunnel.

GET  /            a page that tries the microphone, WebSocket, events, upload
GET  /ws          WebSocket: every message comes back
GET  /ws/voice    WebSocket: counts messages; `report` gets gaps and counts
GET  /ws/events   WebSocket: ?count=&ms= messages, one every ms
GET  /events      event stream: ?count=&ms= events, one every ms
GET  /steps       event stream: ?count= events, each but the first one for a
                  POST /step
*    /echo        the body comes back as it arrives, chunked
*    /upload      the body's length and SHA-256
GET  /download    ?bytes=N of tests/support/pattern.py; &chunked=1
GET  /status      ?code=N with an empty body; /slow ?ms= waits before the head
GET  /early       a 103 before the 200;  /trailers  a trailer after the body
GET  /short       a body that ends before its Content-Length
GET  /endless     a line every 50 ms until the visitor leaves
GET  /seen        the heads of the last requests, as they arrived
GET  /gone        how many /endless were left by their visitor
POST /forget      empties /seen and /gone
Options: --port N (default: a free one, printed as `port N`), --host ADDRESS.
"""

import argparse
import asyncio
import collections
import contextlib
import hashlib
import html
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pattern  # noqa: E402
import web_server  # noqa: E402

SEEN_MAX = 500
STEP_S = 60.0
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                    "echo_page.html")


class Echo:
    """What the service remembers between requests."""

    def __init__(self):
        self.seen = collections.deque(maxlen=SEEN_MAX)
        self.gone = 0
        self.may_step = asyncio.Semaphore(0)

    def note(self, request):
        """Keep a request's head, but not those that ask for the heads."""
        if request.path not in ("/seen", "/gone", "/forget"):
            self.seen.append({
                "method": request.method, "target": request.target,
                "path": request.path, "fields": request.fields,
                "peer_port": request.peer_port, "at": time.monotonic()})

    async def seen_heads(self, request):
        """The heads, newest last; ?path= keeps those of one path."""
        path = request.query.get("path")
        await request.reply_json(
            [s for s in self.seen if path in (None, s["path"])])

    async def gone_count(self, request):
        """How many visitors left an /endless."""
        await request.reply_json({"gone": self.gone})

    async def forget(self, request):
        """Begin anew."""
        self.seen.clear()
        self.gone = 0
        await request.reply(204)

    async def steps(self, request):
        """Server-sent events, each when it is asked for."""
        await request.start_chunked("text/event-stream")
        for number in range(request.number("count", 20)):
            if number:
                await asyncio.wait_for(self.may_step.acquire(), STEP_S)
            await request.send(f"data: {number}\n\n".encode())
        await request.finish()

    async def step(self, request):
        """Ask for the next event of /steps."""
        self.may_step.release()
        await request.reply(200, b"yes\n")

    async def endless(self, request):
        """Send until nobody listens; a visitor that leaves is counted."""
        await request.start_chunked("text/plain")
        try:
            while True:
                await request.send(b"still here\n")
                await asyncio.sleep(0.05)
        except OSError:
            self.gone += 1
            raise


async def page(request):
    """The page that tries everything a browser can."""
    with open(PAGE, "rb") as source:
        await request.reply(200, source.read(), "text/html; charset=utf-8")


async def ws_echo(request):
    """Every message comes back as it was."""
    socket = await request.websocket()
    while (message := await socket.receive()) is not None:
        await socket.send(message)


async def ws_voice(request):
    """Measure when messages arrive, as a realtime voice service would."""
    socket = await request.websocket()
    times, count_bytes = [], 0
    while (message := await socket.receive()) is not None:
        if message == "report":
            gaps = [1000 * (b - a) for a, b in zip(times, times[1:])]
            await socket.send_json({
                "messages": len(times), "bytes": count_bytes,
                "gap_ms_max": max(gaps, default=0)})
            times, count_bytes = [], 0
        else:
            times.append(time.monotonic())
            count_bytes += len(message)


async def paced(request, send):
    """Call |send| with what /events and /ws/events tell, on time."""
    start = time.monotonic()
    for number in range(request.number("count", 20)):
        due = start + number * request.number("ms", 50) / 1000
        await asyncio.sleep(max(0, due - time.monotonic()))
        await send(json.dumps({"n": number, "sent_ns": time.time_ns()}))


async def ws_events(request):
    """Paced messages, then close."""
    socket = await request.websocket()
    await paced(request, socket.send)
    await socket.receive()


async def events(request):
    """Paced server-sent events."""
    await request.start_chunked("text/event-stream",
                                [("Cache-Control", "no-store")])
    await paced(request,
                lambda text: request.send(f"data: {text}\n\n".encode()))
    await request.finish()


async def echo(request):
    """Each piece of the body goes back before the next is read."""
    request.go_on()
    await request.start_chunked("application/octet-stream")
    async for piece in request.pieces():
        await request.send(piece)
    await request.finish()


async def upload(request):
    """What came, by length and hash."""
    digest, length = hashlib.sha256(), 0
    async for piece in request.pieces():
        digest.update(piece)
        length += len(piece)
    await request.reply_json({"bytes": length, "sha256": digest.hexdigest()})


async def download(request):
    """So many bytes of the pattern."""
    length = request.number("bytes", 1024)
    chunked = "chunked" in request.query
    if chunked:
        await request.start_chunked("application/octet-stream")
    else:
        request.write_head(200, [("Content-Type", "application/octet-stream"),
                                 ("Content-Length", str(length))])
    if request.method != "HEAD":
        for piece in pattern.blocks(length):
            await request.send(piece)
    if chunked:
        await request.finish()


async def status(request):
    """Any status."""
    await request.reply(request.number("code", 200))


async def slow(request):
    """Nothing for a while, then an answer."""
    await asyncio.sleep(request.number("ms", 1000) / 1000)
    await request.reply(200, b"at last\n")


async def early(request):
    """An informational head before the final one."""
    request.write_head(103, [("Link", "</style.css>; rel=preload")])
    await request.writer.drain()
    await request.reply(200, b"after hints\n")


async def trailers(request):
    """A field after the body."""
    await request.start_chunked("text/plain", [("Trailer", "X-Sum")])
    await request.send(b"body\n")
    request.writer.write(b"0\r\nX-Sum: 5\r\n\r\n")
    await request.writer.drain()


async def short(request):
    """Promise ten bytes, send five, leave."""
    request.write_head(200, [("Content-Length", "10")])
    await request.send(b"five\n")
    raise web_server.Gone("on purpose")


async def missing(request):
    """Any other path; the page reads paths back, so it is escaped."""
    body = f"nothing at {html.escape(request.path)}\n".encode()
    await request.reply(404, body)


def make_server():
    """The service, not yet listening."""
    state = Echo()
    routes = {
        ("GET", "/"): page, ("GET", "/ws"): ws_echo,
        ("GET", "/ws/voice"): ws_voice, ("GET", "/ws/events"): ws_events,
        ("GET", "/events"): events, ("GET", "/status"): status,
        ("GET", "/steps"): state.steps, ("POST", "/step"): state.step,
        ("GET", "/slow"): slow, ("GET", "/early"): early,
        ("GET", "/trailers"): trailers, ("GET", "/short"): short,
        ("GET", "/endless"): state.endless, ("GET", "/seen"): state.seen_heads,
        ("GET", "/gone"): state.gone_count, ("POST", "/forget"): state.forget,
        ("GET", "/download"): download, ("HEAD", "/download"): download,
    }
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        routes[(method, "/echo")] = echo
        routes[(method, "/upload")] = upload
    server = web_server.WebServer(routes, missing)
    server.on_request = state.note
    return server


def main():
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="echo service for tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    with contextlib.suppress(BrokenPipeError):
        web_server.run(make_server(), options.host, options.port)


if __name__ == "__main__":
    main()
