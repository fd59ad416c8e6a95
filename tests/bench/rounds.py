"""The course of a run: rounds of every load, memory of idle connections.

Blocks of every target take turns, the order reversed each round, each round
with a short one of the service itself as control. While time is left, rounds
in which that was far from its median are made up for.
"""

import shutil
import tempfile
import time

import children
import figures
import targets
import workloads

CONTROL_S = 0.7
FOLDER = "sp-"


class Failures:
    """Which target failed at which load: it is left out there."""

    def __init__(self):
        self.found = {}

    def add(self, load, name, why):
        """Say it and remember."""
        self.found[load, name] = why
        print(f"failed: {name} at {load}: {why}", flush=True)

    def of(self, load, name):
        """Whether it has failed there."""
        return (load, name) in self.found


def one_round(every, name, order, seconds, failures):
    """A block of each; {target: figures}."""
    load = workloads.LOADS[name]
    is_same = load.unit == "event"
    found = {targets.DIRECT: workloads.block(
        every[targets.DIRECT], load,
        seconds if is_same else min(seconds, CONTROL_S))}
    for target in order:
        if failures.of(name, target.name):
            continue
        try:
            found[target.name] = workloads.block(target, load, seconds)
        except workloads.Failed as error:
            failures.add(name, target.name, error)
    return found


def of_load(every, name, options, until, failures):
    """The rounds of one load that count."""
    order = [t for t in every.values() if t.name != targets.DIRECT]
    found = []
    while True:
        began = time.monotonic()
        found.append(one_round(
            every, name, order if len(found) % 2 == 0 else order[::-1],
            options.seconds, failures))
        now = time.monotonic()
        kept = figures.calm(found)
        if len(found) >= options.blocks and (
                len(kept) >= options.blocks or now + (now - began) > until):
            break
    # A target that failed on the way has no figures here.
    for row in kept:
        for target in [t for t in row if failures.of(name, t)]:
            del row[target]
    return kept


def idle_count(mode, options):
    """How many idle connections: a tenth of them where they mean nothing."""
    return workloads.IDLE[mode] // (10 if options.quick else 1)


def of_memory(mode, names, options, failures):
    """
    One way of being idle, in programs started for it: those that have worked
    hold free memory, which hides what connections take.
    """
    folder = tempfile.mkdtemp(prefix=FOLDER, dir="/tmp")
    found = {}
    try:
        every = targets.start(folder, names, options.peer, is_shared=False)
        for target in every.values():
            if not target.pids:
                continue
            try:
                found[target.name] = workloads.idle(
                    target, mode, idle_count(mode, options))
            except workloads.Failed as error:
                failures.add(mode, target.name, error)
    finally:
        children.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    return found


def of_loads(wanted, names, options, end, failures, on_load):
    """Every load in |wanted|; on_load(name, rounds) as each is done."""
    folder = tempfile.mkdtemp(prefix=FOLDER, dir="/tmp")
    found = {}
    try:
        every = targets.start(folder, names, options.peer, is_shared=True)
        for i, name in enumerate(wanted):
            now = time.monotonic()
            if now > end:
                print(f"left out: {name}: the time is over", flush=True)
                continue
            until = now + (end - now) / (len(wanted) - i)
            found[name] = of_load(every, name, options, until, failures)
            on_load(name, found[name])
    finally:
        children.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    return found
