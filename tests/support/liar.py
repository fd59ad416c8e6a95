"""A relay that lies, and the real client that dialled it.

    with LyingRelay(stage) as liar:
        liar.begin()                    # LOGIN, WELCOME, BIND, BOUND
        liar.peer.send(frames.open_stream(2, tunnel=7))

It has the real relay's key and a service that notes who comes; the client's
connect() calls are noted as well.
"""

import os
import socket
import threading
import time

import frames
import peer as peers
import tls_proxy

URL = b"https://demo.tunnel.test:8443"
LONG = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Service:
    """Notes every byte that reaches it; answers each connection at once."""

    def __init__(self):
        self.came = []
        self.is_deaf = False
        self.is_endless = False
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            place = [b""]
            self.came.append(place)
            threading.Thread(target=self._serve, args=(sock, place),
                             daemon=True).start()

    def _serve(self, sock, place):
        try:
            while not self.is_deaf and (data := sock.recv(65536)):
                place[0] += data
                if self.is_endless:
                    sock.sendall(LONG)
                    while True:
                        sock.sendall(bytes(65536))
                if b"\r\n\r\n" in data:
                    sock.sendall(OK)
            while self.is_deaf:
                time.sleep(0.05)
        except OSError:
            pass
        sock.close()

    def close(self):
        """No more."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


class LyingRelay:
    """The relay's place, the client of |stage| before it, and its service."""

    def __init__(self, stage, name="victim"):
        self.key = peers.relay_key(stage.relay)
        self.client = stage.enrol(name)
        self.service = Service()
        self.peer = peers.Peer()
        self.port = self.peer.listen()
        tls_proxy.point_client_at(self.client, self.port)
        self.connects = os.path.join(self.client.folder, "state",
                                     "sallyport", "connects")
        self.client.env.update(peers.seen_connects(self.connects))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop()
        self.peer.__exit__()
        self.service.close()

    def start(self, *options):
        """Start the client."""
        open(self.connects, "w", encoding="ascii").close()
        self.client.start("http", f"127.0.0.1:{self.service.port}", "--name",
                          "demo", "--no-probe", *options)

    def let_in(self, since=0, **lies):
        """WELCOME for the first LOGIN after |since|; |lies| go into it."""
        login = self.peer.wait_login(since)
        self.peer.welcome(self.key, **{
            "epoch": frames.login_epoch(login.payload), **lies})
        return login

    def begin(self, since=0, **lies):
        """Let it in and give it its name."""
        self.let_in(since, **lies)
        self.peer.wait_frame(frames.BIND, since)
        self.peer.send(frames.bound(1, URL))

    def targets(self):
        """Where the client has connected to, or tried: address and port."""
        with open(self.connects, encoding="ascii") as source:
            return set(source.read().split())
