"""Libraries of ours that are loaded into the real programs by LD_PRELOAD."""

import functools
import os
import subprocess
import tempfile

import tunnel

COMPILE_S = 60


@functools.lru_cache(maxsize=None)
def _compiled(source):
    folder = tempfile.TemporaryDirectory(prefix="sp-preload-", dir="/tmp")
    path = os.path.join(folder.name, "preload.so")
    subprocess.run(
        ["cc", "-std=c17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra",
         "-Werror", "-shared", "-fPIC", "-o", path,
         os.path.join(tunnel.ROOT, "tests", source), "-ldl"],
        check=True, timeout=COMPILE_S)
    return folder, path  # it goes when the folder does: when we end


def library(source):
    """The path of |source|, below tests/, compiled when first wanted."""
    return _compiled(source)[1]
