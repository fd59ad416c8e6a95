"""Relay restarts.

Goal: an operator may restart the relay at any time, and nobody is refused.
Checks: listening sockets that are passed on (LISTEN_FDS), right and wrong ones;
what is under way ends in the old process while the new one serves, and its
client is there already; many restarts under many new connections (RESTARTS=20:
so many); without passed sockets 503 until the end; a keeper that is killed.
"""

import concurrent.futures
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import threading
import time

import calm
import children
import half_done
import passed
import pytest
import raw_visitor
import stage as stages
import tunnel

RESTARTS = int(os.environ.get("RESTARTS", "5"))
EACH_S = 0.01  # a new connection
# Between two restarts: a link that held for less than 2 s ends no outage, and
# its client takes longer to come back each time.
PAUSE_S = 2.5
# From SIGTERM on; a sanitized relay takes as long to start.
NAMES_S = 8.0 if stages.is_sanitized() else 2.0


@pytest.fixture(name="sockets")
def _sockets():
    """A stage whose relay's socket is the test's own."""
    # All visitors of a test come from one address.
    with stages.Stage(["address-rate: 10000", "address-burst: 10000",
                       "address-handshakes: 1000"]) as stage:
        stage.relay.stop()
        with passed.Sockets(stage.relay) as sockets:
            sockets.stage = stage
            stage.relay.start()
            yield sockets


@pytest.fixture(name="stopped")
def _stopped():
    """A stage whose relay does not run."""
    with stages.Stage() as stage:
        stage.relay.stop()
        yield stage


def restart(stage):
    """As `systemctl restart`: stop, and start when the process has ended."""
    old = stage.relay.child
    old.signal(signal.SIGTERM)
    assert old.wait(10) == 0
    stage.relay.start()
    return old


def relay_processes(child):
    """The keeper's relay, or what is left of it."""
    return children.descendants(child.process.pid)


def run_relay(stage, prefix, fds=()):
    """Run it to its end; the finished process."""
    return subprocess.run(
        [*prefix, tunnel.program("sallyport-relay"), "run", "--config",
         stage.relay.config], pass_fds=fds, capture_output=True, text=True,
        timeout=60, check=False)


def test_passed_sockets_are_used(sockets):
    stage = sockets.stage
    stage.share()
    assert stage.get("/status")[0] == 200
    log = stage.relay.child.errors()
    assert f"on=127.0.0.1:{stage.relay.port} " in log
    assert "socket=passed" in log and "socket=own" not in log
    assert "not-listening" not in log
    assert "socket-not-in-settings" not in log


def await_names(stage, count):
    """The client has told its URL so many times."""
    stages.eventually("the tunnel at the new relay", lambda: len(
        stage.client.events("url")) == count)


def test_what_is_under_way_ends_beside_the_next_relay(sockets):
    """The old relay finishes what it took, the new one has the names."""
    stage = sockets.stage
    url = stage.share()
    with half_done.exchange(stage) as visitor:
        old = restart(stage)
        await_names(stage, 2)
        assert stage.client.events("url")[1]["url"].rstrip("/") == url
        assert stage.get("/status")[0] == 200
        assert " relay-ended " not in old.errors()
        half_done.finish(visitor)
    stages.eventually("the old relay's end",
                      lambda: " relay-ended " in old.errors())
    assert len(stage.client.events("lost")) == 1


def test_a_client_told_to_end_finishes_what_it_left(sockets):
    """Its drain waits for the session beside, too."""
    stage = sockets.stage
    stage.share()
    with half_done.exchange(stage) as visitor:
        restart(stage)
        await_names(stage, 2)
        stage.client.child.signal(signal.SIGTERM)
        stage.client.wait_event("draining")
        half_done.finish(visitor)
    assert stage.client.child.wait(10) == 0


class Knocks:
    """A new visitor every EACH_S, and what became of each."""

    def __init__(self, stage):
        self.stage = stage
        self.statuses = []
        self.errors = []
        self._is_over = threading.Event()
        self._count = itertools.count()
        self._begin = time.monotonic()

    def lasted_s(self):
        """Since the first."""
        return time.monotonic() - self._begin

    def _knock(self):
        try:
            with raw_visitor.open_to(self.stage.url, self.stage.ca,
                                     timeout_s=30) as visitor:
                visitor.ask("/status", fields=[("Connection", "close")])
                answer = visitor.answer()
                assert answer.status != 503 or answer.field("retry-after")
                self.statuses.append(answer.status)
        except (OSError, AssertionError, raw_visitor.Cut,
                raw_visitor.Ended) as error:
            self.errors.append(repr(error))

    def _knock_on(self):
        while not self._is_over.is_set():
            due = self._begin + next(self._count) * EACH_S
            self._is_over.wait(max(0.0, due - time.monotonic()))
            self._knock()

    @contextlib.contextmanager
    def going_on(self):
        """In the background."""
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            jobs = [pool.submit(self._knock_on) for _ in range(16)]
            try:
                yield self
            finally:
                self._is_over.set()
            for job in jobs:
                job.result(60)


def test_restarts_under_many_visitors(sockets):
    """None refused or cut; the names are back in time."""
    stage = sockets.stage
    url = stage.share()
    took_s = []
    with Knocks(stage).going_on() as knocks:
        for round_ in range(RESTARTS):
            time.sleep(PAUSE_S)
            with half_done.exchange(stage) as visitor:
                begin = calm.now()
                restart(stage)
                await_names(stage, round_ + 2)
                took_s.append(calm.now() - begin)
                half_done.finish(visitor)
    print(f"{len(knocks.statuses)} visitors in {knocks.lasted_s():.1f} s, "
          f"{knocks.statuses.count(503)} of them told to come again; names "
          "back after " + " ".join(f"{one:.2f}" for one in took_s))
    assert sorted(took_s)[len(took_s) // 2] < NAMES_S
    assert knocks.errors == []
    assert set(knocks.statuses) <= {200, 503}
    assert knocks.statuses.count(200) > RESTARTS
    assert {e["url"].rstrip("/") for e in stage.client.events("url")} == {url}


def test_who_comes_before_the_client_is_back_waits_for_it(sockets):
    """And is served, instead of being told that nobody is there."""
    stage = sockets.stage
    stage.share()
    stage.client.child.signal(signal.SIGSTOP)
    try:
        restart(stage)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = [pool.submit(stage.get, "/status") for _ in range(4)]
            time.sleep(0.5)
            assert not any(answer.done() for answer in answers)
            stage.client.child.signal(signal.SIGCONT)
            assert {a.result(30)[0] for a in answers} == {200}
    finally:
        stage.client.child.signal(signal.SIGCONT)


def test_a_client_that_does_not_come_back_is_not_waited_for_long(sockets):
    """503 after half a handshake's time; at once, once it has been there."""
    stage = sockets.stage
    stage.share()
    stage.client.kill()
    restart(stage)
    begin = time.monotonic()
    assert stage.get("/status")[0] == 503
    assert time.monotonic() - begin > 4
    stage.share()
    stage.client.stop()
    begin = calm.now()
    assert stage.get("/status")[0] == 503
    assert calm.now() - begin < 4


def start_with(stage, lines=(), ports=(), names=None):
    """A relay with more settings and more sockets; its log once it is up."""
    with open(stage.relay.config, "a", encoding="utf-8") as out:
        out.write("".join(line + "\n" for line in lines))
    with passed.Sockets(stage.relay, ports, names):
        stage.relay.start()
    stages.eventually("relay",
                      lambda: " relay-up " in stage.relay.child.errors())
    return stage.relay.child.errors()


def test_sockets_win_over_the_settings(stopped):
    """Who changed only one of both finds a line about each difference."""
    port, other = children.free_port(), children.free_port()
    log = start_with(stopped, [f"redirect-listen: 127.0.0.1:{other}"], [port])
    assert log.count(" not-listening ") == 1
    assert log.count(" socket-not-in-settings ") == 1
    assert f"on=127.0.0.1:{port} for=\"visitors and clients\"" in log


@pytest.mark.parametrize("how", ["port", "name"])
def test_a_socket_for_redirects_is_known_by_port_or_name(stopped, how):
    port = children.free_port()
    lines = [f"redirect-listen: 127.0.0.1:{port}"] if how == "port" else []
    names = "web:redirect" if how == "name" else None
    start_with(stopped, lines, [port], names)
    with socket.create_connection(("127.0.0.1", port), 10) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: a.tunnel.test\r\n\r\n")
        assert visitor.recv(100).startswith(b"HTTP/1.1 308 ")


def test_wrong_sockets_are_refused_with_the_reason(stopped):
    with open(os.devnull, "rb") as none, passed.listen(0) as web:
        for words, why in (
                (passed.words([none.fileno()]), "no listening stream socket"),
                (passed.words([], count=1), "descriptor 3 is not open"),
                (passed.words([], count="many"), "LISTEN_FDS=many"),
                (passed.words([web.fileno()], names="redirect"),
                 "redirects only")):
            done = run_relay(stopped, words, [none.fileno(), web.fileno()])
            assert done.returncode == 1
            assert why in done.stderr


def test_sockets_for_another_process_are_not_ours(stopped):
    """What a parent left in the environment: the settings count."""
    with passed.listen(0) as web:
        stopped.relay.pass_fds = [web.fileno()]
        stopped.relay.prefix = passed.words([web.fileno()], pid="1")
        stopped.relay.start()
    assert "socket=own" in stages.eventually(
        "log", lambda: " relay-up " in stopped.relay.child.errors() and
        stopped.relay.child.errors())


def test_without_passed_sockets_nobody_is_refused_till_the_end(stage):
    """While one exchange goes on: 503, and when to come again."""
    stage.share()
    with half_done.exchange(stage) as busy:
        stage.relay.child.signal(signal.SIGTERM)
        stages.eventually("draining", lambda: " draining " in
                          stage.relay.child.errors())
        with raw_visitor.open_to(stage.url, stage.ca) as visitor:
            visitor.ask("/", fields=[("Sec-Fetch-Mode", "navigate")])
            answer = visitor.answer()
            assert answer.status == 503
            assert answer.field("retry-after") and answer.field("refresh")
            assert b"being restarted" in answer.body
            assert visitor.ends() == "closed"
        half_done.finish(busy)
    assert stage.relay.child.wait(10) == 0


def test_a_second_sigterm_reaches_the_relay_that_drains(sockets):
    """It is its keeper's child no more."""
    stage = sockets.stage
    stage.share()
    (relay,) = relay_processes(stage.relay.child)
    with half_done.exchange(stage) as visitor:
        old = restart(stage)
        os.kill(relay, signal.SIGTERM)
        assert visitor.ends() == "cut"
    stages.eventually("the old relay's end",
                      lambda: " relay-ended " in old.errors())


def test_a_relay_whose_keeper_is_killed_makes_room(sockets):
    """It drains by itself, and the next one can start."""
    stage = sockets.stage
    stage.share()
    stage.relay.child.signal(signal.SIGKILL)
    stage.relay.child.wait(10)
    old = stage.relay.child
    stages.eventually("room", lambda: " draining " in old.errors())
    stage.relay.start()
    stages.eventually("the tunnel at the new relay", lambda: len(
        stage.client.events("url")) == 2)
    assert stage.get("/status")[0] == 200


def test_who_comes_while_there_is_no_relay_waits_for_the_next(sockets):
    """One that was killed, keeper and all: the kernel lets visitors in."""
    stage = sockets.stage
    url = stage.share()
    stage.relay.kill()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stage.get, "/status")
        time.sleep(0.2)
        assert not answer.done()
        stage.relay.start()
        assert answer.result(30)[0] == 200
    assert stage.client.events("url")[-1]["url"].rstrip("/") == url


def test_the_keeper_tells_how_its_relay_ended(sockets):
    child = sockets.stage.relay.child
    stages.eventually("relay", lambda: " relay-up " in child.errors())
    (relay,) = relay_processes(child)
    os.kill(relay, signal.SIGKILL)
    assert child.wait(10) == 128 + signal.SIGKILL


def test_the_keeper_passes_a_reload_on(sockets):
    child = sockets.stage.relay.child
    stages.eventually("relay", lambda: " relay-up " in child.errors())
    child.signal(signal.SIGHUP)
    stages.eventually("reload", lambda: " reload " in child.errors())
    assert child.is_running()
