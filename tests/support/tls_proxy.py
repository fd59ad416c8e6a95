"""Something in between that ends the TLS, as company networks have it.

It accepts TLS with a certificate of its own and carries the plain bytes on
over a TLS connection to the relay.
"""

import os
import re
import socket
import ssl
import subprocess
import threading

READ_BYTES = 65536
ISSUER = "Nosy Network Ltd"


def make_certificate(folder):
    """A certificate of the proxy's own; the paths of it and its key."""
    certificate = os.path.join(folder, "proxy.pem")
    key = os.path.join(folder, "proxy.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj",
         f"/O={ISSUER}/CN={ISSUER}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    return certificate, key


class TlsProxy:
    """Listens on |port| until it is left."""

    def __init__(self, folder, relay_port, alpn):
        self.relay_port = relay_port
        self._server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._server.load_cert_chain(*make_certificate(folder))
        self._client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client.check_hostname = False
        self._client.verify_mode = ssl.CERT_NONE
        self._client.set_alpn_protocols(["sallyport/1"])
        if alpn:
            self._server.set_alpn_protocols([alpn])
        self._listener = socket.create_server(("127.0.0.1", 0))
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
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,),
                             daemon=True).start()

    def _carry(self, near):
        try:
            near = self._server.wrap_socket(near, server_side=True)
            far = self._client.wrap_socket(socket.create_connection(
                ("127.0.0.1", self.relay_port), 10))
            back = threading.Thread(target=pump, args=(far, near),
                                    daemon=True)
            back.start()
            pump(near, far)
            back.join(10)
        except OSError:
            pass
        finally:
            near.close()


def pump(source, sink):
    """One direction, until either end goes."""
    try:
        while data := source.recv(READ_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except (OSError, ValueError):
        pass


def point_client_at(client, port):
    """Let the machine look for its relay at another port."""
    path = os.path.join(client.folder, "state", "sallyport", "relays")
    with open(path, encoding="ascii") as source:
        text = source.read()
    with open(path, "w", encoding="ascii") as out:
        out.write(re.sub(r"^(\S+) \d+ ", rf"\1 {port} ", text))


def invitation_to(relay, name, port):
    """An invitation by |relay| that leads through |port|."""
    done = relay.command("invite", name, "--invite-host", f"127.0.0.1:{port}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
