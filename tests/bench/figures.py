"""From blocks to figures: medians, ratios by round, intervals.

A round is one block of every target, close together in time. What is compared
is the ratio within a round, whose median is told with the interval that holds
nine in ten of the medians of resampled rounds.
"""

import random
import statistics

CONTROL = "direct"
CONTROL_SLACK = 0.15
RESAMPLES = 1000
MEASURES = ("rate", "p50_us", "p99_us", "cpu")


def calm(rounds):
    """
    The rounds in which the service itself was near its median: else the
    machine did something else. All, when fewer than half would stay.
    """
    middle = statistics.median(r[CONTROL]["rate"] for r in rounds)
    kept = [r for r in rounds
            if abs(r[CONTROL]["rate"] / middle - 1) <= CONTROL_SLACK]
    return kept if len(kept) * 2 >= len(rounds) else rounds


def interval(values):
    """Of the median: where nine in ten of resampled ones lie."""
    dice = random.Random(1)
    medians = sorted(statistics.median(dice.choices(values, k=len(values)))
                     for _ in range(RESAMPLES))
    return [medians[RESAMPLES // 20], medians[RESAMPLES - RESAMPLES // 20 - 1]]


def ratio(rounds, measure, name, base):
    """(median, interval) of name's to base's, or None."""
    ratios = [r[name][measure] / r[base][measure] for r in rounds
              if name in r and base in r and r[base][measure] > 0]
    return (statistics.median(ratios), interval(ratios)) if ratios else None


def added(rounds, measure, name):
    """(median, interval) of what |name| adds to the service's own."""
    extra = [r[name][measure] - r[CONTROL][measure] for r in rounds
             if name in r]
    return (statistics.median(extra), interval(extra)) if extra else None


def summary(rounds):
    """Of every target: medians and how many rounds they are of."""
    out = {}
    for name in rounds[0]:
        rows = [r[name] for r in rounds if name in r]
        out[name] = {what: statistics.median(row[what] for row in rows)
                     for what in MEASURES}
        out[name]["cpu_of"] = {
            process: statistics.median(row["cpu_of"][process] for row in rows)
            for process in rows[0]["cpu_of"]}
        out[name]["blocks"] = len(rows)
    return out
