"""Hostile heads: every case of tests/vectors through relay and client.

Goal: no bytes of a visitor or of a service make the two ends of the tunnel
disagree about where a message ends, whose it is, or who asked for it.
Checks: for each case the visitor's answer and the exact bytes that reached
the service, sent whole and one byte at a time.
"""

import shutil
import tempfile

import hostile
import pytest
import vectors


@pytest.fixture(name="house", scope="module")
def _house():
    folder = tempfile.mkdtemp(prefix="sp-", dir="/tmp")
    try:
        with hostile.House(folder) as house:
            yield house
        assert house.unexplained() == [], "at the service, and nobody's"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("is_bytewise", [False, True],
                         ids=["whole", "bytewise"])
@pytest.mark.parametrize("table", vectors.tables())
def test_hostile(house, table, is_bytewise):
    """All cases of a table at once; every one that went wrong is told."""
    cases = vectors.tables()[table]
    wrong = house.run(cases, is_bytewise)
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
