"""Relay restarts.

Goal: an operator may restart the relay at any time, and nobody is refused.
Checks: listening sockets that are passed on (LISTEN_FDS), right and wrong ones;
what is under way ends in the old process while the new one serves; without
passed sockets 503 until the end; a keeper that is killed.
"""

import contextlib
import os
import signal
import socket
import subprocess

import children
import passed
import pytest
import raw_visitor
import stage as stages
import tunnel


@pytest.fixture(name="sockets")
def _sockets():
    """A stage whose relay's socket is the test's own."""
    with stages.Stage() as stage:
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


@contextlib.contextmanager
def half_done(stage):
    """An exchange of which both halves are half done."""
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask("/echo", "POST", [("Content-Length", "10")])
        visitor.send(b"first")
        assert visitor.head().status == 200
        visitor.until(b"first")
        yield visitor


def finish(visitor):
    """The other halves, to a proper end."""
    visitor.send(b"last!")
    visitor.until(b"last!")
    visitor.until(b"0\r\n\r\n")
    assert visitor.ends() == "closed"


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


def test_what_is_under_way_ends_beside_the_next_relay(sockets):
    """The old relay finishes what it took, the new one is there already."""
    stage = sockets.stage
    stage.share()
    with half_done(stage) as visitor:
        old = restart(stage)
        stages.eventually("the next relay", lambda: " relay-up " in
                          stage.relay.child.errors())
        finish(visitor)
    stages.eventually("the old relay's end",
                      lambda: " relay-ended " in old.errors())
    stages.eventually("the tunnel at the new relay", lambda: len(
        stage.client.events("url")) == 2)
    assert stage.get("/status")[0] == 200


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
    with half_done(stage) as busy:
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
        finish(busy)
    assert stage.relay.child.wait(10) == 0


def test_a_second_sigterm_reaches_the_relay_that_drains(sockets):
    """It is its keeper's child no more."""
    stage = sockets.stage
    stage.share()
    (relay,) = relay_processes(stage.relay.child)
    with half_done(stage) as visitor:
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
