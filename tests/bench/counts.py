"""What the core costs in instructions: one exchange, one megabyte.

bench_core does a fixed piece of work N times under callgrind; two runs with
different N, subtracted, give what one costs, without start and end. Counted
is the functions of proto/ alone, and how often they call malloc and memcpy:
libc's own instructions differ from CPU to CPU. The figures of the
commit are in counts.json, by compiler.
"""

import collections
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
COMMITTED = os.path.join(HERE, "counts.json")
TURNS = {"exchange": (100, 1100), "megabyte": (10, 60)}
WHATS = ("instructions", "allocations", "copies")
SLIP = 0.02
LIMIT_S = 120


class Absent(Exception):
    """Something that counting needs is not here."""


def tally(path):
    """The three counts in a file that callgrind wrote, of proto/ alone."""
    names = {}
    found = collections.Counter()

    def named(kind, text):
        number, _, name = text.partition(" ")
        if name:
            names[kind, number] = name
        return names.get((kind, number), "?")

    is_core, called, is_call = False, "", False
    with open(path, encoding="utf-8") as dump:
        for line in dump:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "fl":
                is_core = "/proto/" in named("file", value)
            elif key in ("fi", "fe", "cfi", "cfl"):
                named("file", value)
            elif key in ("fn", "cfn"):
                called = named("function", value)
            elif key == "calls":
                is_call = True
                if is_core and re.match(r"[mc]alloc$|realloc$", called):
                    found["allocations"] += int(value.split()[0])
                elif is_core and re.search(r"mem(cpy|move)", called):
                    found["copies"] += int(value.split()[0])
            elif line[0] in "0123456789+-*":
                if is_core and not is_call:
                    found["instructions"] += int(line.split()[1])
                is_call = False
    return found


def run(program, mode, turns, folder):
    """The counts of |turns| turns."""
    out = os.path.join(folder, f"{mode}-{turns}")
    subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}",
         "--compress-pos=no", program, mode, str(turns)],
        check=True, capture_output=True, timeout=LIMIT_S)
    return tally(out)


def measure(program):
    """Of each kind of work, what one turn costs."""
    if not shutil.which("valgrind"):
        raise Absent("no valgrind here (tests/bench/deps)")
    folder = tempfile.mkdtemp(prefix="sp-counts-")
    try:
        found = {}
        for mode, (few, many) in TURNS.items():
            low = run(program, mode, few, folder)
            high = run(program, mode, many, folder)
            found[mode] = {what: (high[what] - low[what]) / (many - few)
                           for what in WHATS}
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compiler(program):
    """What the figures depend on."""
    said = subprocess.run([program, "compiler"], capture_output=True,
                          text=True, check=True, timeout=LIMIT_S).stdout
    return f"{said.strip()}, {platform.machine()}"


def committed():
    """The figures in the repository, by compiler."""
    if not os.path.exists(COMMITTED):
        return {}
    with open(COMMITTED, encoding="utf-8") as source:
        return json.load(source)


def save(of, found):
    """They are what the next run is compared with."""
    every = committed()
    every[of] = {mode: {what: round(value, 1) for what, value in row.items()}
                 for mode, row in found.items()}
    with open(COMMITTED, "w", encoding="utf-8") as out:
        json.dump(every, out, indent=1, sort_keys=True)
        out.write("\n")


def lines(of, found):
    """A table, and whether something costs more than it did."""
    then = committed().get(of)
    text = [f"Through the core in memory, a turn ({of}):"]
    if then is None:
        text.append("no figures of this compiler are committed")
    slipped = False
    for mode, row in found.items():
        for what, value in row.items():
            before = then[mode][what] if then else None
            if before is None:
                text.append(f"  {mode:9} {what:13} {value:10.1f}")
                continue
            change = round(value, 1) / before - 1 if before else 0.0
            is_slip = change > SLIP
            slipped = slipped or is_slip
            text.append(f"  {mode:9} {what:13} {value:10.1f}"
                        f"  committed {before:10.1f}  {change:+7.1%}"
                        + ("  SLIP" if is_slip else ""))
    return text, slipped
