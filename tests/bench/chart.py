"""The drawing of a run: one SVG, six small bar charts, ours in colour.

It stands on light and dark ground: no background of its own, and colours
that change with the reader's. The service itself is left out: no tunnel
comes near it, and the others would be too small to see.
"""

from xml.sax.saxutils import escape

import rivals

OURS, BASE = "sallyport", "haproxy"
CONTROL = "congestion control"
LABELS = {OURS: "Sallyport", BASE: "haproxy, TLS only", "ssh": "ssh -R",
          "frp": "frp", "rathole": "rathole", "chisel": "chisel"}
ORDER = (OURS, BASE, *rivals.ORDER)
# Title, load or way of being idle, measure, factor, digits.
PANELS = [
    ("Download, GB/s", "download", "rate", 1, 2, "longer is better"),
    ("Upload, GB/s", "upload", "rate", 1, 2, "longer is better"),
    ("CPU for a download, s/GB", "download", "cpu", 1, 2,
     "shorter is better"),
    ("1 KB, one connection: p50, µs", "1 KB c=1", "p50_us", 1, 0,
     "shorter is better"),
    ("1 KB, 32 connections: thousands/s", "1 KB c=32", "rate", 1e-3, 1,
     "longer is better"),
    ("Idle WebSocket, KiB, all programs", "socket", None, 1 / 1024, 1,
     "shorter is better"),
]
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 13px; font-weight: 600 }
.note { font-size: 11px; fill: #59636e }
.ours { fill: #0969da } .base { fill: #6e7781 } .rival { fill: #afb8c1 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 }
  .ours { fill: #4493f8 } .base { fill: #8b949e } .rival { fill: #484f58 }
}"""
COLUMNS, WIDTH, HEAD, ROW, BAR, GAP = 2, 860, 56, 20, 13, 26
LABEL, VALUE, MARGIN = 112, 52, 10


def value_of(result, load, measure, name):
    """One bar's number, or None."""
    if measure is None:
        each = result["memory"].get(load, {}).get(name)
        return sum(each.values()) if each else None
    row = result["loads"].get(load, {}).get(name)
    return row[measure] if row else None


def kind_of(name):
    """Its class in the style."""
    return {OURS: "ours", BASE: "base"}.get(name, "rival")


def panel(result, about, names, x, y):
    """One small chart, its left upper corner at x, y."""
    title, load, measure, factor, digits, note = about
    room = WIDTH // COLUMNS - 2 * MARGIN - LABEL - VALUE
    values = {n: value_of(result, load, measure, n) for n in names}
    most = max([v for v in values.values() if v] or [1])
    yield f'<text class="title" x="{x}" y="{y + 14}">{escape(title)}</text>'
    yield (f'<text class="note" text-anchor="end" y="{y + 14}" '
           f'x="{x + LABEL + room + VALUE}">{note}</text>')
    for i, name in enumerate(names):
        top = y + 24 + i * ROW
        text = top + BAR - 2
        yield f'<text x="{x}" y="{text}">{escape(LABELS[name])}</text>'
        value = values[name]
        if value is None:
            yield f'<text class="note" x="{x + LABEL}" y="{text}">–</text>'
            continue
        width = max(room * value / most, 1)
        yield (f'<rect class="{kind_of(name)}" x="{x + LABEL}" y="{top}" '
               f'width="{width:.1f}" height="{BAR}" rx="2"/>')
        yield (f'<text x="{x + LABEL + width + 6:.1f}" y="{text}">'
               f'{value * factor:.{digits}f}</text>')


def draw(result):
    """The whole drawing, as text."""
    known = set(result["memory"].get("socket", {}))
    for rows in result["loads"].values():
        known |= set(rows)
    names = [n for n in ORDER if n in known]
    height = 24 + len(names) * ROW + GAP
    lines = (len(PANELS) + COLUMNS - 1) // COLUMNS
    where = result["machine"]
    about = [f"{where['cpu']}, {where['cores']} cores, {where['kernel']}, "
             f"{where['date']}; medians of {result['blocks']} interleaved "
             "blocks.",
             "All but Sallyport behind the same haproxy; same cipher, "
             f"certificate and congestion control ({where[CONTROL]})."]
    if result["is_quick"]:
        about[0] = "--quick: these figures mean nothing."
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {WIDTH} {HEAD + lines * height}" width="{WIDTH}">',
        "<title>Sallyport beside haproxy and other tunnels</title>",
        f"<style>{STYLE}\n</style>",
        *(f'<text class="note" x="{MARGIN}" y="{18 + 16 * i}">'
          f"{escape(line)}</text>" for i, line in enumerate(about))]
    for i, one in enumerate(PANELS):
        parts += panel(result, one, names,
                       MARGIN + i % COLUMNS * (WIDTH // COLUMNS),
                       HEAD + i // COLUMNS * height)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
