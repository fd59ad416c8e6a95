"""A network of the measurements' own.

Its routes say that everyone's congestion control is cubic: haproxy cannot be
told, and a system's BBR costs a third more on loopback. It goes away with the
last program in it. Where it cannot be had, that is said, and nothing else.
"""

import os
import subprocess
import sys

INSIDE = "BENCH_NAMESPACE"
ROUTES = "ip link set lo up" + "".join(
    f" && ip route replace local {to} dev lo proto kernel scope host "
    "src 127.0.0.1 table local congctl cubic"
    for to in ("127.0.0.0/8", "127.0.0.1"))
# A user of his own keeps his id there: sshd runs as whoever started it.
AS_ROOT = ["unshare", "--net"]
AS_USER = ["unshare", "--user", "--map-current-user", "--keep-caps", "--net"]


def enter(is_wanted):
    """
    Start this program again in such a network. Back only inside it, or where
    it is not to be had.
    """
    if not is_wanted or os.environ.get(INSIDE):
        return
    words = AS_ROOT if os.geteuid() == 0 else AS_USER
    try:
        tried = subprocess.run([*words, "sh", "-c", ROUTES],
                               capture_output=True, check=False, timeout=20)
        why = tried.stderr.decode(errors="replace").strip()
    except OSError as error:
        tried, why = None, str(error)
    if tried is None or tried.returncode != 0:
        print("left out: a network of its own, so that congestion control is "
              f"the system's for all ({why or 'refused'})"
              + ("" if os.geteuid() == 0 else "; root may make one"),
              flush=True)
        return
    os.environ[INSIDE] = "1"
    sys.stdout.flush()
    os.execvp(words[0], [*words, "sh", "-c", ROUTES + ' && exec "$@"', "sh",
                         sys.executable, *sys.argv])


def is_inside():
    """Whether congestion control is cubic for all."""
    return bool(os.environ.get(INSIDE))
