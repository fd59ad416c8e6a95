"""Tokens: small events, 50 ms apart, as a language model sends them.

Goal: a stream of words looks through the tunnel as it does without.
Checks: no two events come together, and the p99 of their delay is at most
5 ms over that of the direct way, which is watched at the same time; the
last one is not held back.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "support"))
import calm  # noqa: E402
import children  # noqa: E402
import pace  # noqa: E402
import tunnel  # noqa: E402

EVENTS = 200
GAP_MS = 50
MORE_MS = 5
SHORT_ANSWERS = 60


@pytest.fixture(name="ways", scope="module")
def direct_and_tunneled(tmp_path_factory):
    """The service's own URL, its public one, and the CA's file."""
    folder = str(tmp_path_factory.mktemp("tokens"))
    service = children.Child("echo", [
        "/usr/bin/python3",
        os.path.join(tunnel.ROOT, "tests", "support", "echo_service.py")],
        folder)
    try:
        port = service.wait_for_line("port ", 10)
        with tunnel.Relay(folder) as relay:
            client = tunnel.Client(relay, folder)
            client.login()
            try:
                url = client.http(f"127.0.0.1:{port}", name="tokens")
                with calm.preferred(c.process.pid for c in (
                        service, relay.child, client.child)):
                    yield f"http://127.0.0.1:{port}", url, relay.ca
            finally:
                client.stop()
    finally:
        service.stop()


@pytest.fixture(name="paces", scope="module")
def measure_once(ways):
    """Both kinds of stream on both ways, measured in one go."""
    return pace.measure(*ways, MORE_MS, EVENTS, GAP_MS)


def test_the_last_token_is_not_held_back(ways):
    """On a link that is otherwise quiet, the end leaves at once too."""
    _, url, ca = ways
    visitor = tunnel.Visitor(url, ca)
    slowest = 0
    for _ in range(SHORT_ANSWERS):
        begin = calm.now()
        visitor.request("GET", "/events?count=3&ms=10")
        visitor.getresponse().read()
        slowest = max(slowest, calm.now() - begin)
    visitor.close()
    assert slowest < 0.5


@pytest.mark.parametrize("kind", ["events", "websocket"])
def test_tokens_arrive_one_by_one(paces, kind):
    """Every event comes, and none together with another."""
    _, tunneled = paces[kind]
    assert len(tunneled.late_ms) == EVENTS
    assert tunneled.merged == 0


@pytest.mark.parametrize("kind", ["events", "websocket"])
def test_tokens_arrive_hardly_later_than_directly(paces, kind):
    """The slowest hundredth is at most 5 ms slower."""
    direct, tunneled = paces[kind]
    assert tunneled.p99_ms() <= direct.p99_ms() + MORE_MS
