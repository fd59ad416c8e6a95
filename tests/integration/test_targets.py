"""What can be shared: ports, addresses, https services.

Goal: `sallyport http TARGET` reaches the service whatever it listens on, and
an https service only when its certificate is the right one.
Checks: a port on 127.0.0.1 or on [::1], names of this machine, https with a
CA, with none and with a wrong name, what a visitor sees, the warning for a
service that asks for no login.
"""

import http.server
import os
import socket
import ssl
import threading

import pytest
import stage as stages
from test_certificates import make

CONFIG = b'{"features": {"auth": false}}'


class Service(http.server.ThreadingHTTPServer):
    """A page on an address of choice, over TLS when |pair| is given."""

    daemon_threads = True

    def __init__(self, address, pair=None):
        self.address_family = \
            socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Page)
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, args=(0.05,),
                         daemon=True).start()

    @property
    def port(self):
        """Where it listens."""
        return self.server_address[1]

    def handle_error(self, *_):
        """A visitor of TLS that gives up is no trouble."""


class Page(http.server.BaseHTTPRequestHandler):
    """Answers everything."""

    def do_GET(self):  # pylint: disable=invalid-name
        """The page, or an Open WebUI's word that it needs no login."""
        body = CONFIG if self.path == "/api/config" else b"here"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        """Quiet."""


@pytest.fixture(name="serve")
def services():
    """Start services; they end with the test."""
    started = []

    def start(address, pair=None):
        started.append(Service(address, pair))
        return started[-1].port

    yield start
    for service in started:
        service.shutdown()
        service.server_close()


@pytest.fixture(name="pair")
def certificate_for_localhost(tmp_path):
    """A certificate for localhost."""
    return make(str(tmp_path), "service", ("localhost",))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_is_found_on_either_loopback(stage, serve, address):
    """Vite listens on [::1] alone."""
    if address == "::1":
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("this machine has no [::1]")
    url = stage.client.http(str(serve(address)), name="either")
    assert stage.get("/", url) == (200, b"here")


@pytest.mark.parametrize("target", ["localhost:{}", "127.0.0.1:{}",
                                    "http://localhost:{}",
                                    "http://127.0.0.1:{}/"])
def test_a_target_may_be_written_in_many_ways(stage, serve, target):
    """All of them are the same service."""
    url = stage.client.http(target.format(serve("127.0.0.1")), name="ways")
    assert stage.get("/", url) == (200, b"here")


def test_an_open_service_is_warned_of(stage, serve):
    """Whoever has the URL would be its administrator: said on the screen."""
    stage.client.http(str(serve("127.0.0.1")), name="open")
    assert "administrator" in stage.client.wait_event("no-login")["text"]


def test_an_https_service_with_its_ca(stage, serve, pair):
    """Checked against the file."""
    url = stage.client.http(f"https://localhost:{serve('127.0.0.1', pair)}",
                            name="tls", options=["--target-ca", pair[0]])
    assert stage.get("/", url) == (200, b"here")


def test_an_https_service_unchecked(stage, serve, pair):
    """When the developer says so."""
    url = stage.client.http(f"https://localhost:{serve('127.0.0.1', pair)}",
                            name="tls", options=["--insecure-target"])
    assert stage.get("/", url) == (200, b"here")


def test_an_https_service_that_nobody_vouches_for(stage, serve, pair):
    """502 instead of a service that might be another's."""
    url = stage.client.http(f"https://localhost:{serve('127.0.0.1', pair)}",
                            name="tls")
    status, body = stage.get("/", url)
    assert status == 502 and b"here" not in body


def test_an_https_service_under_a_wrong_name(stage, serve, pair):
    """Its certificate is for localhost, not for 127.0.0.1."""
    url = stage.client.http(f"https://127.0.0.1:{serve('127.0.0.1', pair)}",
                            name="tls", options=["--target-ca", pair[0]])
    assert stage.get("/", url)[0] == 502


def test_a_ca_file_that_is_none(stage, tmp_path):
    """A usage error that names the file's setting."""
    path = os.path.join(tmp_path, "ca.pem")
    with open(path, "w", encoding="ascii") as out:
        out.write("hello\n")
    done = stage.client.command("http", "https://localhost:1",
                                "--target-ca", path)
    assert done.returncode == 2 and "target-ca" in done.stderr


def test_the_lines_for_people(stage):
    """Without --json: the URL, then a line a request, no query in it."""
    port = stage.serve()
    child = stages.children.Child(
        "plain", [stages.tunnel.program("sallyport"), "http", str(port),
                  "--name", "plain"], stage.folder, env=stage.client.env)
    try:
        text = child.wait_for("URL", lambda: "https://plain." in
                              child.output() and child.output(), 10)
        assert f"->  http://localhost:{port}" in text
        url = text.split("https://")[1].split()[0]
        stage.get("/status?code=418&token=secret", "https://" + url)
        text = child.wait_for("request", lambda: "/status" in
                              child.output() and child.output(), 10)
        line = text.strip().split("\n")[-1]
        assert "418" in line and "GET" in line and "ms" in line
        assert "secret" not in text and "\033" not in text
    finally:
        child.stop()
