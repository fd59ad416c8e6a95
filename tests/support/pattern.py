"""Bytes that are the same on every run, for uploads and downloads.

Every 64 KiB begins with its number, so that a block lost, doubled or moved
changes the hash; the rest is one fixed block that does not compress.
"""

import functools
import hashlib
import random

BLOCK_BYTES = 64 * 1024


@functools.lru_cache(maxsize=1)
def _block():
    return random.Random(64).randbytes(BLOCK_BYTES - 8)


def blocks(length):
    """The first |length| bytes of the pattern, block by block."""
    number = 0
    while length > 0:
        piece = number.to_bytes(8, "big") + _block()
        yield piece[:length]
        length -= len(piece)
        number += 1


@functools.lru_cache(maxsize=8)
def sha256(length):
    """The hash, in hex, of the first |length| bytes of the pattern."""
    digest = hashlib.sha256()
    for piece in blocks(length):
        digest.update(piece)
    return digest.hexdigest()


def write_file(path, length):
    """Put the first |length| bytes of the pattern into a file."""
    with open(path, "wb") as out:
        for piece in blocks(length):
            out.write(piece)
