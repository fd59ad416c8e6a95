"""A clock for the bounds of tests, which stands nearly still while it must.

What a test calls slow must have been slow by itself. While some process of
this machine waits for a core, whoever is waited for may be that process, and
so this time counts for a tenth only: a bound holds on a machine that does much
else, and means what it says on one that does not. Where the kernel does not
tell, it is the time of the clock on the wall.
"""

import contextlib
import os
import time

PRESSURE = "/proc/pressure/cpu"
SHARE = 0.1


def waited_s():
    """How long some process has waited for a core, since the machine began."""
    try:
        with open(PRESSURE, encoding="ascii") as lines:
            return int(lines.readline().split("total=")[1]) / 1e6
    except OSError:
        return 0.0


def stolen_s():
    """Seconds of its cores that the machine below has given to others."""
    with open("/proc/stat", encoding="ascii") as stat:
        return int(stat.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def now():
    """Seconds; only differences mean something."""
    return time.monotonic() - (1 - SHARE) * waited_s()


def _threads(pid):
    try:
        return [int(thread) for thread in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


@contextlib.contextmanager
def preferred(pids):
    """
    While this lasts, these processes and our own run before all ordinary ones
    of the machine, if we may say so: what is measured is then their own.
    """
    threads = [t for pid in [os.getpid(), *pids] for t in _threads(pid)]
    first = os.sched_param(os.sched_get_priority_min(os.SCHED_FIFO))
    changed = []
    try:
        for thread in threads:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(thread, os.SCHED_FIFO, first)
                changed.append(thread)
        yield
    finally:
        for thread in changed:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(thread, os.SCHED_OTHER,
                                      os.sched_param(0))
