"""The rules that are seen in what the build makes."""

import re
import subprocess

from tree import Skip, read

PROGRAMS = {"sallyport": "client", "sallyport-relay": "relay"}
LIBRARIES = {"proto": "proto", "common": "common", "relay": "relay_rooms",
             "client": "client_rooms"}
TLS_NAMES = re.compile(r"\b(SSL_|EVP_|X509_|CRYPTO_)\w+")


def _output(*command):
    return subprocess.run(command, capture_output=True, text=True,
                          check=True).stdout


def _exported(archive):
    """Each global symbol of |archive| as (room, symbol)."""
    room = ""
    for line in _output("nm", "-g", "--defined-only", archive).splitlines():
        words = line.split()
        if line.endswith(":"):
            room = re.sub(r"(\.c)?\.o:$", "", line)
        elif len(words) == 3 and not words[2].startswith(("__", "_Z")):
            yield room, words[2]


def _prefixes(tree):
    """The further prefixes that rooms.txt grants: {room: (prefix, ...)}."""
    path = tree.root / "tests/rules/rooms.txt"
    granted = {}
    for line in read(path).splitlines() if path.exists() else ():
        words = line.split()
        if len(words) > 2 and words[1].startswith("+"):
            granted.setdefault(words[0], []).append(words[1][1:])
    return granted


def exports(tree):
    """foo.c exports only foo_*, and no two rooms of a program the same."""
    if not (tree.build / "CMakeCache.txt").exists():
        raise Skip(f"nothing is built in {tree.build}")
    owners = {}
    granted = _prefixes(tree)
    for layer, library in LIBRARIES.items():
        archive = tree.build / f"lib{library}.a"
        if not archive.exists():
            if any(name.endswith(".c") and not name.endswith("/main.c")
                   for name, _ in tree.sources((layer,))):
                yield f"{archive} is not built"
            continue
        for room, symbol in _exported(archive):
            prefixes = (room + "_", *granted.get(f"{layer}/{room}", ()))
            if symbol != room and not symbol.startswith(prefixes):
                yield f"{layer}/{room}.c exports {symbol}"
            owners.setdefault(symbol, []).append(f"{layer}/{room}.c")
    for symbol, files in owners.items():
        meet = {file.split("/")[0] for file in files} - {"client"}
        if len(files) > 1 and not (len(files) == 2 and meet == {"relay"}):
            yield f"{symbol} is exported by {' and '.join(files)}"


def programs(tree):
    """The programs load no OpenSSL and show no TLS symbol."""
    if not (tree.build / "CMakeCache.txt").exists():
        raise Skip(f"nothing is built in {tree.build}")
    for program, layer in PROGRAMS.items():
        path = tree.build / program
        if not path.exists():
            if (tree.root / layer / "main.c").exists():
                yield f"{path} is not built"
            continue
        for line in _output("ldd", path).splitlines():
            if re.search(r"lib(ssl|crypto)\.so", line):
                yield f"{program} loads {line.strip()}"
        for line in _output("nm", "-D", path).splitlines():
            if TLS_NAMES.search(line):
                yield f"{program} shows {line.split()[-1]}"


def asserts(tree):
    """Asserts stay on: NDEBUG is defined for none of our files."""
    commands = tree.build / "compile_commands.json"
    if not commands.exists():
        raise Skip(f"nothing is built in {tree.build}")
    if "-DNDEBUG" in read(commands):
        yield f"{commands} defines NDEBUG"
