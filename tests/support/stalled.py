"""Visitors that ask for much and read nothing, and a service that has it.

    with BigService() as service:
        with Crowd(port, ca, "demo.tunnel.test") as crowd:
            crowd.ask(1000)
            service.wait_for(1000)
            service.go()

One thread serves all; the kernel keeps as little of a visitor's as it can be
told to, so that what is stalled is held by the relay.
"""

import select
import socket
import ssl
import threading
import time

BIG = 1 << 20
SMALL = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % BIG
ZEROS = bytes(65536)
WAIT_S = 60.0


def little(sock):
    """Let the kernel keep little for |sock|, at both its ends."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)


class BigService:
    """
    GET /big is answered with BIG zeros once go() was called; of POST /deaf
    nothing but the head is read; all else is answered with two bytes at once.
    """

    def __init__(self):
        self.big = 0  # requests for /big so far
        self.sent = 0  # bytes of their answers that the kernel took
        self._is_on = False
        self._ends = False
        self._hangs_up = False
        self._deaf = []
        self._left = {}
        self._socks = {}
        self._poll = select.epoll()
        self._listener = socket.socket()
        little(self._listener)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(4096)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        self._poll.register(self._listener, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ends = True
        self._thread.join(WAIT_S)
        for sock in self._socks.values():
            sock.close()
        self._listener.close()
        self._poll.close()

    def go(self):
        """Send what was asked for."""
        self._is_on = True

    def hang_up(self):
        """Close the connections whose requests are not read."""
        self._hangs_up = True

    def wait_for(self, count):
        """Wait until |count| requests for /big have come."""
        end = time.monotonic() + WAIT_S
        while self.big < count:
            assert time.monotonic() < end, f"{self.big} of {count} requests"
            time.sleep(0.02)

    def _run(self):
        went = False
        while not self._ends:
            if self._is_on and not went:
                went = True
                for fd in self._left:
                    self._poll.modify(fd, select.EPOLLOUT)
            while self._hangs_up and self._deaf:
                self._drop(self._deaf.pop())
            for fd, events in self._poll.poll(0.05, 64):
                if fd == self._listener.fileno():
                    self._accept()
                else:
                    try:
                        self._serve(fd, events)
                    except OSError:
                        self._drop(fd)

    def _accept(self):
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        self._socks[sock.fileno()] = sock
        self._poll.register(sock, select.EPOLLIN)

    def _drop(self, fd):
        self._left.pop(fd, None)
        sock = self._socks.pop(fd, None)
        if sock:
            sock.close()

    def _serve(self, fd, events):
        sock = self._socks[fd]
        if fd in self._left and events & select.EPOLLOUT and self._is_on:
            if self._left[fd] == BIG:
                sock.sendall(HEAD)
            sent = sock.send(ZEROS[:self._left[fd]])
            self._left[fd] -= sent
            self.sent += sent
            if self._left[fd] == 0:
                self._poll.modify(fd, select.EPOLLIN)
            return
        head = sock.recv(65536)
        if not head:
            self._drop(fd)
        elif head.startswith(b"GET /big"):
            self._left[fd] = BIG
            self._poll.modify(fd, select.EPOLLOUT if self._is_on else 0)
            self.big += 1
        elif head.startswith(b"POST /deaf"):
            self._poll.unregister(fd)
            self._deaf.append(fd)
        else:
            sock.sendall(SMALL)


def visit(port, context, name, source):
    """A visitor whose kernel keeps little for it, through its handshake."""
    raw = socket.socket()
    little(raw)
    raw.settimeout(WAIT_S)
    raw.bind((source, 0))
    raw.connect(("127.0.0.1", port))
    return context.wrap_socket(raw, server_hostname=name)


class Crowd:
    """Visitors that read nothing, from many addresses."""

    def __init__(self, port, ca, name):
        self.port, self.name = port, name
        self.context = ssl.create_default_context(cafile=ca)
        self.held = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()

    def ask(self, count, request=None):
        """|count| more of them, each with its request sent."""
        request = request or (
            f"GET /big HTTP/1.1\r\nHost: {self.name}\r\n\r\n".encode())
        for _ in range(count):
            source = f"127.0.1.{1 + len(self.held) // 100}"
            sock = visit(self.port, self.context, self.name, source)
            sock.sendall(request)
            self.held.append(sock)

    def push(self):
        """Send of endless bodies what goes now; whether anything went."""
        went = False
        for sock in self.held:
            sock.settimeout(0)
            try:
                for _ in range(4):
                    sock.send(ZEROS[:16384])
                    went = True
            except OSError:
                continue  # full, or cut off
        return went

    def leave(self):
        """All go at once."""
        for sock in self.held:
            sock.close()
        self.held.clear()
