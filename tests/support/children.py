"""Programs that a test starts, and ends again by their own ids.

Each runs in a process group of its own, writes its output to a file, and is
ended with its group, however the test ends.
"""

import atexit
import contextlib
import os
import random
import signal
import socket
import subprocess
import time

import calm

LOCAL_PORTS = "/proc/sys/net/ipv4/ip_local_port_range"
PORTS = 65536
LOWEST_PORT = 20000  # browsers refuse some below
POLL_S = 0.02
STOP_S = 15.0

_running = []


def free_port():
    """
    A port of the loopback address that nobody uses now, and that the kernel
    gives to nobody who does not ask for it: a program that is told to listen
    there can, and can again.
    """
    with open(LOCAL_PORTS, encoding="ascii") as text:
        highest = int(text.read().split()[0])
    if highest <= LOWEST_PORT:
        highest = PORTS
    while True:
        port = random.randrange(LOWEST_PORT, highest)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def descendants(pid):
    """The ids of a process's children and theirs, whatever their group."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="latin-1") as stat:
                fields = stat.read().split(") ")[-1].split()
                parents[int(entry)] = int(fields[1])
        except OSError:
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


class Died(Exception):
    """A program ended, or did not say in time what was waited for."""


class Child:
    """One running program."""

    def __init__(self, name, argv, folder, env=None, stdin=None,
                 pass_fds=()):
        """Start |argv|; its output goes to |folder|/|name|.{out,err}."""
        self.name = name
        self.out_path = os.path.join(folder, name + ".out")
        self.err_path = os.path.join(folder, name + ".err")
        with open(self.out_path, "wb") as out, \
                open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                argv, stdin=stdin or subprocess.DEVNULL, stdout=out,
                stderr=err, env=env, start_new_session=True,
                pass_fds=pass_fds)
        _running.append(self)

    def output(self):
        """What it has written to stdout, as text."""
        with open(self.out_path, encoding="utf-8", errors="replace") as out:
            return out.read()

    def errors(self):
        """What it has written to stderr, as text."""
        with open(self.err_path, encoding="utf-8", errors="replace") as err:
            return err.read()

    def is_running(self):
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait_for(self, what, found, timeout_s):
        """Call |found| until it returns something true; return that."""
        end = calm.now() + timeout_s
        while True:
            running = self.is_running()
            value = found()
            if value:
                return value
            tail = (self.output() + self.errors())[-800:]
            if not running:
                raise Died(f"{self.name} ended with "
                           f"{self.process.returncode} before {what}:\n{tail}")
            if calm.now() > end:
                raise Died(f"{self.name}: no {what} "
                           f"within {timeout_s:g} s:\n{tail}")
            time.sleep(POLL_S)

    def wait_for_line(self, start, timeout_s):
        """Wait for a line of stdout that begins so; return what follows."""
        def found():
            lines = self.output().split("\n")[:-1]
            return next((line[len(start):].strip() for line in lines
                         if line.startswith(start)), None)

        return self.wait_for(f"a line `{start}…`", found, timeout_s)

    def wait(self, timeout_s):
        """Wait for its end; return the exit code."""
        end = calm.now() + timeout_s
        while self.is_running():
            if calm.now() > end:
                raise Died(f"{self.name} still runs after {timeout_s:g} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(POLL_S)
        return self.process.returncode

    def signal(self, number):
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def _signal_group(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def kill(self):
        """SIGKILL at once, to all that came of it (browsers change group)."""
        below = descendants(self.process.pid) if self.is_running() else []
        self._signal_group(signal.SIGKILL)
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        if self in _running:
            _running.remove(self)

    def stop(self):
        """SIGTERM, then SIGKILL to what is left of the group."""
        if self.is_running():
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                pass
        self.kill()


def running():
    """What runs now, for stop_all(keep)."""
    return list(_running)


def stop_all(keep=()):
    """End everything that still runs but |keep|, the newest first."""
    for child in reversed(running()):
        if child not in keep:
            child.stop()


def _on_signal(number, _frame):
    raise SystemExit(128 + number)


def end_with_us():
    """Make sure that nothing survives this process, killed or not."""
    atexit.register(stop_all)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _on_signal)
