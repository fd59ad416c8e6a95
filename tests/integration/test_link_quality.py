"""How the link is, where people look.

Goal: who shares a port sees how good the line is, and whether it is their own
uplink that makes visitors wait; the operator sees the same.
Checks: a line that is too slow one way or the other is told, with how much
waits, and that it is over; a slow visitor is no slow line; the last line of a
terminal, also while the link is away.
"""

import contextlib
import re
import threading
import time

import cutter
import pattern
import pytest
import raw_visitor
import stage as stages
import terminal as terminals
import tunnel

MB = 1000 * 1000
LATE_S = 30.0
SLOW = 2 * MB
ENDLESS = 10_000 * MB
PATIENCE_S = 3.0  # more than makes a link full
FULL = "your uplink is full"


@pytest.fixture(name="slow")
def _slow():
    """A stage whose client reaches its relay through a slow line."""
    with stages.Stage() as stage:
        with cutter.Cutter(stage.relay.port) as network:
            network.lead(stage.client)
            network.rate = SLOW
            stage.network = network
            yield stage


@contextlib.contextmanager
def busy(act):
    """Call |act| again and again from elsewhere."""
    enough = threading.Event()

    def run():
        while not enough.is_set():
            act()

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        yield
    finally:
        enough.set()
        worker.join(LATE_S)
        assert not worker.is_alive()


@contextlib.contextmanager
def downloading(stage):
    """A visitor reads a large answer, as fast as it comes."""
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask(f"/download?bytes={ENDLESS}")
        assert visitor.head().status == 200
        with busy(visitor.read):
            yield


@contextlib.contextmanager
def uploading(stage):
    """A visitor sends a large body, as fast as it goes."""
    block = next(iter(pattern.blocks(MB)))
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask("/upload", method="POST",
                    fields=[("Content-Length", str(ENDLESS))])
        with busy(lambda: visitor.send(block)):
            yield


def row(stage):
    """The one session as the operator sees it, by column."""
    head, line = stage.relay.command("sessions").stdout.split("\n")[:2]
    return dict(zip(head.split(), line.split()))


def test_who_sends_more_than_the_line_takes_is_told(slow):
    """And when it is over."""
    slow.share("narrow")
    with downloading(slow):
        told = slow.client.wait_event("link", LATE_S)
        assert told["full"] and told["waiting"] > 0 and told["rtt_ms"] > 0
        assert told["jitter_ms"] >= 0 and told["resumes"] == 0
        assert row(slow)["LINK"] == "up"
    slow.network.rate = None
    stages.eventually("word that it has room again", lambda: not slow.client
                      .events("link")[-1]["full"], LATE_S)


def test_the_operator_sees_that_a_client_takes_too_little(slow):
    """In the list of sessions and in the log."""
    slow.share("narrow")
    with uploading(slow):
        stages.eventually("a full link", lambda: row(slow)["LINK"] == "full",
                          LATE_S)
        seen = row(slow)
        assert int(seen["WAITING"]) > 0 and seen["RESUMES"] == "0"
        assert re.fullmatch(r"\d+\.\dms", seen["RTT"])
        assert re.fullmatch(r"\d+\.\dms", seen["JITTER"])
        assert " link-full session=" in slow.relay.child.errors()
        assert not slow.client.events("link")
    slow.network.rate = None
    stages.eventually("a link with room", lambda: row(slow)["LINK"] == "up"
                      and " link-free session=" in slow.relay.child.errors(),
                      LATE_S)


def test_a_visitor_that_does_not_read_fills_no_link(slow):
    """What waits for it waits for it alone."""
    slow.network.rate = None
    slow.share("idle")
    with raw_visitor.open_to(slow.url, slow.ca, receive_bytes=4096) as visitor:
        visitor.ask(f"/download?bytes={ENDLESS}")
        assert visitor.head().status == 200
        time.sleep(PATIENCE_S)
        assert not slow.client.events("link")


def test_a_terminals_last_line_says_how_the_link_is(slow):
    """Round trip, jitter, what waits, resumes; nothing of it stays behind."""
    argv = [tunnel.program("sallyport"), "http", f"127.0.0.1:{slow.serve()}",
            "--name", "seen", "--no-qr"]
    with terminals.Terminal(argv, slow.client.env) as terminal:
        def says(pattern_):
            return re.search(pattern_, terminal.lines()[-1])

        found = stages.eventually("the URL", lambda: re.search(
            r"https://\S+", "\n".join(terminal.lines())), LATE_S)
        slow.url = found[0].rstrip("/")
        stages.eventually("a measured link", lambda: says(
            r"^link: RTT \d+\.\d ms, jitter \d+\.\d ms, 0 B waiting, 0 resumed$"),
            LATE_S)
        with downloading(slow):
            stages.eventually("word of a full uplink", lambda: says(
                r"\d+ (Ki)?B waiting, 0 resumed, " + FULL + "$"), LATE_S)
        slow.network.rate = None
        stages.eventually("word that it has room again", lambda: says(
            r" 0 resumed$"), LATE_S)
        slow.network.cut()
        stages.eventually("word that it is away", lambda: says(
            r"^link: away, 0 B waiting, 0 resumed$"), LATE_S)
        slow.network.heal()
        # Both links come back, each by itself.
        stages.eventually("word that it is back", lambda: says(
            r"^link: RTT .*, [12] resumed$"), LATE_S)
        lines = terminal.lines()
        assert [line for line in lines if "link: " in line] == lines[-1:]
        assert f"! {FULL}: what is sent waits for it" in lines
        assert "! your uplink has room again" in lines
        assert not [line for line in terminal.end() if "link: " in line]
