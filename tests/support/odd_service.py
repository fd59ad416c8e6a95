"""A local service that does on the wire whatever a test tells it.

    service = OddService()
    service.script = lambda peer: peer.say(b"HTTP/1.1 200 OK\r\n\r\n")

Each connection runs the script of the moment in a thread, given a Peer; the
connection is closed when the script returns. What scripts find wrong is kept
in |troubles| and raised by check().
"""

import socket
import threading
import time

READ_BYTES = 65536
WAIT_S = 10.0


class Peer:
    """The service's end of one connection."""

    def __init__(self, connection, number):
        self.socket = connection
        self.number = number
        self.pending = b""

    def say(self, data):
        """Send all of |data|."""
        self.socket.sendall(data)

    def until(self, end):
        """What comes before |end|, which is taken too."""
        while end not in self.pending:
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise EOFError(f"after {self.pending[:200]!r}")
            self.pending += data
        before, _, self.pending = self.pending.partition(end)
        return before

    def head(self):
        """A request's head as text."""
        return self.until(b"\r\n\r\n").decode("latin-1")

    def exactly(self, length):
        """So many bytes."""
        while len(self.pending) < length:
            data = self.socket.recv(READ_BYTES)
            if not data:
                raise EOFError(f"after {len(self.pending)} bytes")
            self.pending += data
        got, self.pending = self.pending[:length], self.pending[length:]
        return got

    def chunked(self):
        """A chunked body and the trailer lines after it."""
        body, trailers = b"", []
        while size := int(self.until(b"\r\n"), 16):
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        while line := self.until(b"\r\n"):
            trailers.append(line.decode("latin-1"))
        return body, trailers

    def wait_end(self):
        """Read until the other side has left; seconds that it took."""
        begin = time.monotonic()
        try:
            while self.socket.recv(READ_BYTES):
                pass
        except ConnectionError:
            pass
        return time.monotonic() - begin

    def reset(self):
        """Leave without a goodbye."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               b"\1\0\0\0\0\0\0\0")
        self.socket.close()


class OddService:
    """Listens on a port of loopback until stop()."""

    def __init__(self):
        self.script = None
        self.troubles = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(WAIT_S)
            self.connections += 1
            threading.Thread(target=self._run, daemon=True, args=(
                Peer(connection, self.connections), self.script)).start()

    def _run(self, peer, script):
        try:
            script(peer)
        except Exception as error:  # pylint: disable=broad-except
            self.troubles.append(error)
        finally:
            peer.socket.close()

    def begin(self, script):
        """Run |script| for connections from now on."""
        self.troubles.clear()
        self.connections = 0
        self.script = script

    def check(self):
        """Raise what a script has found wrong."""
        if self.troubles:
            raise self.troubles[0]

    def stop(self):
        """Listen no more."""
        # close() alone leaves a thread in accept(), and the port open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
