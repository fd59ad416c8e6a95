"""What the rules look at: the sources of a tree, and the pieces of a C file.

No C parser: the house format (checked by its own rule) puts the braces of
top-level things into column 1, and that is all that is relied on here.
"""

import re
from pathlib import Path

LAYERS = ("proto", "common", "relay", "client")
CODE_FOLDERS = LAYERS + ("tests",)


class Skip(Exception):
    """A rule that cannot be checked here; its text says why."""


class Tree:
    """The repository at |root|, or a made-up one; |build| where it is built."""

    def __init__(self, root, build):
        self.root = Path(root)
        self.build = Path(build)

    def sources(self, folders=CODE_FOLDERS, ends=(".c", ".h")):
        """Each source as (name from the root, Path), sorted."""
        for folder in folders:
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in ends and path.is_file():
                    yield path.relative_to(self.root).as_posix(), path


def read(path):
    return path.read_text(encoding="utf-8", errors="replace")


def includes(text):
    """Each include as (line number, opening bracket or quote, name)."""
    pattern = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
    for number, line in enumerate(text.splitlines(), 1):
        found = pattern.match(line)
        if found:
            yield number, found.group(1), found.group(2)


def _blank(match):
    """As many newlines as |match| has, so that line numbers stay."""
    return "\n" * match.group(0).count("\n") or " "


def bare(text):
    """|text| without comments, strings' insides and preprocessor lines."""
    text = re.sub(
        r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
        lambda m: '""' if m.group(0)[0] in "\"'" else _blank(m),
        text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", _blank, text, flags=re.M)


def functions(text):
    """Each function body as (name, first line, last line)."""
    lines = bare(text).splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and number > 1:
            start = number - 1
            while start > 1 and lines[start - 2][:1] not in ("", "}", "#") \
                    and not lines[start - 2].rstrip().endswith(";"):
                start -= 1
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[start - 1:number])
            name = re.search(r"(\w+)\s*\(", head)
            yield name.group(1) if name else "?", start, number
            start = None


def signatures(text):
    """Each function declared or defined as (name, parameters, line)."""
    depth = 0
    piece = ""
    line = 1
    first = 1
    for char in bare(text):
        if char == "\n":
            line += 1
        if depth == 0 and char in ";{":
            found = _signature(piece)
            if found:
                yield found[0], found[1], first
            piece = ""
        elif depth == 0:
            if not piece.strip() and not char.isspace():
                piece, first = "", line
            piece += char
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            piece = ""


def _signature(piece):
    piece = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", piece, flags=re.S)
    found = re.search(r"(\w+)\s*\((.*)\)\s*$", piece, flags=re.S)
    if not found or "=" in piece[:found.start()] \
            or piece.lstrip().startswith(("typedef", "_Static_assert",
                                          "static_assert")):
        return None
    inner = found.group(2)
    depth = 0
    count = 0 if inner.strip() in ("", "void") else 1
    for char in inner:
        depth += {"(": 1, ")": -1}.get(char, 0)
        count += char == "," and depth == 0
    return found.group(1), count
