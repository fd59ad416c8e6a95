#!/usr/bin/python3
"""Visitors of every kind at once, and what each of them got.

    traffic.py URL CA.pem SECONDS BYTES [KIND[=COUNT]...]

URL is the echo service's; event streams and WebSockets that say something each
50 ms for so many SECONDS, downloads and uploads of so many BYTES; or KINDs of
these, of `echoes`, WebSockets whose numbers come back, of `transfers`,
downloads and uploads by turns for so many SECONDS, or of `requests`, 20 a
second on connections of their own. Prints "ready" when all of it is under way,
and at the end a line of JSON: of each kind how many there were, how many got
all of it and in its order on the connection that they began with, the longest
time between two messages (that a request took) in ms, and what was wrong. With
SIGTERM it does so at once.
"""

import asyncio
import hashlib
import json
import os
import signal
import ssl
import sys
import time
import urllib.parse

import websockets

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import children  # noqa: E402
import pattern  # noqa: E402

COUNTS = {"events": 20, "sockets": 20, "downloads": 4, "uploads": 2}
MORE_COUNTS = {"echoes": 4, "transfers": 2}
EVERY_MS = 50
READ = 256 * 1024
LAST_S = 120.0
START_S = 20.0
HOST = "127.0.0.1"


class Wrong(Exception):
    """Something else came than was sent."""


class Kind:
    """What became of the visitors of one kind."""

    def __init__(self, count):
        self.count = count
        self.whole = 0
        self.gap_ms = 0.0
        self.wrong = []
        self.begun = 0

    def report(self):
        """As JSON."""
        return {"count": self.count, "whole": self.whole,
                "gap_ms": round(self.gap_ms, 1), "wrong": self.wrong[:5]}


class Order:
    """Numbers that come, each once and in their order."""

    def __init__(self, kind):
        self.kind = kind
        self.next = 0
        self.last = None

    def note(self, text):
        """One message."""
        number = json.loads(text)["n"]
        if number != self.next:
            raise Wrong(f"{number} came instead of {self.next}")
        now = time.monotonic()
        if self.last is None:
            self.kind.begun += 1
        else:
            self.kind.gap_ms = max(self.kind.gap_ms, 1000 * (now - self.last))
        self.next, self.last = number + 1, now


class Visitors:
    """All of them; one house."""

    def __init__(self, url, ca, seconds, size, kinds):
        parts = urllib.parse.urlsplit(url)
        self.url, self.host, self.port = url, parts.hostname, parts.port
        self.trust = ssl.create_default_context(cafile=ca)
        self.seconds = seconds
        self.messages = int(seconds * 1000 / EVERY_MS)
        self.size = size
        counts = {**COUNTS, **MORE_COUNTS, "requests": self.messages}
        asked = (kind.partition("=") for kind in kinds or COUNTS)
        self.kinds = {name: Kind(int(count or counts[name]))
                      for name, _, count in asked}

    async def ask(self, head):
        """A connection with a request on it."""
        reader, writer = await asyncio.open_connection(
            HOST, self.port, ssl=self.trust, server_hostname=self.host,
            limit=READ)
        writer.write((head + f"\r\nHost: {self.host}\r\n\r\n").encode())
        return reader, writer

    async def head(self, reader):
        """The answer's fields."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        if " 200" not in lines[0]:
            raise Wrong(lines[0])
        return {name.lower(): value.strip() for name, _, value in
                (line.partition(":") for line in lines[1:] if line)}

    async def chunks(self, reader):
        """The pieces of a chunked body."""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]

    async def events(self, kind):
        """One event stream."""
        reader, writer = await self.ask(
            f"GET /events?count={self.messages}&ms={EVERY_MS} HTTP/1.1")
        await self.head(reader)
        order, text = Order(kind), b""
        async for piece in self.chunks(reader):
            *whole, text = (text + piece).split(b"\n\n")
            for event in whole:
                order.note(event.removeprefix(b"data: "))
        if order.next != self.messages:
            raise Wrong(f"it ended after {order.next}")
        writer.close()

    def socket(self, target):
        """A WebSocket to be."""
        return websockets.connect(
            self.url.replace("https", "wss", 1) + target, ssl=self.trust,
            server_hostname=self.host, host=HOST, port=self.port,
            ping_interval=None, compression=None, open_timeout=LAST_S)

    async def sockets(self, kind):
        """One WebSocket."""
        async with self.socket(
                f"/ws/events?count={self.messages}&ms={EVERY_MS}") as socket:
            order = Order(kind)
            while order.next < self.messages:
                order.note(await socket.recv())

    async def echoes(self, kind):
        """One WebSocket that says numbers, and hears them."""
        async with self.socket("/ws") as socket:
            async def say():
                begun = time.monotonic()
                for number in range(self.messages):
                    due = begun + number * EVERY_MS / 1000
                    await asyncio.sleep(max(0, due - time.monotonic()))
                    await socket.send(json.dumps({"n": number}))

            saying, order = asyncio.create_task(say()), Order(kind)
            while order.next < self.messages:
                order.note(await socket.recv())
            await saying

    async def downloads(self, kind):
        """One download."""
        reader, writer = await self.ask(
            f"GET /download?bytes={self.size} HTTP/1.1")
        await self.head(reader)
        kind.begun += 1
        digest, left = hashlib.sha256(), self.size
        while left:
            piece = await reader.read(min(left, READ))
            if not piece:
                raise Wrong(f"it ended {left} bytes early")
            digest.update(piece)
            left -= len(piece)
        if digest.hexdigest() != pattern.sha256(self.size):
            raise Wrong("another body came")
        writer.close()

    async def uploads(self, kind):
        """One upload."""
        reader, writer = await self.ask(
            f"PUT /upload HTTP/1.1\r\nContent-Length: {self.size}")
        kind.begun += 1
        for piece in pattern.blocks(self.size):
            writer.write(piece)
            await writer.drain()
        fields = await self.head(reader)
        said = json.loads(await reader.readexactly(
            int(fields["content-length"])))
        if said != {"bytes": self.size,
                    "sha256": pattern.sha256(self.size)}:
            raise Wrong(f"{said['bytes']} bytes, another body came")
        writer.close()

    async def transfers(self, kind):
        """A download, an upload, and again."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            await self.downloads(kind)
            await self.uploads(kind)

    async def requests(self, kind):
        """One request."""
        begun = time.monotonic()
        reader, writer = await self.ask("GET /status HTTP/1.1")
        await self.head(reader)
        writer.close()
        kind.gap_ms = max(kind.gap_ms, 1000 * (time.monotonic() - begun))

    async def one(self, name, number):
        """One visitor, whatever comes; requests come one after the other."""
        kind = self.kinds[name]
        try:
            if name == "requests":
                kind.begun += 1
                await asyncio.sleep(number * EVERY_MS / 1000)
            await asyncio.wait_for(getattr(self, name)(kind),
                                   self.seconds + LAST_S)
            kind.whole += 1
        except asyncio.CancelledError:
            kind.wrong.append("it had not ended")
        except Exception as error:  # pylint: disable=broad-except
            kind.wrong.append(f"{type(error).__name__}: {error}")

    async def all(self):
        """Everyone at once."""
        pattern.sha256(self.size)
        tasks = [asyncio.create_task(self.one(name, number))
                 for name, kind in self.kinds.items()
                 for number in range(kind.count)]
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, lambda: [task.cancel() for task in tasks])
        while not all(kind.begun + len(kind.wrong) >= kind.count
                      for kind in self.kinds.values()):
            await asyncio.sleep(0.02)
        print("ready", flush=True)
        await asyncio.gather(*tasks)
        print(json.dumps({name: kind.report()
                          for name, kind in self.kinds.items()}), flush=True)


def start(folder, url, ca, seconds, size, kinds=()):
    """As a program of its own; back when all of it is under way."""
    child = children.Child("traffic", [
        "/usr/bin/python3", os.path.abspath(__file__), url, ca, str(seconds),
        str(size), *kinds], folder)
    child.wait_for("ready", lambda: "ready\n" in child.output(), START_S)
    return child


def told(child):
    """The report of one that has ended."""
    return json.loads(child.output().strip().split("\n")[-1])


def show(report):
    """A report in a line."""
    return "; ".join(
        f"{kind['whole']} of {kind['count']} {name}"
        + (f", gap {kind['gap_ms']:.0f} ms" if kind["gap_ms"] else "")
        + (f" ({kind['wrong'][0]})" if kind["wrong"] else "")
        for name, kind in report.items())


def is_whole(report):
    """Whether everybody got all of it."""
    return all(kind["whole"] == kind["count"] for kind in report.values())


if __name__ == "__main__":
    asyncio.run(Visitors(sys.argv[1], sys.argv[2], float(sys.argv[3]),
                         int(sys.argv[4]), sys.argv[5:]).all())
