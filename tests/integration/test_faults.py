"""System calls that fail, one after the other, under both programs.

Goal: whatever the kernel refuses, nobody crashes, nobody gets wrong bytes, and
the next request works.
Checks: reads, writes, accepts, connects and sockets that fail, once and again
and again, while bodies go both ways; descriptors and leaks at the end.
FAULTS_ALL=1: many more of the calls.
"""

import os

import faults
import pytest
import stage as stages
from fault_house import BACK_S, FaultHouse

ALL = os.environ.get("FAULTS_ALL") == "1"
BOTH = ("relay", "client")

# What nobody may notice.
HARMLESS = [
    *[("relay", "accept", error) for error in (
        "EAGAIN", "EINTR", "ECONNABORTED", "EMFILE", "ENFILE", "ENOBUFS")],
    ("client", "connect", "EINTR"),
    *[(who, call, error) for who in BOTH for call in ("read", "write")
      for error in ("EAGAIN", "EINTR", "short")],
]
# What may cost the request, or the link.
COSTLY = [
    *[("client", "connect", error) for error in (
        "EAGAIN", "ECONNREFUSED", "ENETUNREACH")],
    *[("client", "socket", error) for error in (
        "EMFILE", "ENFILE", "ENOBUFS")],
    *[(who, "read", error) for who in BOTH
      for error in ("ECONNRESET", "ETIMEDOUT")],
    *[(who, "write", error) for who in BOTH
      for error in ("ECONNRESET", "EPIPE", "ENETUNREACH")],
]


def skips(call):
    """How many calls go well before."""
    if call in ("read", "write"):
        return range(40) if ALL else (0, 2, 6)
    return (0, 1)


@pytest.fixture(name="house", scope="module")
def house_of_faults():
    """One for all: what a fault leaves behind meets the next."""
    with FaultHouse() as house:
        yield house


@pytest.mark.parametrize("who,call,error", HARMLESS)
def test_a_fault_that_nobody_notices(house, who, call, error):
    """Once, at several places: the bodies arrive as if nothing was."""
    orders = house.orders[who]
    for skip in skips(call):
        orders.arm(call, error, skip=skip)
        assert house.exchange(), f"after {skip}"
        assert orders.failed == 1 or skip >= orders.seen
    orders.disarm()


@pytest.mark.parametrize("who,call,error", [
    row for row in HARMLESS if row[1] in ("read", "write", "accept")])
def test_faults_again_and_again(house, who, call, error):
    """Every third call fails, for as long as it takes."""
    orders = house.orders[who]
    orders.arm(call, error, count=faults.EVER, every=3)
    assert house.exchange()
    assert orders.failed > 0
    orders.disarm()


@pytest.mark.parametrize("who,call,error", COSTLY)
def test_a_fault_that_costs_a_request(house, who, call, error):
    """It fails visibly or goes well, and what comes next goes well again."""
    orders = house.orders[who]
    for skip in skips(call):
        orders.arm(call, error, skip=skip)
        house.exchange()
        assert orders.failed == 1 or skip >= orders.seen
        orders.disarm()
        stages.eventually("service again", house.exchange, BACK_S)
