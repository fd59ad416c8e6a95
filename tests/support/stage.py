"""A relay, a client and a service in one, as most tests want them.

    with Stage() as stage:
        stage.share(name="demo")
        stage.url, stage.direct, stage.relay, stage.client

Its folder is short, because the relay keeps a socket in it, and goes with it.
Whatever it stopped must have ended well: a sanitizer's report or a failed
assertion of our programs fails the test that stops them.
"""

import functools
import hashlib
import os
import shutil
import tempfile
import time

import calm
import children
import tunnel

ECHO_S = 10.0
WAIT_S = 10.0
BAD_SIGNS = ("Sanitizer", "runtime error:", "Assertion `")


@functools.lru_cache(maxsize=1)
def is_sanitized():
    """Whether the programs were built with a sanitizer: they are slow then."""
    with open(tunnel.program("sallyport"), "rb") as binary:
        return b"__asan_init" in binary.read()


def eventually(what, found, timeout_s=WAIT_S):
    """Call |found| until it returns something true; return that."""
    end = calm.now() + timeout_s
    while not (value := found()):
        assert calm.now() < end, f"no {what} within {timeout_s:g} s"
        time.sleep(children.POLL_S)
    return value


def check_sound(child):
    """No sanitizer and no assertion spoke in |child|."""
    said = child.errors()
    assert not any(sign in said for sign in BAD_SIGNS), \
        f"{child.name}:\n{said[-6000:]}"
    assert child.process.returncode != -6, f"{child.name} aborted:\n{said}"


def start_echo(folder, port=0, name="echo"):
    """The echo service; the process and its port."""
    script = os.path.join(tunnel.ROOT, "tests", "support", "echo_service.py")
    child = children.Child(
        name, ["/usr/bin/python3", script, "--port", str(port)], folder)
    return child, int(child.wait_for_line("port ", ECHO_S))


def peak_bytes(child):
    """The most memory that |child| has used so far (VmHWM)."""
    with open(f"/proc/{child.process.pid}/status", encoding="ascii") as status:
        line = next(li for li in status if li.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


class Stage:
    """Everything one test needs; ended with it."""

    def __init__(self, settings=(), state=None, prefix=()):
        """|prefix| are words before the relay's own: limits and the like."""
        self.folder = tempfile.mkdtemp(prefix="sp-", dir="/tmp")
        self.relay = tunnel.Relay(self.folder, settings, state)
        self.relay.prefix = list(prefix)
        self.clients = []
        self.echo = None
        self.direct = self.url = None

    def __enter__(self):
        self.relay.start()
        return self

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def client(self):
        """The first client, enrolled when first asked for."""
        return self.clients[0] if self.clients else self.enrol()

    @property
    def ca(self):
        """The authority to trust."""
        return self.relay.ca

    def enrol(self, machine="machine"):
        """One more machine, logged in."""
        client = tunnel.Client(self.relay, self.folder, machine)
        client.login()
        self.clients.append(client)
        return client

    def twin(self, client, machine="twin"):
        """The same key on one more machine, as a copied home folder is."""
        other = tunnel.Client(self.relay, self.folder, machine)
        shutil.copytree(client.folder, other.folder, dirs_exist_ok=True)
        self.clients.append(other)
        return other

    def serve(self):
        """Start the echo service; its port."""
        if self.echo is None:
            self.echo, port = start_echo(self.folder)
            self.direct = f"http://127.0.0.1:{port}"
        return int(self.direct.rsplit(":", 1)[1])

    def share(self, name=None, options=()):
        """Share the echo service; its public URL."""
        self.url = self.client.http(f"127.0.0.1:{self.serve()}", name=name,
                                    options=options)
        return self.url

    def share_many(self, ports):
        """
        `sallyport start` with a tunnel for each of |ports|, named as they
        are; their URLs by name.
        """
        self.client.configure(tunnels={
            name: {"target": f"127.0.0.1:{port}", "name": name}
            for name, port in ports.items()})
        self.client.start("start")
        events = self.client.child.wait_for(
            "a URL for each", lambda: len(self.client.events("url"))
            == len(ports) and self.client.events("url"), tunnel.START_S)
        urls = [event["url"].rstrip("/") for event in events]
        return {name: next(u for u in urls if f"//{name}." in u)
                for name in ports}

    def visitor(self, timeout_s=30.0):
        """A keep-alive connection to the shared URL."""
        return tunnel.Visitor(self.url, self.ca, timeout_s)

    def get(self, target="/", url=None):
        """One GET on a connection of its own; (status, body)."""
        visitor = tunnel.Visitor(url or self.url, self.ca)
        try:
            visitor.request("GET", target)
            response = visitor.getresponse()
            return response.status, response.read()
        finally:
            visitor.close()

    def download_sha256(self, length, timeout_s=120.0):
        """The hash of a large answer of the service's."""
        visitor = self.visitor(timeout_s)
        try:
            visitor.request("GET", f"/download?bytes={length}")
            response = visitor.getresponse()
            digest = hashlib.sha256()
            while data := response.read(65536):
                digest.update(data)
            return digest.hexdigest()
        finally:
            visitor.close()

    def stop(self):
        """End everything, and look how it ended."""
        ended = [c.child for c in self.clients if c.child]
        for child in ended:
            child.stop()
        self.relay.stop()
        if self.echo:
            self.echo.stop()
        for child in [*ended, *filter(None, [self.relay.child])]:
            check_sound(child)
