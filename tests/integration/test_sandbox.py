"""The processes are closed in: tried by breaking out of them.

A library loaded into the real relay and the real client (tests/preload/
escape.c) tries, from within, what somebody who took the process over would
try. What it may not do fails; what the program needs still works; and with
the sandbox off the same attempts succeed, so that it is the sandbox that
stops them.
"""

import errno
import os
import signal
import socket

import preload
import pytest

import stage as stages

WAIT_S = 20.0
DENIED = (errno.EACCES, errno.EPERM)

# Held by Landlock, in every build.
BY_LANDLOCK = ["read-secret", "write-secret", "write-outside", "make-link",
               "connect-closed", "listen", "signal-parent", "execute"]
# Held by the system call filter, which sanitizers cannot live with.
BY_FILTER = ["fork", "trace-parent", "writable-code", "make-executable",
             "raw-packets", "type-into-terminal", "new-namespace",
             "be-dumped", "own-ring"]
# What an ordinary process of any user can do: the negative control.
FREE = ["read-secret", "write-secret", "write-outside", "write-state",
        "connect-open", "connect-closed", "listen", "fork", "writable-code",
        "make-executable", "signal-parent", "be-dumped"]


class Ground:
    """Something to break out to, and the environment that names it."""

    def __init__(self, folder, monkeypatch):
        self.monkeypatch = monkeypatch
        self.secret = os.path.join(folder, "secret")
        self.outside = os.path.join(folder, "outside")
        self.someone = socket.create_server(("127.0.0.1", 0))
        os.mkdir(self.outside)
        with open(self.secret, "w", encoding="ascii") as out:
            out.write("nobody's business\n")
        self.set(LD_PRELOAD=preload.library("preload/escape.c"))
        self.set(ESCAPE_SECRET=self.secret, ESCAPE_OUTSIDE=self.outside,
                 ESCAPE_CLOSED=self.someone.getsockname()[1])

    def set(self, **names):
        """Set variables for what is started from now on."""
        for name, value in names.items():
            self.monkeypatch.setenv(name, str(value))


@pytest.fixture(name="ground")
def _ground(tmp_path, monkeypatch):
    ground = Ground(str(tmp_path), monkeypatch)
    yield ground
    ground.someone.close()


def tried(child):
    """Let the process try; {attempt: errno}."""
    def lines():
        found = dict(line.split()[1:3] for line in child.errors().split("\n")
                     if line.startswith("escape ") and line.count(" ") == 2)
        return found if "execute" in found else None

    child.signal(signal.SIGUSR2)
    found = child.wait_for("its attempts", lines, WAIT_S)
    return {name: int(number) for name, number in found.items()}


def check_closed_in(attempts):
    """Nothing that is held was let through."""
    held = BY_LANDLOCK + ([] if stages.is_sanitized() else BY_FILTER)
    assert [name for name in held if attempts[name] not in DENIED] == []
    assert attempts["write-state"] == 0


def share(house, options=()):
    """A client with its echo service, and room to try."""
    client = house.client
    client.env.update(
        ESCAPE_STATE=os.path.join(client.folder, "state", "sallyport"),
        ESCAPE_OPEN=str(house.serve()))
    house.share(name="closed", options=options)
    return client.child


def test_nobody_breaks_out_of_the_relay(ground, monkeypatch):
    with stages.Stage() as house:
        house.relay.stop()
        ground.set(ESCAPE_STATE=house.relay.state,
                   ESCAPE_OPEN=ground.someone.getsockname()[1])
        house.relay.start()
        monkeypatch.delenv("LD_PRELOAD")
        house.relay.child.wait_for(
            "its sandbox", lambda: "info sandbox " in
            house.relay.child.errors(), WAIT_S)
        attempts = tried(house.relay.child)
        check_closed_in(attempts)
        # The relay never connects to anybody.
        assert attempts["connect-open"] in DENIED
        # It still does its work.
        house.share(name="after")
        assert house.get("/")[0] == 200


@pytest.mark.usefixtures("ground")
def test_nobody_breaks_out_of_the_client():
    with stages.Stage() as house:
        attempts = tried(share(house))
        check_closed_in(attempts)
        assert attempts["connect-open"] == 0
        assert house.get("/")[0] == 200


@pytest.mark.usefixtures("ground")
def test_without_the_sandbox_the_same_attempts_succeed():
    with stages.Stage(settings=["sandbox: false"]) as house:
        child = share(house, options=["--no-sandbox"])
        child.signal(signal.SIGUSR2)
        stages.eventually("its last attempt",
                          lambda: "escape own-ring" in child.errors())
        # It became /usr/bin/true: nothing else to stop, and no report of it.
        assert child.wait(WAIT_S) == 0
        done = dict(line.split()[1:3] for line in child.errors().split("\n")
                    if line.startswith("escape "))
        assert [name for name in FREE if done[name] != "0"] == []


def test_memory_is_hidden_and_the_log_says_what_holds(stage):
    stage.share(name="said")
    said = stage.relay.child.errors()
    assert " sandbox landlock=" in said
    if not stages.is_sanitized():
        assert "syscall_filter=yes" in said
        status = os.stat(f"/proc/{stage.relay.child.process.pid}/environ")
        assert status.st_uid == 0
