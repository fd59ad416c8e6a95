#!/usr/bin/python3
"""tests/fuzz/h1_seeds.py: write corpus/h1_parser/seed-* from tests/vectors.

Each short vector becomes an input of fuzz_h1_parser: one byte for what is
expected, then the bytes. Files that a fuzzer found keep other names.
"""

from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus" / "h1_parser"
LONGEST = 2000


def unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def cases(path):
    """(name, kind, bytes) of every case in |path|."""
    name, kind, data = None, 0, b""
    base = 1 if path.stem == "responses" else 0
    for line in path.read_text().splitlines() + ["case "]:
        word, _, rest = line.partition(" ")
        if word == "case":
            if name:
                yield name, base | kind, data
            name, kind, data = rest, 0, b""
        elif word == "in":
            data += unescape(rest)
        elif word == "times":
            count, _, text = rest.partition(" ")
            data += unescape(text) * int(count)
        elif word == "expect":
            kind = {"head": 2, "upgrade": 4}[rest]


def main():
    CORPUS.mkdir(parents=True, exist_ok=True)
    for old in CORPUS.glob("seed-*"):
        old.unlink()
    for stem in "requests", "responses":
        for name, kind, data in cases(HERE.parent / "vectors" / f"{stem}.txt"):
            if len(data) <= LONGEST:
                path = CORPUS / f"seed-{stem}-{name}"
                path.write_bytes(bytes([kind]) + data)


main()
