"""A laptop that sleeps.

Goal: who closes the lid and opens it again has to do nothing.
Checks: 30 s, within the grace: what is under way goes on; 10 minutes: it is
cut, and the same name is served again. By a clock that the test moves on, with
the client stopped meanwhile.
"""

import contextlib
import signal

import half_done
import pytest
import stage as stages
import tunnel
from clock import Clock

STEP_S = 5
GRACE_S = 75  # is over by then; what comes after it is one leap


@pytest.fixture(name="laptop")
def _laptop():
    """A stage whose time is the test's, with a client that shares."""
    stage = stages.Stage(settings=["address-rate: 10000",
                                   "address-burst: 10000"])
    stage.clock = Clock(stage.folder)
    stage.relay.prefix = stage.clock.prefix
    with stage:
        stage.client.prefix = stage.clock.prefix
        stage.share()
        yield stage


def said(stage, event):
    """How often the relay's log says |event|."""
    return stage.relay.child.errors().count(f" {event} ")


@contextlib.contextmanager
def asleep(stage, seconds):
    """So long the client does nothing; a stranger keeps the relay awake."""
    stage.client.child.signal(signal.SIGSTOP)
    try:
        until_s = stage.clock.ahead_s + seconds
        for gone_s in range(0, seconds, STEP_S):
            left_s = until_s - stage.clock.ahead_s
            stage.clock.advance(min(left_s, STEP_S) if gone_s < GRACE_S
                                else left_s)
            if left_s == 0:
                break
            base = f"https://{tunnel.BASE}:{stage.relay.port}"
            assert stage.get("/", url=base)[0] == 200
        yield
    finally:
        stage.client.child.signal(signal.SIGCONT)


def test_what_was_under_way_goes_on_after_30_s_of_sleep(laptop):
    with half_done.exchange(laptop) as visitor:
        with asleep(laptop, 30):
            assert said(laptop, "session-parked") == 1
        stages.eventually("the link", lambda: said(laptop, "link-resumed"), 30)
        half_done.finish(visitor, end=None)
    assert laptop.get("/status")[0] == 200
    assert len(laptop.client.events("url")) == 1


def test_the_name_is_back_after_10_minutes_of_sleep(laptop):
    """What was under way is cut when the grace is over, not when it wakes."""
    url = laptop.url
    with half_done.exchange(laptop) as visitor:
        with asleep(laptop, 600):
            assert visitor.ends() == "cut"
        stages.eventually("the URL again",
                          lambda: len(laptop.client.events("url")) == 2, 30)
    assert laptop.get("/status")[0] == 200
    assert laptop.client.events("url")[1]["url"].rstrip("/") == url
