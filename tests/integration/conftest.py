"""What the integration tests share: where their support is, and stages.

`shared` is one relay with one client and the echo service for all tests that
leave them as they were; `stage` is a relay of the test's own.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "support"))
import children  # noqa: E402
import odd_service  # noqa: E402
import stage as stages  # noqa: E402

children.end_with_us()


@pytest.fixture(name="shared", scope="session")
def shared_stage():
    """One running house for all who do not break it."""
    with stages.Stage() as house:
        house.share(name="shared")
        yield house


@pytest.fixture(name="stage")
def own_stage():
    """A relay for one test; clients and service on demand."""
    with stages.Stage() as house:
        yield house


@pytest.fixture(name="odd_url", scope="session")
def shared_odd_url(shared):
    """The public URL of the service that does what it is told."""
    service = odd_service.OddService()
    client = shared.enrol("odd")
    service.url = client.http(f"127.0.0.1:{service.port}", name="odd",
                              options=["--no-probe"])
    yield service
    service.stop()


@pytest.fixture(name="odd")
def odd_service_checked(odd_url):
    """The odd service; what its script found wrong fails the test."""
    yield odd_url
    odd_url.check()
