"""What is asked of every target, and what that cost.

A block is one run of the probe against one target: rate, times, and CPU of
each process of the target from /proc. Idle connections are counted in memory.
"""

import collections
import json
import os
import subprocess

import targets

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
BULK = 10**12
PATIENCE_S = 20.0
IDLE_PATIENCE_S = 60.0
RESUMED_LEAST = 0.9

# |unit| of the rate: what CPU is divided by.
Load = collections.namedtuple("Load", "mode size connections unit")
LOADS = {
    "download": Load("get", BULK, 1, "GB"),
    "download x4": Load("get", BULK, 4, "GB"),
    "upload": Load("put", BULK, 1, "GB"),
    "upload x4": Load("put", BULK, 4, "GB"),
    "1 KB c=1": Load("get", 1024, 1, "request"),
    "1 KB c=32": Load("get", 1024, 32, "request"),
    "new": Load("new", 1024, 4, "connection"),
    "resumed": Load("again", 1024, 4, "connection"),
    "tokens": Load("tokens", 0, 50, "event"),
}
IDLE = {"idle": 2000, "socket": 1000}


class Failed(Exception):
    """A target did not do what was asked."""


def cpu_seconds(pid):
    """What |pid| and its children have used, user and system."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return sum(int(f) for f in fields[11:15]) / TICKS


def resident(pid):
    """Its memory, in bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE


def probe_argv(target, load, seconds):
    """The probe's command line."""
    return [os.path.join(targets.BIN, "bench_probe"), "127.0.0.1",
            str(target.port), target.host, load.mode, str(load.size),
            str(load.connections), f"{seconds:g}"]


def block(target, load, seconds):
    """One block of one load; its figures."""
    before = {name: cpu_seconds(pid) for name, pid in target.pids.items()}
    try:
        done = subprocess.run(probe_argv(target, load, seconds),
                              capture_output=True, text=True, check=True,
                              timeout=seconds + PATIENCE_S)
    except subprocess.CalledProcessError as error:
        raise Failed(error.stderr.strip()[-200:]) from error
    except subprocess.TimeoutExpired as error:
        raise Failed("the probe did not end in time") from error
    said = json.loads(done.stdout)
    is_bulk = load.unit == "GB"
    count = said["bytes"] / 1e9 if is_bulk else said["requests"]
    if said["failed"] > 0 or count == 0:
        raise Failed(done.stdout.strip())
    if (load.mode == "again" and target.host != "-"
            and said["resumed"] < RESUMED_LEAST * count - load.connections):
        raise Failed(f"sessions are not resumed: {done.stdout.strip()}")
    each = {name: (cpu_seconds(pid) - before[name]) / count
            for name, pid in target.pids.items()}
    return {"rate": count / said["seconds"], "p50_us": said["p50_us"],
            "p99_us": said["p99_us"], "cpu": sum(each.values()),
            "cpu_of": each}


def idle(target, mode, count):
    """Bytes of memory for each of |count| idle connections, by process."""
    load = Load(mode, 1024, count, "connection")
    before = {n: resident(p) for n, p in target.pids.items()}
    with subprocess.Popen(probe_argv(target, load, 0), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as probe:
        said = probe.stdout.readline().strip()
        after = {n: resident(p) for n, p in target.pids.items()}
        probe.stdin.close()
        try:
            probe.wait(IDLE_PATIENCE_S)
        except subprocess.TimeoutExpired:
            probe.kill()
    if said != "ready":
        raise Failed(f"not all of {count} were accepted")
    return {n: (after[n] - before[n]) / count for n in after}
