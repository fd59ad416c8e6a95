"""System calls and allocations of our programs that fail when told to.

    faults = Faults(folder)
    relay.prefix = faults.prefix
    faults.arm("write", "ENOSPC", on="files", skip=2)
    ...
    faults.disarm(); faults.failed

tests/faults/preload.c is compiled when first wanted, loaded into the program
by LD_PRELOAD, and follows orders through a file both have in memory.
"""

import errno
import functools
import mmap
import os
import struct
import subprocess

import preload
import tunnel

CALLS = ("none", "read", "write", "accept", "connect", "socket", "open",
         "fsync", "alloc")
TARGETS = ("sockets", "files", "ours", "all")
ORDERS = struct.Struct("=9I")
EVER = 2 ** 32 - 1
# The C++ runtime's, for exceptions that nobody throws.
HELD_AT_END = 1


@functools.lru_cache(maxsize=2)
def tls_code(name):
    """Where BoringSSL's code that allocates lies in a program of ours."""
    done = subprocess.run(
        ["nm", "-S", "--defined-only", tunnel.program(name)], check=True,
        capture_output=True, text=True)
    symbols = [line.split() for line in done.stdout.split("\n")]
    code = [(int(words[0], 16), int(words[1], 16), words[3])
            for words in symbols if len(words) == 4 and words[2] in "tT"]
    # Linked behind all that is ours; what the compiler moved to the front as
    # unlikely does not allocate.
    ours = max(at for at, _, symbol in code
               if symbol in ("chunk_new", "conn_new", "session_new"))
    theirs = [(at, at + size) for at, size, symbol in code if at > ours and
              symbol.startswith(("OPENSSL_", "CRYPTO_", "ERR_", "_Z"))]
    return min(theirs)[0], max(end for _, end in theirs)


class Faults:
    """The orders for one program."""

    def __init__(self, folder, program="sallyport-relay"):
        path = os.path.join(folder, program + ".faults")
        with open(path, "wb") as out:
            out.write(bytes(ORDERS.size))
        begin, end = tls_code(program)
        with open(path, "r+b") as shared:
            self._memory = mmap.mmap(shared.fileno(), ORDERS.size)
        library = preload.library("faults/preload.c")
        self.prefix = ["env", f"LD_PRELOAD={library}", f"FAULTS={path}",
                       f"FAULTS_TLS={begin:x}-{end:x}"]

    def _get(self):
        return ORDERS.unpack(self._memory[:ORDERS.size])

    def arm(self, call, error, on="sockets", skip=0, count=1, every=1):
        """
        After |skip| calls, of the next |count| every |every|th fails with
        |error| (its name; "short": half is moved).
        """
        self.disarm()
        number = 0 if error == "short" else getattr(errno, error)
        self._memory[4:32] = struct.pack(
            "=7I", TARGETS.index(on), number, skip, count, every,
            0, 0)
        self._memory[:4] = struct.pack("=I", CALLS.index(call))

    def disarm(self):
        """All is passed on from here."""
        self._memory[:4] = bytes(4)

    @property
    def seen(self):
        """How often the call was made since arm()."""
        return self._get()[6]

    @property
    def failed(self):
        """How often it failed since arm()."""
        return self._get()[7]

    @property
    def held(self):
        """Allocations that the program holds; HELD_AT_END after its end."""
        return self._get()[8]
