"""The two tables: what was asked for and what was found; and all figures.

What is asked for are the least figures of the second milestone. A figure is
the median of ratios by round, with the interval of nine in ten.
"""

import json

import figures
import rivals
import workloads

OURS, BASE = "sallyport", "haproxy"
KIB = 1024

# What is measured, of which load, against whom, at least or at most.
RATIOS = [
    ("download / haproxy", "download", "rate", BASE, ">=", 1.0),
    ("upload / haproxy", "upload", "rate", BASE, ">=", 0.8),
    ("download / ssh -R", "download", "rate", "ssh", ">=", 2.4),
    ("upload / ssh -R", "upload", "rate", "ssh", ">=", 2.4),
    ("download, CPU per GB / haproxy", "download", "cpu", BASE, "<=", 1.15),
    ("1 KB, 1 connection, p50 / haproxy", "1 KB c=1", "p50_us", BASE,
     "<=", 1.8),
    ("1 KB, 1 connection, p99 / haproxy", "1 KB c=1", "p99_us", BASE,
     "<=", 2.5),
    ("1 KB, 32 connections, rate / haproxy", "1 KB c=32", "rate", BASE,
     ">=", 0.5),
    ("1 KB, 32 connections, CPU / haproxy", "1 KB c=32", "cpu", BASE,
     "<=", 2.3),
    ("new connections, full / haproxy", "new", "rate", BASE, ">=", 1.0),
]
# "every one": bulk, CPU per GB, 1 KB p50 and rate.
AHEAD = [
    ("download", "download", "rate", ">="),
    ("upload", "upload", "rate", ">="),
    ("download, CPU per GB", "download", "cpu", "<="),
    ("upload, CPU per GB", "upload", "cpu", "<="),
    ("1 KB, 1 connection, p50", "1 KB c=1", "p50_us", "<="),
    ("1 KB, 32 connections, rate", "1 KB c=32", "rate", ">="),
]
# A build of before, where one is given: no slower.
BEFORE = "before"
BEFORE_LEAST = 0.95
BEFORE_LOADS = ["download", "download x4", "upload", "upload x4", "1 KB c=1",
                "1 KB c=32"]
MEMORY = [
    ("idle visitor, relay", "idle", "relay", 8),
    ("idle WebSocket, relay", "socket", "relay", 12),
    ("idle WebSocket, client", "socket", "client", 8),
]


def is_met(value, sign, limit):
    """Whether the median keeps to the limit."""
    return value >= limit if sign == ">=" else value <= limit


def line_of(title, sign, limit, found):
    """One line of the first table, as a dict."""
    if found is None:
        return {"what": title, "asked": f"{sign} {limit:g}", "found": None,
                "interval": None, "met": None}
    value, between = found
    return {"what": title, "asked": f"{sign} {limit:g}",
            "found": value, "interval": between,
            "met": is_met(value, sign, limit)}


def targets_of(rounds, memory):
    """
    Every figure asked for, found or not; |rounds| by load, |memory| by mode.
    """
    found = []
    for title, load, measure, base, sign, limit in RATIOS:
        found.append(line_of(title, sign, limit, figures.ratio(
            rounds[load], measure, OURS, base) if load in rounds else None))
    for title, mode, process, limit in MEMORY:
        each = (memory.get(mode) or {}).get(OURS)
        found.append(line_of(f"KiB for an {title}", "<=", limit,
                             (each[process] / KIB, None) if each else None))
    for rival in rivals.ORDER[1:]:
        for title, load, measure, sign in AHEAD:
            found.append(line_of(
                f"{title} / {rival}", sign, 1.0, figures.ratio(
                    rounds[load], measure, OURS, rival)
                if load in rounds else None))
    for load in BEFORE_LOADS:
        ratio = figures.ratio(rounds.get(load, ()), "rate", OURS, BEFORE)
        if ratio:
            found.append(line_of(f"{load} / {BEFORE}", ">=", BEFORE_LEAST,
                                 ratio))
    return found


def extras(rounds):
    """What tokens are delayed by, beside the service's own delay."""
    found = {}
    for name in rounds[0]:
        if name != figures.CONTROL:
            found[name] = {what: figures.added(rounds, what, name)
                           for what in ("p50_us", "p99_us")}
    return found


def table(head, rows):
    """Markdown that is a table in a terminal as well."""
    widths = [max(len(row[i]) for row in [head, *rows])
              for i in range(len(head))]
    text = [head, ["-" * w for w in widths], *rows]
    return ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths))
            + " |" for row in text]


def verdicts(found):
    """The first table."""
    rows = []
    for row in found:
        if row["found"] is None:
            rows.append([row["what"], row["asked"], "-", "-", "not measured"])
            continue
        between = row["interval"]
        rows.append([
            row["what"], row["asked"], f"{row['found']:.2f}",
            f"{between[0]:.2f} to {between[1]:.2f}" if between else "-",
            "met" if row["met"] else "NOT MET"])
    return table(["figure", "asked", "median", "nine in ten", ""], rows)


def of_load(name, rows, rounds):
    """Lines of the second table for one load."""
    unit = workloads.LOADS[name].unit
    is_bulk = unit == "GB"
    lines = []
    delays = extras(rounds) if unit == "event" else {}
    for target, row in rows.items():
        scale = 1 if is_bulk else 1e6
        ratio = figures.ratio(rounds, "rate", target, BASE)
        times = "" if is_bulk else f"{row['p50_us']:.0f} / {row['p99_us']:.0f}"
        if target in delays and all(delays[target].values()):
            times += " ({:+.0f} / {:+.0f})".format(
                *(delays[target][w][0] for w in ("p50_us", "p99_us")))
        lines.append([
            name, target,
            f"{row['rate']:.2f} GB/s" if is_bulk else f"{row['rate']:.0f} /s",
            f"{ratio[0]:.2f}" if ratio and unit != "event" else "",
            times,
            f"{row['cpu'] * scale:.2f}" if row["cpu_of"] else "",
            " + ".join(f"{n} {v * scale:.2f}"
                       for n, v in row["cpu_of"].items()),
            str(row["blocks"])])
    return lines


LOAD_HEAD = ["load", "target", "rate", "/ haproxy", "p50 / p99, us",
             "CPU: s/GB or us each", "of which", "blocks"]


def of_memory(memory):
    """The third table: KiB for each idle connection, by process."""
    rows = []
    for mode, by_target in memory.items():
        title = "visitors" if mode == "idle" else "WebSockets"
        for name, each in by_target.items():
            rows.append([f"idle {title}", name,
                         f"{sum(each.values()) / KIB:.1f}",
                         " + ".join(f"{n} {v / KIB:.1f}"
                                    for n, v in each.items())])
    return table(["memory", "target", "KiB each", "of which"], rows)


def of_counts(found):
    """The fourth: what a turn through the core costs."""
    kinds = [kind for kind in found if kind != "compiler"]
    whats = list(found[kinds[0]])
    return table(["core in memory, " + found["compiler"], *whats],
                 [[kind, *(f"{found[kind][what]:.0f}" for what in whats)]
                  for kind in kinds])


def rounded(value):
    """The same with every number to five digits: none of them is better."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(each) for each in value]
    return value


def as_json(result, rounds):
    """Everything, and every block: a line for each round."""
    text = json.dumps(rounded(result), indent=1)[:-2]
    loads = []
    for name, kept in rounds.items():
        lines = ",\n   ".join(json.dumps(rounded(row)) for row in kept)
        loads.append(f"  {json.dumps(name)}: [\n   {lines}\n  ]")
    return text + ',\n "rounds": {\n' + ",\n".join(loads) + "\n }\n}\n"


def whole(result, rounds):
    """Everything as Markdown."""
    where = result["machine"]
    text = ["# Measured", "",
            *[f"- {key}: {value}" for key, value in where.items()], ""]
    if result["is_quick"]:
        text += ["This was --quick: it shows that all of it runs, "
                 "its figures mean nothing.", ""]
    text += ["## What was asked for", "", *verdicts(result["targets"]), "",
             "## All figures", ""]
    rows = []
    for name, of in result["loads"].items():
        rows += of_load(name, of, rounds[name])
    text += [*table(LOAD_HEAD, rows), ""]
    if result["memory"]:
        text += [*of_memory(result["memory"]), ""]
    if result.get("counts"):
        text += [*of_counts(result["counts"]), ""]
    return "\n".join(text)
