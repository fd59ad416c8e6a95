"""What one address may take, and how the relay ends.

Goal: a flood from one address leaves the others alone, failed logins slow
down, and a relay that is asked to stop finishes what is under way.
Checks: connections, handshakes and rate of an address; failed logins against
a known key; SIGTERM with and without something under way; a taken port.
"""

import os
import signal
import socket
import ssl
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "support"))
import calm  # noqa: E402
import stage as stages  # noqa: E402
import tunnel  # noqa: E402
from raw_service import (RawService, read_all, read_exactly,  # noqa: E402
                         read_head, visit)

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
ASK = b"GET / HTTP/1.1\r\nHost: limits.tunnel.test\r\n\r\n"


class House:
    """A relay with |settings|, a client and a service of one answer."""

    def __init__(self, folder, *settings):
        self.folder = folder
        self.service = RawService().__enter__()
        self.service.answers["/"] = lambda s, r: s.sendall(OK)
        self.relay = tunnel.Relay(folder, settings)
        self.relay.start()
        self.client = tunnel.Client(self.relay, folder)
        self.client.login()
        self.client.http(f"127.0.0.1:{self.service.port}", name="limits",
                         options=["--no-probe"])

    def close(self):
        """End all three."""
        self.client.stop()
        self.relay.stop()
        self.service.__exit__()

    def tcp(self, source="127.0.0.9"):
        """A connection from |source|, without TLS yet."""
        return socket.create_connection(("127.0.0.1", self.relay.port), 10,
                                        source_address=(source, 0))

    def visitor(self, source="127.0.0.9"):
        """A visitor from |source|, through with its handshake."""
        context = tunnel.trust(self.relay.ca)
        return context.wrap_socket(self.tcp(source),
                                   server_hostname="limits.tunnel.test")

    def answers(self, source):
        """Whether a request from |source| is answered."""
        try:
            with self.visitor(source) as sock:
                sock.sendall(ASK)
                head, rest = read_head(sock)
                return b" 200 " in head and \
                    read_exactly(sock, 2, rest) == b"ok"
        except (OSError, ssl.SSLError):
            return False


@pytest.fixture(name="house")
def _house(tmp_path, request):
    house = House(str(tmp_path), *getattr(request, "param", ()))
    yield house
    house.close()


@pytest.mark.parametrize("house", [["address-connections: 10"]],
                         indirect=True)
def test_an_address_has_so_many_connections_and_others_theirs(house):
    """Checks: the eleventh is refused, another address is not, and leaving
    makes room again."""
    held = [house.visitor() for _ in range(10)]
    assert not house.answers("127.0.0.9")
    assert house.answers("127.0.0.10")
    for sock in held:
        sock.close()
    stages.eventually("room again", lambda: house.answers("127.0.0.9"))
    assert house.relay.child.errors().count("connection-refused") == 1


@pytest.mark.parametrize("house", [["address-handshakes: 5"]], indirect=True)
def test_an_address_has_so_many_handshakes(house):
    """Checks: five silent connections shut out a sixth, of this address."""
    silent = [house.tcp() for _ in range(5)]
    assert not house.answers("127.0.0.9")
    assert house.answers("127.0.0.10")
    for sock in silent:
        sock.close()
    stages.eventually("room again", lambda: house.answers("127.0.0.9"))


@pytest.mark.parametrize("house", [["address-rate: 1", "address-burst: 10"]],
                         indirect=True)
def test_an_address_comes_so_fast(house):
    """Checks: a burst of ten passes, then one a second."""
    start, passed = time.monotonic(), 0
    while passed < 200 and house.answers("127.0.0.9"):
        passed += 1
    assert 10 <= passed <= 11 + time.monotonic() - start
    time.sleep(1.2)
    assert house.answers("127.0.0.9")


def test_failed_logins_are_slowed_down_but_known_keys_are_heard(house):
    """Checks: after five failures the address waits; our machine does not."""
    spent = house.relay.invite("spent")
    tunnel.Client(house.relay, house.folder, "first").login(spent)
    said = []
    for i in range(8):
        stranger = tunnel.Client(house.relay, house.folder, f"stranger-{i}")
        done = stranger.command("login", stdin=spent + "\n")
        assert done.returncode != 0
        said.append(done.stdout + done.stderr)
    assert "used up or expired" in said[0]
    assert "too many failed logins" in said[-1]
    house.client.stop()
    house.client.http(f"127.0.0.1:{house.service.port}", name="limits",
                      options=["--no-probe"])
    assert house.answers("127.0.0.10")


def test_a_head_without_end_costs_the_handshakes_time_only(house):
    """Checks: silence after TCP is ended after ten seconds."""
    start, begin = time.monotonic(), calm.now()
    with house.tcp() as sock:
        sock.settimeout(30)
        read_all(sock)
    assert 9 < time.monotonic() - start
    assert calm.now() - begin < 12


def test_sigterm_lets_an_answer_finish(house):
    """Checks: what is under way arrives whole with Connection: close, idle
    visitors go at once, new ones are refused, the exit code is 0."""
    go_on = threading.Event()

    def slow(sock, _request):
        go_on.wait(10)
        sock.sendall(OK)

    house.service.answers["/slow"] = slow
    idle = visit(house.relay.port, house.relay.ca, "limits.tunnel.test")
    with visit(house.relay.port, house.relay.ca,
               "limits.tunnel.test") as sock:
        sock.sendall(ASK.replace(b"GET /", b"GET /slow"))
        house.service.last("/slow")
        house.relay.child.signal(signal.SIGTERM)
        assert read_all(idle) == (b"", True)
        with visit(house.relay.port, house.relay.ca,
                   "limits.tunnel.test") as late:
            late.sendall(ASK)
            refusal, is_clean = read_all(late)
        assert is_clean and refusal.startswith(b"HTTP/1.1 503 ")
        go_on.set()
        answer, is_clean = read_all(sock)
    assert is_clean and answer.endswith(b"ok")
    assert b"connection: close" in answer.lower()
    assert house.relay.child.wait(5) == 0


def test_a_second_sigterm_ends_at_once(house):
    """Checks: what is under way is cut."""
    house.service.answers["/never"] = lambda s, r: time.sleep(5)
    with visit(house.relay.port, house.relay.ca,
               "limits.tunnel.test") as sock:
        sock.sendall(ASK.replace(b"GET /", b"GET /never"))
        house.service.last("/never")
        begin = calm.now()
        house.relay.child.signal(signal.SIGTERM)
        time.sleep(0.2)
        house.relay.child.signal(signal.SIGTERM)
        assert house.relay.child.wait(5) == 0
        assert calm.now() - begin < 3


def test_a_taken_port_is_said_with_what_to_do(house, tmp_path):
    """Checks: exit code and sentence of a second relay on the port."""
    other = tunnel.Relay(str(tmp_path / "other"))
    with open(other.config, encoding="utf-8") as file:
        text = file.read().replace(str(other.port), str(house.relay.port))
    with open(other.config, "w", encoding="utf-8") as file:
        file.write(text)
    done = other.command("run")
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{house.relay.port}" in done.stderr
    assert "--listen" in done.stderr


def test_kick_ends_a_session_and_the_client_comes_back(house):
    """Checks: the operator's kick, and the redial after it."""
    done = house.relay.command("kick", "limits")
    assert done.returncode == 0, done.stdout + done.stderr
    stages.eventually("answer", lambda: house.answers("127.0.0.10"), 15)
