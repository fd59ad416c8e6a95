"""A disk without a byte left, under the relay's state and the machine's key.

Goal: what cannot be written is said, to whom it matters, and nothing that
worked before is lost.
Checks: invite, login and a new name on a full disk; names that are known
already; a machine's key that cannot be stored.
"""

import os
import subprocess
import tempfile

import pytest
import stage as stages
import tunnel

SIZE = "4m"


class FullDisk:
    """A small file system of its own, which can be filled and emptied."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="sp-disk-", dir="/tmp")
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700",
             "tmpfs", self.folder], capture_output=True, text=True,
            check=False)
        if mounted.returncode != 0:
            os.rmdir(self.folder)
            pytest.skip("mounting a small disk needs root: "
                        + mounted.stderr.strip())
        self.ballast = os.path.join(self.folder, "ballast")

    def fill(self):
        """Not a byte is left."""
        with open(self.ballast, "wb", buffering=0) as out:
            try:
                while out.write(b"\0" * 4096):
                    pass
            except OSError:
                pass

    def empty(self):
        """Room again."""
        os.unlink(self.ballast)

    def close(self):
        """Gone."""
        subprocess.run(["umount", "-l", self.folder], check=False)
        os.rmdir(self.folder)


@pytest.fixture(name="disk")
def a_full_disk():
    """A disk for one test."""
    disk = FullDisk()
    yield disk
    disk.close()


@pytest.fixture(name="house")
def stage_on_disk(disk):
    """A relay whose state lies on it."""
    with stages.Stage(state=f"{disk.folder}/state") as house:
        yield house


def test_a_relay_whose_disk_is_full(disk, house):
    """
    No invitation, no new machine and no new name, each with a sentence;
    names that are known go on, and with room again everything does.
    """
    house.share("known")
    invitation = house.relay.invite("late")
    disk.fill()
    done = house.relay.command("invite", "more")
    assert done.returncode == 1 and "full" in done.stderr
    late = tunnel.Client(house.relay, house.folder, "late")
    done = late.command("login", stdin=invitation)
    assert done.returncode == 1
    assert "full disk" in done.stderr
    assert "store-failed" in house.relay.child.errors()
    house.clients[0].stop()
    done = house.clients[0].command("http", "1", "--name", "unknown",
                                    "--no-probe")
    assert done.returncode == 1 and "full" in done.stdout
    assert house.share("known")
    assert house.get("/status")[0] == 200
    disk.empty()
    assert late.command("login", stdin=invitation).returncode == 0


def test_a_relay_that_cannot_begin(disk):
    """Its state folder takes no byte: the folder is named."""
    disk.fill()
    done = subprocess.run(
        [tunnel.program("sallyport-relay"), "run", "--config", "/dev/null",
         "--domain", tunnel.BASE, "--state", f"{disk.folder}/state",
         "--listen", "127.0.0.1:0", "--public-port", "1"],
        capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert disk.folder in done.stderr and "full" in done.stderr.lower() \
        or "No space left" in done.stderr


def test_a_key_that_cannot_be_stored(disk, stage):
    """The invitation stays good: nothing was sent."""
    client = tunnel.Client(stage.relay, stage.folder, "small")
    invitation = stage.relay.invite("small")
    disk.fill()
    done = client.command("login", "--state", disk.folder, stdin=invitation)
    assert done.returncode == 1
    assert "machine.key" in done.stderr and "No space left" in done.stderr
    disk.empty()
    done = client.command("login", "--state", disk.folder, stdin=invitation)
    assert done.returncode == 0, done.stderr
