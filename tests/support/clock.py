"""A clock of our programs that a test moves on.

    clock = Clock(folder)
    relay.prefix = client.prefix = clock.prefix
    clock.advance(5)

tests/faults/clock.c is compiled when first wanted and loaded by LD_PRELOAD.
Programs that sleep notice when something wakes them. Steps of more than some
seconds make links believe that their PING was not answered.
"""

import functools
import mmap
import os
import struct
import subprocess
import tempfile

import tunnel


@functools.lru_cache(maxsize=1)
def library():
    """The compiled library; it goes when we end."""
    folder = tempfile.TemporaryDirectory(prefix="sp-clock-", dir="/tmp")
    path = os.path.join(folder.name, "clock.so")
    subprocess.run(
        ["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", "-o",
         path, os.path.join(tunnel.ROOT, "tests", "faults", "clock.c"),
         "-ldl"], check=True)
    return folder, path


class Clock:
    """One clock for as many programs as have its prefix."""

    def __init__(self, folder):
        path = os.path.join(folder, "clock")
        with open(path, "wb") as out:
            out.write(bytes(8))
        with open(path, "r+b") as shared:
            self._memory = mmap.mmap(shared.fileno(), 8)
        self.ahead_s = 0
        self.prefix = ["env", f"LD_PRELOAD={library()[1]}", f"CLOCK={path}"]

    def advance(self, seconds):
        """So much later it is now."""
        self.ahead_s += seconds
        self._memory[:8] = struct.pack("=Q", self.ahead_s)
