"""Files that cannot be opened, read, written or brought to the disk.

Goal: a start, a login or a new name fails with a sentence that says what of
which file, or goes well; nothing is half done: the same works right after.
Checks: the calls of a relay's start, of `invite` and of `login` one after the
other; a name that cannot be stored while the relay runs.
FAULTS_ALL=1: every call instead of a sample.
"""

import os
import subprocess

import children
import faults
import pytest
import stage as stages
import tunnel
from fault_house import BACK_S

ALL = os.environ.get("FAULTS_ALL") == "1"
CALLS_MAX = 500
FAULTS = [("open", "EMFILE"), ("open", "EACCES"), ("read", "EIO"),
          ("write", "ENOSPC"), ("write", "EIO"), ("fsync", "EIO")]
HARMLESS = [("read", "EINTR"), ("read", "short"), ("write", "EINTR"),
            ("write", "short")]


def some(orders, call, error, stride):
    """Arm for some of the calls, till there are no more."""
    stride = 1 if ALL else stride
    # Not always the same: the two builds look at different ones.
    first = int(stages.is_sanitized()) * stride // 2
    for skip in range(first, CALLS_MAX, stride):
        orders.arm(call, error, on="files", skip=skip)
        yield skip
        has_failed = orders.failed > 0
        orders.disarm()
        if not has_failed:
            return
    pytest.fail("there is no end of calls")


def run(orders, words, **options):
    """A command under |orders|, to its end."""
    done = subprocess.run(
        [*orders.prefix, *words], capture_output=True, text=True,
        timeout=BACK_S, check=False, **options)
    assert done.returncode in (0, 1, 2), done
    assert not any(sign in done.stderr for sign in stages.BAD_SIGNS)
    assert done.returncode == 0 or "sallyport" in done.stderr
    return done


@pytest.mark.parametrize("call,error", FAULTS + HARMLESS)
def test_a_relay_that_starts(tmp_path, call, error):
    """In a new folder each time; the second start finds all it needs."""
    orders = faults.Faults(str(tmp_path), "sallyport-relay")
    for skip in some(orders, call, error, 29):
        relay = tunnel.Relay(str(tmp_path / str(skip)))
        relay.prefix = orders.prefix
        try:
            relay.start()
            relay.stop()
            assert relay.child.process.returncode == 0
        except children.Died:
            assert relay.child.wait(BACK_S) in (1, 2)
            assert str(tmp_path) in relay.child.errors()
            assert (call, error) not in HARMLESS, relay.child.errors()
        stages.check_sound(relay.child)
        relay.prefix = []
        with relay:
            pass
        assert relay.child.process.returncode == 0


@pytest.mark.parametrize("call,error", FAULTS + HARMLESS)
def test_an_invitation_and_a_login(stage, call, error):
    """What failed can be done again, with the same words."""
    operator = faults.Faults(stage.folder, "sallyport-relay")
    words = [tunnel.program("sallyport-relay"), "invite", "--config",
             stage.relay.config, "guest"]
    for _ in some(operator, call, error, 7):
        done = run(operator, words)
        assert done.returncode == 0 or (call, error) not in HARMLESS
    machine = faults.Faults(stage.folder, "sallyport")
    words = [tunnel.program("sallyport"), "login"]
    for skip in some(machine, call, error, 4):
        client = tunnel.Client(stage.relay, stage.folder, f"guest-{skip}")
        invitation = stage.relay.invite("guest")
        done = run(machine, words, input=invitation + "\n", env=client.env)
        assert done.returncode == 0 or (call, error) not in HARMLESS
        client.login(invitation)


@pytest.mark.parametrize("call,error,why", [
    ("write", "ENOSPC", "full"), ("write", "EIO", "disk"),
    ("fsync", "EIO", "disk")])
def test_a_name_that_cannot_be_stored(call, error, why):
    """Said at both ends; the next who asks gets it."""
    with stages.Stage() as house:
        house.relay.stop()
        orders = faults.Faults(house.folder, "sallyport-relay")
        house.relay.prefix = orders.prefix
        house.relay.start()
        house.client.configure()
        orders.arm(call, error, on="files", count=faults.EVER)
        done = house.client.command("http", "1", "--name", "unstored",
                                    "--no-probe")
        assert orders.failed > 0
        orders.disarm()
        assert done.returncode == 1 and why in done.stdout
        assert " store-failed " in house.relay.child.errors()
        assert why in house.relay.child.errors()
        assert house.share("unstored")
        assert house.get("/status")[0] == 200
