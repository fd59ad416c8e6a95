"""Memory that runs out, one allocation after the other, in both programs.

Goal: a request or a start fails, visibly, or goes well; the program lives on,
what comes next goes well, and at the end nothing is held.
Checks: allocations of ours in an exchange, in the relay's BoringSSL's too; in
a start, a login and a reconnect.
FAULTS_ALL=1: every one; else a sample.
Not for sanitized builds: there the unit tests let allocations fail.
"""

import os
import subprocess

import children
import faults
import pytest
import stage as stages
import tunnel
from fault_house import BACK_S, FaultHouse

ALL = os.environ.get("FAULTS_ALL") == "1"
CALLS_MAX = 2000
pytestmark = pytest.mark.skipif(
    stages.is_sanitized(), reason="a sanitizer's malloc() cannot be replaced")


@pytest.fixture(name="house", scope="module")
def house_of_faults():
    """One for all: what a fault leaves behind meets the next."""
    with FaultHouse() as house:
        yield house


def each(orders, on, stride):
    """Arm for the first allocation, the second, ... till none is left."""
    for skip in range(0, CALLS_MAX, 1 if ALL else stride):
        orders.arm("alloc", "ENOMEM", on=on, skip=skip)
        yield skip
        if orders.failed == 0:
            orders.disarm()
            assert skip > 5
            return
        orders.disarm()
    pytest.fail("there is no end of allocations")


@pytest.mark.parametrize("who,on,stride", [
    ("relay", "ours", 5), ("client", "ours", 5), ("relay", "all", 37)])
def test_an_exchange_without_memory(house, who, on, stride):
    """Right bodies or none, and right ones right after."""
    for _ in each(house.orders[who], on, stride):
        house.exchange()
        house.orders[who].disarm()
        stages.eventually("service again", house.exchange, BACK_S)


@pytest.mark.parametrize("who", ["relay", "client"])
def test_a_reconnect_without_memory(house, who):
    """The client comes back whatever is missing while it does."""
    client = house.stage.client
    # One that has not lost its link yet comes back sooner.
    client.stop()
    stages.check_sound(client.child)
    house.stage.share("faults", ["--no-probe"])
    for _ in each(house.orders[who], "ours", 11):
        count = len(client.events("up"))
        # The relay may be without memory for the command as well.
        stages.eventually("kick", lambda: house.stage.relay.command(
            "kick", "faults").returncode == 0, BACK_S)
        stages.eventually("link again", lambda n=count:
                          len(client.events("up")) > n, BACK_S)
        stages.eventually("service again", house.exchange, BACK_S)


def test_a_relay_that_starts_without_memory(tmp_path):
    """It runs, or ends with 1 and a sentence; the next start goes well."""
    relay = tunnel.Relay(str(tmp_path))
    orders = faults.Faults(str(tmp_path), "sallyport-relay")
    with relay:
        pass
    relay.prefix = orders.prefix
    for _ in each(orders, "ours", 2):
        try:
            relay.start()
            relay.stop()
            assert relay.child.process.returncode == 0
        except children.Died:
            assert relay.child.wait(BACK_S) in (1, 2)
            assert "memory" in relay.child.errors() or \
                "no event loop" in relay.child.errors()
        assert orders.held <= faults.HELD_AT_END


def test_a_login_without_memory(stage):
    """It is done, or ends with 1 and a sentence and can be done again."""
    invitation = stage.relay.invite("many", "--uses", "1000")
    orders = faults.Faults(stage.folder, "sallyport")
    for skip in each(orders, "ours", 2):
        client = tunnel.Client(stage.relay, stage.folder, f"small-{skip}")
        words = [tunnel.program("sallyport"), "login"]
        done = subprocess.run(
            [*orders.prefix, *words], input=invitation + "\n", env=client.env,
            capture_output=True, text=True, timeout=BACK_S, check=False)
        assert done.returncode in (0, 1), done.stderr
        assert done.returncode == 0 or "memory" in done.stderr
        assert orders.held <= faults.HELD_AT_END
        client.login(invitation)


def test_a_client_that_starts_without_memory(stage):
    """It shares, or ends with 1 and a sentence."""
    orders = faults.Faults(stage.folder, "sallyport")
    stage.client.prefix = orders.prefix
    for _ in each(orders, "ours", 4):
        try:
            stage.share(options=["--no-probe"])
            stage.client.stop()
            assert stage.client.child.process.returncode == 0
        except children.Died:
            assert stage.client.child.wait(BACK_S) == 1
            assert "memory" in stage.client.child.errors()
        assert orders.held <= faults.HELD_AT_END
