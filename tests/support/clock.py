"""A clock of our programs that a test moves on.

    clock = Clock(folder)
    relay.prefix = client.prefix = clock.prefix
    clock.advance(5)

tests/faults/clock.c is compiled when first wanted and loaded by LD_PRELOAD.
Programs that sleep notice when something wakes them. Steps of more than some
seconds make links believe that their PING was not answered.
"""

import mmap
import os
import struct

import preload


class Clock:
    """One clock for as many programs as have its prefix."""

    def __init__(self, folder):
        path = os.path.join(folder, "clock")
        with open(path, "wb") as out:
            out.write(bytes(8))
        with open(path, "r+b") as shared:
            self._memory = mmap.mmap(shared.fileno(), 8)
        self.ahead_s = 0
        library = preload.library("faults/clock.c")
        self.prefix = ["env", f"LD_PRELOAD={library}", f"CLOCK={path}"]

    def advance(self, seconds):
        """So much later it is now."""
        self.ahead_s += seconds
        self._memory[:8] = struct.pack("=Q", self.ahead_s)
