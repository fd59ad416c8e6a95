"""No descriptor left, and how many there may be.

Goal: a flood that takes every descriptor costs new visitors time, nobody else
anything: who is there goes on, it is said once, nothing spins, and it is over
when descriptors are free again.
Checks: the relay and the client with few descriptors; the limits they take at
start.
"""

import os
import re
import socket
import time

import pytest
import raw_visitor
import stage as stages

HARD = 64
SOFT = 24
LIMITS = ["prlimit", f"--nofile={SOFT}:{HARD}"]
CALM_S = 1.0
TELL_EACH_S = 10.0


def limits(child):
    """Soft and hard limit of |child|'s descriptors."""
    with open(f"/proc/{child.process.pid}/limits", encoding="ascii") as text:
        found = re.search(r"Max open files +(\d+) +(\d+)", text.read())
    return int(found[1]), int(found[2])


def descriptors(child):
    """How many |child| has."""
    return len(os.listdir(f"/proc/{child.process.pid}/fd"))


def cpu_s(child):
    """CPU time of |child| so far."""
    with open(f"/proc/{child.process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def knock(stage, source="127.0.0.9"):
    """A connection to the relay that says nothing."""
    return socket.create_connection(("127.0.0.1", stage.relay.port), 10,
                                    source_address=(source, 0))


@pytest.fixture(name="small")
def stage_with_few_descriptors():
    """A relay that may have HARD descriptors."""
    with stages.Stage(prefix=LIMITS) as house:
        yield house


def test_both_take_the_descriptors_they_may_have(small):
    """The soft limit is the hard one, for the relay and for the client."""
    assert limits(small.relay.child) == (HARD, HARD)
    small.client.prefix = ["prlimit", "--nofile=40:1000"]
    small.share("limits", options=["--log", "debug"])
    assert limits(small.client.child) == (1000, 1000)
    assert " descriptors limit=1000" in small.client.child.errors()


def test_a_relay_without_descriptors_keeps_whom_it_has(small):
    """
    A visitor and the link go on; the log says it once;
    CPU time stays small; with descriptors free new visitors are served.
    """
    small.share("full")
    start = time.monotonic()
    with raw_visitor.open_to(small.url, small.ca) as visitor:
        visitor.ask("/status")
        assert visitor.answer().status == 200
        strangers = [knock(small) for _ in range(HARD)]
        try:
            stages.eventually(
                "line about descriptors", lambda: " out-of-descriptors " in
                small.relay.child.errors())
            begin = cpu_s(small.relay.child)
            time.sleep(CALM_S)
            assert cpu_s(small.relay.child) - begin < CALM_S / 4
            for _ in range(3):
                visitor.ask("/status")
                assert visitor.answer().status == 200
            assert descriptors(small.relay.child) < HARD
            # The operator's commands have theirs.
            done = small.relay.command("sessions")
            assert done.returncode == 0, done.stderr
            assert "full" in done.stdout
        finally:
            for stranger in strangers:
                stranger.close()
    assert small.get("/status")[0] == 200
    said = small.relay.child.errors()
    lines = said.count(" out-of-descriptors ")
    assert 1 <= lines <= 1 + (time.monotonic() - start) / TELL_EACH_S
    assert not small.client.events("lost")
    stages.eventually("end of it", lambda: served_again(small))


def served_again(stage):
    """A visit, and whether the relay has said that the trouble is over."""
    return stage.get("/status")[0] == 200 and \
        " accepting-again " in stage.relay.child.errors()


def test_a_client_without_descriptors_keeps_its_link(stage):
    """
    Requests past its descriptors get 502 and a line each, those under way are
    answered, and later ones are served again.
    """
    stage.client.prefix = ["prlimit", "--nofile=32:32"]
    stage.share("few")
    assert stage.get("/status")[0] == 200
    visitors = [raw_visitor.open_to(stage.url, stage.ca) for _ in range(40)]
    try:
        for visitor in visitors:
            visitor.ask("/slow?ms=1000")
        statuses = [visitor.answer().status for visitor in visitors]
    finally:
        for visitor in visitors:
            visitor.close()
    assert set(statuses) == {200, 502}, statuses
    assert "too many open files" in stage.client.child.errors()
    assert stage.client.child.errors().count(" out-of-descriptors ") == 1
    assert stage.client.child.is_running()
    stages.eventually("service", lambda: stage.get("/status")[0] == 200)
    assert not stage.client.events("lost")
