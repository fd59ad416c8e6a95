"""Two networks of a test's own, joined by a line that it can bend.

    netns.enter()                       # this program runs in `far` from here
    line = netns.Line(programs, folder)
    line.set(rate=20_000_000, delay=20_000, queue=500_000, loss=1000)
    child = children.Child("x", [*line.near, "program"], folder)
    line.cut(); line.mend(); line.move(); line.counts()

What a test starts runs in `far`, where the relay and its visitors are, and
with the words |line.near| before it in `near`, the developer's machine. The
machine's own network is in neither. All of it, with every process in it, is
gone when the test is, however it ends: the kernel sees to that.
"""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys

import children

CLONE_NEWNET = 0x40000000
INSIDE = "SALLYPORT_NETNS"
TUN = "/dev/net/tun"
# The first process of new process ids: when it dies, so do all in there.
WORDS = ["unshare", "--net", "--pid", "--fork", "--kill-child",
         "--mount-proc"]
FAR = "10.77.0.1"
NEAR = "10.77.0.{}"
TRY_S = 20
ANSWER_S = 20.0
START_S = 10.0


class Unavailable(Exception):
    """It cannot be had here; why."""


class Refused(Exception):
    """The line did not do what it was told."""


def run(*words):
    """Run a program that says nothing when all is well."""
    done = subprocess.run(words, capture_output=True, text=True, check=False,
                          timeout=TRY_S)
    if done.returncode != 0:
        raise Refused(f"{' '.join(words)}: {done.stdout}{done.stderr}".strip())


def into(descriptor):
    """This thread goes to the network of an open file (setns)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def check():
    """Raise Unavailable where there are no networks to be had."""
    if os.environ.get(INSIDE):
        return
    if os.geteuid() != 0:
        raise Unavailable("networks of its own are root's to make")
    if not os.path.exists(TUN):
        raise Unavailable(f"there is no {TUN}")
    for program in ("ip", "unshare", "nsenter"):
        if not shutil.which(program):
            raise Unavailable(f"there is no program {program}")
    try:
        run(*WORDS, "ip", "link", "set", "lo", "up")
    except (Refused, OSError, subprocess.SubprocessError) as error:
        raise Unavailable(str(error)) from error


def enter():
    """
    Start this program again in networks of its own. Back only inside, or with
    Unavailable where there are none to be had.
    """
    if os.environ.get(INSIDE):
        run("ip", "link", "set", "lo", "up")
        return
    check()
    os.environ[INSIDE] = "1"
    sys.stdout.flush()
    os.execvp(WORDS[0], [*WORDS, sys.executable, *sys.argv])


class Line:
    """Both networks' devices, and what is between them."""

    def __init__(self, program, folder):
        """Start |program| (net_link); both ends have their addresses."""
        ours, theirs = socket.socketpair()
        self._control = ours
        self._control.settimeout(ANSWER_S)
        self._answers = ours.makefile("r", encoding="ascii")
        with theirs:
            self.child = children.Child("line", [program], folder,
                                        stdin=theirs)
        if self._answers.readline() != "ready\n":
            self.child.wait(START_S)
            raise Refused(self.child.errors().strip())
        self.network = f"/proc/{self.child.process.pid}/ns/net"
        self.near = ["nsenter", f"--net={self.network}"]
        self._host = 1
        run("ip", "addr", "add", FAR, "dev", "far")
        run("ip", "link", "set", "far", "up")
        run("ip", "route", "add", "10.77.0.0/24", "dev", "far")
        run(*self.near, "ip", "link", "set", "lo", "up")
        run(*self.near, "ip", "link", "set", "near", "up")
        self.move()

    @property
    def address(self):
        """Near's address now."""
        return NEAR.format(self._host)

    def move(self):
        """
        Near is somewhere else: another address, and the old one is gone, so
        that what spoke to it speaks to nobody.
        """
        if self._host > 1:
            self.leave()
        self._host += 1
        run(*self.near, "ip", "addr", "add", self.address, "dev", "near")
        run(*self.near, "ip", "route", "replace", "default", "dev", "near")

    def leave(self):
        """Near has no address any more, until it moves."""
        run(*self.near, "ip", "addr", "flush", "dev", "near")

    def _say(self, text):
        self._control.sendall(text.encode() + b"\n")
        answer = self._answers.readline().strip()
        if not answer or answer.startswith("no: "):
            raise Refused(f"{text}: {answer}\n{self.child.errors()}")
        return answer

    def set(self, lane="both", **settings):
        """
        rate (bits a second), delay (us one way), queue (bytes), loss (of a
        million packets), cut (0, 1), of a lane: up (near sends), down, both.
        """
        for what, value in settings.items():
            self._say(f"set {lane} {what} {value:d}")

    def cut(self):
        """Nothing gets through, nor does what is on the way."""
        self.set(cut=1)

    def mend(self):
        """All is as it was before the cut."""
        self.set(cut=0)

    def counts(self):
        """What each lane has counted."""
        return json.loads(self._say("counts"))

    def stop(self):
        """End it; near goes with its last program."""
        self._answers.close()
        self._control.close()
        self.child.wait(START_S)
