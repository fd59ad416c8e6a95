"""A visitor that says exactly what a test wants, byte by byte.

    with raw_visitor.open_to(url, ca) as visitor:
        visitor.send(b"GET / HTTP/1.1\r\nHost: ...\r\n\r\n")
        answer = visitor.answer()

It reads answers strictly, and tells a connection that was closed properly
(close_notify) from one that was cut: a visitor must never take half a body
for a whole one.
"""

import socket
import ssl
import time
import urllib.parse

READ_BYTES = 65536
WAIT_S = 10.0


class Cut(Exception):
    """The connection ended without a close_notify."""


class Ended(Exception):
    """The connection was closed properly, too early for what was read."""


class TlsSocket:
    """
    TLS over a socket by memory BIOs: Python's own TLS sockets cannot end one
    direction and go on with the other.
    """

    def __init__(self, raw, context, server_name):
        self.raw = raw
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out,
                                     server_hostname=server_name)
        self._until_done(self._tls.do_handshake)

    def _flush(self):
        if self._out.pending:
            self.raw.sendall(self._out.read())

    def _until_done(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self.raw.recv(READ_BYTES)
                self._in.write(data) if data else self._in.write_eof()
            finally:
                self._flush()

    def recv(self, length):
        """Some bytes; empty at a close_notify, SSLEOFError at a bare FIN."""
        try:
            return self._until_done(lambda: self._tls.read(length))
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data):
        """All of |data|, as far as the peer reads."""
        for start in range(0, len(data), READ_BYTES):
            self._tls.write(data[start:start + READ_BYTES])
            self._flush()

    def end_sending(self, how):
        """A close_notify and FIN, or a FIN alone."""
        if how == "close_notify":
            try:
                self._tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            self._flush()
        self.raw.shutdown(socket.SHUT_WR)

    def settimeout(self, seconds):
        """How long one call may wait."""
        self.raw.settimeout(seconds)

    def setsockopt(self, *option):
        """Of the socket below."""
        self.raw.setsockopt(*option)

    def close(self):
        """Leave, without a close_notify as browsers do."""
        self.raw.close()


class Answer:
    """One response: head, body and trailers as they came."""

    def __init__(self, head):
        first, *lines = head.decode("latin-1").split("\r\n")
        self.version, status, *reason = first.split(" ", 2)
        self.status = int(status)
        self.reason = reason[0] if reason else ""
        self.fields = [parse_field(line) for line in lines]
        self.trailers = []
        self.body = b""

    def field(self, name):
        """The value of a field; None when absent, joined when repeated."""
        return join(self.fields, name)

    def all(self, name):
        """Every value of a field, in order."""
        return [v for n, v in self.fields if n.lower() == name]


def parse_field(line):
    """A header line as (name, value)."""
    name, colon, value = line.partition(":")
    assert colon and name and name.strip() == name, f"no field: {line!r}"
    return name, value.strip(" \t")


def join(fields, name):
    """The joined values of |name|, None when there is none."""
    values = [v for n, v in fields if n.lower() == name]
    return ", ".join(values) if values else None


class RawVisitor:
    """One connection, over TLS or (for redirects) plain."""

    def __init__(self, raw, host):
        self.socket = raw
        self.host = host
        self.pending = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Leave at once."""
        self.socket.close()

    def leave_by_reset(self):
        """Leave as a machine does that was switched off and on again."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def end_sending(self, how="close_notify"):
        """
        End our half and go on reading: by TLS's close_notify, or ("fin") by
        TCP alone.
        """
        self.socket.end_sending(how)

    def send(self, data):
        """All of |data|."""
        self.socket.sendall(data)

    def ask(self, target="/", method="GET", fields=(), body=b""):
        """Send a plain request with Host and, for a body, its length."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [f"{name}: {value}" for name, value in fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)

    def read(self):
        """Some bytes; empty at a proper end, Cut at any other."""
        if self.pending:
            data, self.pending = self.pending, b""
            return data
        try:
            return self.socket.recv(READ_BYTES)
        except (ssl.SSLEOFError, ConnectionError) as error:
            raise Cut(str(error)) from None

    def _more(self):
        data = self.read()
        if not data:
            raise Ended(f"after {self.pending[:200]!r}")
        return data

    def until(self, end):
        """What comes before |end|, which is taken too."""
        got = b""
        while end not in got:
            got += self._more()
        before, _, self.pending = got.partition(end)
        return before

    def exactly(self, length):
        """So many bytes."""
        got = b""
        while len(got) < length:
            got += self._more()
        self.pending = got[length:]
        return got[:length]

    def head(self):
        """The next head, informational ones too."""
        return Answer(self.until(b"\r\n\r\n"))

    def _chunked(self, answer):
        while True:
            size = int(self.until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                break
            answer.body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        while line := self.until(b"\r\n"):
            answer.trailers.append(parse_field(line.decode("latin-1")))

    def body_of(self, answer, method="GET"):
        """Read the body that follows |answer|'s head."""
        length = answer.field("content-length")
        coding = answer.field("transfer-encoding")
        assert not (length and coding), "two framings"
        if method == "HEAD" or answer.status in (204, 304):
            return answer
        if coding:
            assert coding == "chunked"
            self._chunked(answer)
        elif length is not None:
            answer.body = self.exactly(int(length))
        else:
            while data := self.read():
                answer.body += data
        return answer

    def answer(self, method="GET"):
        """The final response with its body; informational ones are passed."""
        answer = self.head()
        while 100 <= answer.status < 200 and answer.status != 101:
            answer = self.head()
        return self.body_of(answer, method)

    def ends(self, timeout_s=WAIT_S):
        """
        Wait for the end: "closed" for a proper one, "cut" for any other.
        Whatever still comes is thrown away.
        """
        end = time.monotonic() + timeout_s
        try:
            while self.read():
                assert time.monotonic() < end, "it goes on"
        except Cut:
            return "cut"
        return "closed"


def open_to(url, ca, server_name=None, timeout_s=WAIT_S, receive_bytes=None):
    """
    Connect to the relay behind |url|. |server_name| in place of the URL's
    host; |receive_bytes| for a small receive buffer.
    """
    parts = urllib.parse.urlsplit(url)
    raw = socket.socket()
    if receive_bytes:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    raw.settimeout(timeout_s)
    raw.connect(("127.0.0.1", parts.port))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context = ssl.create_default_context(cafile=ca)
    return RawVisitor(TlsSocket(raw, context, server_name or parts.hostname),
                      parts.netloc)


def open_plain(port, host, timeout_s=WAIT_S):
    """Connect without TLS."""
    return RawVisitor(socket.create_connection(("127.0.0.1", port),
                                               timeout_s), host)
