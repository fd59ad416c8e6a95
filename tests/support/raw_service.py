"""A local service whose every byte a test decides, and a visitor likewise.

    with RawService() as service:
        service.answers["/x"] = lambda s, head: s.sendall(b"HTTP/1.1 ...")

Each connection is a thread: it reads one head after the other and calls the
answer for its path. What arrived is kept in |heads|.
"""

import socket
import ssl
import threading

WAIT_S = 10.0


def read_head(sock, so_far=b""):
    """Bytes up to and with the blank line, and what came behind it."""
    data = so_far
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return data, b""
        data += more
    head, rest = data.split(b"\r\n\r\n", 1)
    return head + b"\r\n\r\n", rest


def read_exactly(sock, length, so_far=b""):
    """|length| bytes, or fewer at the end."""
    data = so_far
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            break
        data += more
    return data


def read_all(sock, so_far=b""):
    """Everything up to the end, and whether it was a clean one."""
    data = so_far
    try:
        while True:
            more = sock.recv(65536)
            if not more:
                return data, True
            data += more
    except (ssl.SSLError, ConnectionError):
        return data, False


class Request:
    """One head that arrived at the service."""

    def __init__(self, head, rest):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = [tuple(part.strip() for part in line.split(":", 1))
                       for line in lines[1:] if line]
        self.rest = rest

    def get(self, name):
        """The values of a field, by commas; None when there is none."""
        values = [v for n, v in self.fields if n.lower() == name]
        return ", ".join(values) if values else None


class RawService:
    """Listens on a free port of 127.0.0.1."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        self.ended = []  # paths whose connection the other side ended
        self.changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # close() alone leaves a thread in accept(), and the port open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,),
                             daemon=True).start()

    def _serve(self, sock):
        rest = b""
        with sock:
            sock.settimeout(WAIT_S * 3)
            try:
                while True:
                    head, rest = read_head(sock, rest)
                    if not head.endswith(b"\r\n\r\n"):
                        return
                    request = Request(head, rest)
                    rest = b""
                    path = request.target.split("?")[0]
                    with self.changed:
                        self.requests.append(request)
                        self.changed.notify_all()
                    answer = self.answers.get(path, not_found)
                    if answer(sock, request) == "close":
                        return
            except OSError:
                return

    def note_end(self, path):
        """An answer saw the other side end."""
        with self.changed:
            self.ended.append(path)
            self.changed.notify_all()

    def wait(self, found):
        """Wait until |found| gives something true; what it gave."""
        with self.changed:
            assert self.changed.wait_for(found, WAIT_S), "nothing came"
            return found()

    def last(self, path):
        """The newest request for |path|, once there is one."""
        def found():
            every = [r for r in self.requests if r.target.split("?")[0] == path]
            return every[-1] if every else None
        return self.wait(found)


def not_found(sock, _request):
    """The answer for a path without one."""
    sock.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


def visit(port, ca, name, alpn=("http/1.1",)):
    """A TLS connection to the relay for |name| as its server name."""
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(list(alpn))
    raw = socket.create_connection(("127.0.0.1", port), WAIT_S)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock = context.wrap_socket(raw, server_hostname=name,
                               suppress_ragged_eofs=False)
    sock.settimeout(WAIT_S)
    return sock
