"""The rules that are seen in the text of the sources."""

import functools
import re
import shutil
import subprocess
from pathlib import Path

from tree import LAYERS, Skip, bare, functions, includes, read, signatures

FILE_LINES = 500
FUNCTION_LINES = 70
PARAMETERS = 6
COLUMNS = 80
CLANG_FORMAT = 14
CLANG_FORMAT_PYPI = "clang-format==14.0.6"

# Which layers each layer may include from: arrows point down.
BELOW = {
    "proto": ("proto",),
    "common": ("proto", "common"),
    "relay": ("proto", "common", "relay"),
    "client": ("proto", "common", "client"),
    "tests": ("proto", "common", "relay", "client", "tests"),
}

# proto is pure: of the C library only what does no I/O and tells no time.
PURE = {
    "assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h",
    "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h",
    "stdnoreturn.h",
}

# The libraries whose use is granted room by room in rooms.txt.
GRANTED = {
    "uv.h": "uv", "sodium.h": "sodium", "llhttp.h": "llhttp",
    "yaml.h": "yaml", "sqlite3.h": "sqlite3", "jansson.h": "jansson",
    "qrencode.h": "qrencode",
}


def layers(tree):
    """Includes start at the root and point down; proto knows only libc."""
    for name, path in tree.sources():
        layer = name.split("/")[0]
        for line, kind, target in includes(read(path)):
            where = f"{name}:{line}"
            if kind == "<":
                if layer == "proto" and target not in PURE:
                    yield f"{where}: proto is pure and includes <{target}>"
            elif not (tree.root / target).is_file():
                yield f"{where}: \"{target}\" is no file seen from the root"
            elif target.split("/")[0] not in BELOW[layer]:
                yield f"{where}: {layer} must not know \"{target}\""


def _library(target):
    if target.startswith("openssl/"):
        return "openssl"
    if target.startswith("sodium/"):
        return "sodium"
    return GRANTED.get(target)


def _grants(tree):
    """rooms.txt as {(room, library): line number}."""
    grants = {}
    lines = read(tree.root / "tests/rules/rooms.txt").splitlines()
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and not line.startswith("#"):
            grants[words[0], words[1] if len(words) > 2 else ""] = number
    return grants


def rooms(tree):
    """Only the rooms of rooms.txt use a library, each with its reason."""
    grants = _grants(tree)
    used = set()
    exist = set()
    for name, path in tree.sources(LAYERS):
        room = name.rsplit(".", 1)[0]
        if name.endswith(".c"):
            exist.add(room)
        for line, _, target in includes(read(path)):
            library = _library(target)
            if library is None:
                continue
            used.add((room, library))
            if (room, library) not in grants:
                yield (f"{name}:{line}: {room} may not use {library} "
                       "(tests/rules/rooms.txt)")
    for (room, library), number in grants.items():
        where = f"tests/rules/rooms.txt:{number}"
        if library.startswith("+"):
            continue
        if library not in {*GRANTED.values(), "openssl"}:
            yield f"{where}: want ROOM LIBRARY REASON..."
        elif room in exist and (room, library) not in used:
            yield f"{where}: {room} does not use {library}"


def sizes(tree):
    """Files, functions, parameter lists and lines stay small."""
    for name, path in tree.sources():
        text = read(path)
        lines = text.splitlines()
        if len(lines) > FILE_LINES:
            yield f"{name}: {len(lines)} lines, at most {FILE_LINES}"
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                yield f"{name}:{number}: {len(line)} columns"
        for function, first, last in functions(text):
            if last - first + 1 > FUNCTION_LINES:
                yield (f"{name}:{first}: {function}() has {last - first + 1} "
                       f"lines, at most {FUNCTION_LINES}")
        for function, count, line in signatures(text):
            if count > PARAMETERS:
                yield (f"{name}:{line}: {function}() has {count} parameters, "
                       f"at most {PARAMETERS}")


def _block(lines, at):
    """The lines around |at| up to the next blank ones: kin share a comment."""
    first = last = at
    while first > 0 and lines[first - 1].strip():
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].strip():
        last += 1
    return lines[first:last + 1]


def comments(tree):
    """A file begins with what it is for; a header says every contract."""
    for name, path in tree.sources():
        text = read(path)
        lines = text.splitlines()
        if not text.startswith("/*"):
            yield f"{name}:1: does not begin with a comment: what is it for?"
        if not name.endswith(".h") or name.startswith("tests/"):
            continue
        for function, _, line in signatures(text):
            if not any("/*" in near or "*/" in near
                       for near in _block(lines, line - 1)):
                yield f"{name}:{line}: {function}() has no contract"


def names(tree):
    """Structs have no typedef, files have names that say something."""
    vague = {"util", "utils", "misc", "helper", "helpers", "common", "types"}
    for name, path in tree.sources():
        if path.stem in vague:
            yield f"{name}: a file's name says what it is for"
        for number, line in enumerate(bare(read(path)).splitlines(), 1):
            if re.match(r"\s*typedef\s+(struct|enum|union)\b", line):
                yield f"{name}:{number}: typedef of a struct, enum or union"


def words(tree):
    """Nothing is left for later in the code."""
    pattern = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX)\b")
    ends = (".c", ".h", ".py", ".sh", ".js", ".cmake", ".txt", "")
    for name, path in tree.sources((*LAYERS, "tests", "deploy"), ends):
        if "/corpus/" in name or "node_modules" in name:
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            if pattern.search(line):
                yield f"{name}:{number}: {line.strip()}"


def _clang_format_version(program):
    result = subprocess.run([program, "--version"], capture_output=True,
                            text=True, check=False)
    found = re.search(r"version (\d+)", result.stdout)
    return int(found.group(1)) if found else None


@functools.cache
def _clang_format():
    """A clang-format of the version that decides; PyPI's where need be."""
    folder = Path(__file__).resolve().parents[2] / "build/tools/clang-format"
    own = folder / "bin/clang-format"
    for name in (f"clang-format-{CLANG_FORMAT}", "clang-format", own):
        program = shutil.which(name)
        if program and _clang_format_version(program) == CLANG_FORMAT:
            return program
    for command in (["/usr/bin/python3", "-m", "venv", folder],
                    [folder / "bin/pip", "install", "--quiet", "--no-deps",
                     CLANG_FORMAT_PYPI]):
        result = subprocess.run(command, capture_output=True, text=True,
                                check=False)
        if result.returncode != 0:
            raise Skip(f"there is no clang-format {CLANG_FORMAT}, and PyPI's "
                       f"cannot be had: {result.stderr.strip()[-200:]}")
    return str(own)


def formatted(tree):
    """clang-format has nothing to change. Its version 14 decides."""
    files = [str(path) for _, path in tree.sources()]
    if not files:
        return
    program = _clang_format()
    result = subprocess.run(
        [program, "--dry-run", "-Werror", *files], cwd=tree.root,
        capture_output=True, text=True, check=False)
    complaints = sorted({line.split(":")[0]
                         for line in result.stderr.splitlines()
                         if "error:" in line})
    for path in complaints:
        yield f"{path}: run {program} -i on it"
    if result.returncode != 0 and not complaints:
        yield result.stderr.strip()
