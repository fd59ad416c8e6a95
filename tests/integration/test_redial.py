"""Coming back: the relay away for a while, the client killed.

Goal: nobody has to do anything when either end disappears and returns.
Checks: the relay down for 1 s and for 5 s, killed or stopped; the client
killed while requests run; the same names each time, within 3 s.
"""

import concurrent.futures
import signal
import time

import calm
import pytest
import raw_visitor
import stage as stages
import tunnel

BACK_S = 3.0


def is_served(stage):
    """Whether the name answers."""
    try:
        return stage.get("/status")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize("how", ["kill", "stop"])
@pytest.mark.parametrize("away_s", [1, 5])
def test_the_client_is_back_within_3_s(stage, away_s, how):
    """Counted from the start of the relay, with the same names."""
    url = stage.share()
    assert is_served(stage)
    getattr(stage.relay, how)()
    stage.client.wait_event("lost")
    time.sleep(away_s)
    begin = calm.now()
    stage.relay.start()
    stages.eventually("second URL",
                      lambda: len(stage.client.events("url")) == 2, BACK_S)
    assert is_served(stage)
    assert calm.now() - begin < BACK_S
    assert stage.client.events("url")[1]["url"].rstrip("/") == url


def test_what_was_under_way_ends_visibly(stage):
    """A visitor waiting for an answer is told 502 when the killed client's
    place is taken; till then it might have been a cut link."""
    stage.share("cut")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stage.get, "/slow?ms=20000")
        stages.eventually("request at the service", lambda: b"/slow" in
                          tunnel.curl(stage.direct + "/seen?path=/slow",
                                      stage.ca))
        stage.client.kill()
        stage.share("cut")
        assert answer.result(30)[0] == 502


def test_a_body_under_way_is_cut(stage):
    """And never looks whole."""
    stage.share("cut")
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask("/endless")
        assert visitor.until(b"still here")
        stage.client.kill()
        stage.share("cut")
        assert visitor.ends() == "cut"


def test_a_killed_client_starts_again_under_its_name(stage):
    """SIGKILL, and again: served at once, though nobody said goodbye."""
    url = stage.share()
    for _ in range(3):
        stage.client.kill()
        begin = calm.now()
        assert stage.share() == url
        assert is_served(stage)
        assert calm.now() - begin < BACK_S


def test_a_client_that_stopped_answering_is_replaced(stage):
    """
    A frozen machine keeps its name's session half alive; the same key
    connecting anew gets the name at once.
    """
    url = stage.share("frozen")
    frozen = stage.client
    frozen.child.signal(signal.SIGSTOP)
    try:
        twin = stage.twin(frozen)
        assert twin.http(f"127.0.0.1:{stage.serve()}", name="frozen") == url
        assert is_served(stage)
    finally:
        frozen.child.signal(signal.SIGCONT)
    assert frozen.child.wait(10) == 3


def test_a_client_waits_for_a_relay_that_is_not_there(stage):
    """Started first: it says so once, tries on, and shares when it can."""
    client = stage.enrol()
    port = stage.serve()
    stage.relay.stop()
    client.start("http", f"127.0.0.1:{port}", "--name", "patient")
    client.wait_event("retry")
    stage.relay.start()
    stage.url = client.url(BACK_S + 1)
    assert is_served(stage)


def test_requests_after_the_return_work_on_old_visitors(stage):
    """A visitor's keep-alive connection outlives the client's absence."""
    stage.share("steady")
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.ask("/one")
        assert visitor.answer().status == 404
        stage.client.stop()
        visitor.ask("/two")
        assert visitor.answer().status == 503
        stage.share("steady")
        visitor.ask("/three")
        assert visitor.answer().body == b"nothing at /three\n"
