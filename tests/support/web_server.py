"""A small HTTP/1.1 and WebSocket server for services that tests make up.

It shows what really arrived (every field as it was written, in its order),
streams both ways, and closes idle connections after 5 s as uvicorn does. It
is no model of a strict server: it trusts the programs under test to send
well-formed requests and ends the connection when they do not.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import struct
import urllib.parse

IDLE_S = 5.0
HEAD_BYTES_MAX = 128 * 1024
READ_BYTES = 256 * 1024
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Gone(Exception):
    """The other side has left, or sent what cannot be understood."""


class Request:
    """One request: its head, its body as it comes, and its response."""

    def __init__(self, head, reader, writer):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = []
        for line in filter(None, lines[1:]):
            name, _, value = line.partition(":")
            self.fields.append((name, value.strip(" ")))
        parts = urllib.parse.urlsplit(self.target)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        self.peer_port = writer.get_extra_info("peername")[1]
        self.reader = reader
        self.writer = writer
        self.keep = self.field("connection").lower() != "close"
        self.waits = self.field("expect").lower() == "100-continue"
        self.chunked_reply = False
        self._body = self._body_bytes()

    def field(self, name):
        """The value of a field, all of them joined; empty when absent."""
        return ", ".join(v for n, v in self.fields if n.lower() == name)

    def number(self, name, default):
        """A whole number of the query string."""
        return int(self.query.get(name, default))

    def go_on(self):
        """Ask for the body, once, if the other side waits to be asked."""
        if self.waits:
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.waits = False

    async def _body_bytes(self):
        self.go_on()
        if "chunked" in self.field("transfer-encoding").lower():
            while True:
                line = await self.reader.readline()
                left = int(line.split(b";")[0], 16)
                if left == 0:
                    while (await self.reader.readline()).strip():
                        pass
                    return
                async for piece in self._exactly(left):
                    yield piece
                await self.reader.readexactly(2)
        else:
            left = int(self.field("content-length") or 0)
            async for piece in self._exactly(left):
                yield piece

    async def _exactly(self, left):
        while left > 0:
            piece = await self.reader.read(min(left, READ_BYTES))
            if not piece:
                raise Gone("the body ended early")
            left -= len(piece)
            yield piece

    def pieces(self):
        """The body, piece by piece as it arrives."""
        return self._body

    async def body(self):
        """The whole body at once."""
        return b"".join([piece async for piece in self._body])

    def write_head(self, status, fields):
        """Write a response's head as it is, whatever the status."""
        lines = [f"HTTP/1.1 {status} test"]
        lines += [f"{name}: {value}" for name, value in fields]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    async def reply(self, status, body=b"", content_type="text/plain",
                    fields=()):
        """Answer with a body whose length is known."""
        head = [("Content-Type", content_type)]
        if status not in (204, 304):
            head.append(("Content-Length", str(len(body))))
        self.write_head(status, head + list(fields))
        if self.method != "HEAD":
            self.writer.write(body)
        await self.writer.drain()

    async def reply_json(self, value, status=200):
        """Answer with JSON."""
        body = json.dumps(value).encode()
        await self.reply(status, body, "application/json")

    async def start_chunked(self, content_type, fields=()):
        """Begin an answer of unknown length; send() and finish() follow."""
        self.chunked_reply = True
        self.write_head(200, [("Content-Type", content_type),
                              ("Transfer-Encoding", "chunked"), *fields])
        await self.writer.drain()

    async def send(self, data):
        """Send a piece of the answer now."""
        if self.chunked_reply:
            self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.writer.write(data)
        await self.writer.drain()

    async def finish(self):
        """End an answer of unknown length."""
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def websocket(self):
        """Accept the upgrade; the connection is a WebSocket from here on."""
        key = self.field("sec-websocket-key") + WEBSOCKET_GUID
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.write_head(101, [("Upgrade", "websocket"),
                              ("Connection", "Upgrade"),
                              ("Sec-WebSocket-Accept", accept)])
        await self.writer.drain()
        self.keep = False
        return WebSocket(self.reader, self.writer)


class WebSocket:
    """The service's end of a WebSocket: RFC 6455 without extensions."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def _frame(self):
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            length, = struct.unpack("!H", await self.reader.readexactly(2))
        elif length == 127:
            length, = struct.unpack("!Q", await self.reader.readexactly(8))
        if not second & 0x80 or first & 0x70 or length > MESSAGE_BYTES_MAX:
            raise Gone("a frame that a browser would not send")
        mask = await self.reader.readexactly(4)
        data = await self.reader.readexactly(length)
        key = int.from_bytes((mask * (length // 4 + 1))[:length], "big")
        clear = int.from_bytes(data, "big") ^ key
        return first & 0x80, first & 0x0F, clear.to_bytes(length, "big")

    async def receive(self):
        """The next message: str or bytes; None once the peer has closed."""
        kind, message = 0, b""
        while True:
            final, opcode, data = await self._frame()
            if opcode == 8:
                await self._send(8, data[:2])
                return None
            if opcode == 9:
                await self._send(10, data)
                continue
            if opcode == 10:
                continue
            kind = opcode or kind
            message += data
            if len(message) > MESSAGE_BYTES_MAX:
                raise Gone("a message too long")
            if final:
                return message.decode() if kind == 1 else message

    async def _send(self, opcode, data):
        head = bytes([0x80 | opcode])
        if len(data) < 126:
            head += bytes([len(data)])
        elif len(data) < 65536:
            head += struct.pack("!BH", 126, len(data))
        else:
            head += struct.pack("!BQ", 127, len(data))
        self.writer.write(head + data)
        await self.writer.drain()

    async def send(self, message):
        """Send a message: text for str, binary for bytes."""
        if isinstance(message, str):
            await self._send(1, message.encode())
        else:
            await self._send(2, message)

    async def send_json(self, value):
        """Send a value as a JSON text message."""
        await self.send(json.dumps(value))


class WebServer:
    """Routes requests to coroutines; one instance is one listening port."""

    def __init__(self, routes, fallback, idle_s=IDLE_S):
        self.routes = routes
        self.fallback = fallback
        self.idle_s = idle_s
        self.on_request = None

    async def _connection(self, reader, writer):
        try:
            while await self._exchange(reader, writer):
                pass
        except (Gone, OSError, asyncio.IncompleteReadError, ValueError,
                asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, reader, writer):
        try:
            first = await asyncio.wait_for(reader.read(1), self.idle_s)
        except asyncio.TimeoutError:
            return False
        if not first:
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        request = Request(head, reader, writer)
        if self.on_request:
            self.on_request(request)
        handler = self.routes.get((request.method, request.path),
                                  self.fallback)
        await handler(request)
        if request.keep:
            async for _ in request.pieces():
                pass
        return request.keep

    async def serve(self, host, port, on_ready):
        """Serve until cancelled; |on_ready| is told the port."""
        server = await asyncio.start_server(
            self._connection, host, port, limit=HEAD_BYTES_MAX)
        on_ready(server.sockets[0].getsockname()[1])
        async with server:
            await server.serve_forever()


def run(server, host="127.0.0.1", port=0):
    """Serve, say `port N` on stdout, and end quietly on a signal."""
    def ready(number):
        print(f"port {number}", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(host, port, ready))
