"""A small wrong tree for each rule: what the rule must complain about."""

import subprocess

ABOUT = "/* What it is for. */\n"


def _files(**texts):
    """A maker of a tree; folder__name_c stands for folder/name.c."""
    def make(tree):
        for key, text in texts.items():
            folder, name = key.split("__")
            stem, _, end = name.rpartition("_")
            path = tree.root / folder / f"{stem}.{end}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return make


def _granting(line, **texts):
    """The same with a rooms.txt of one |line|."""
    def make(tree):
        _files(**texts)(tree)
        path = tree.root / "tests/rules/rooms.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line + "\n", encoding="utf-8")
    return make


def _formatted(text):
    def make(tree):
        _files(proto__a_c=text)(tree)
        (tree.root / ".clang-format").write_text("BasedOnStyle: LLVM\n")
    return make


def _built(product, source, *command):
    """A build folder with |product|, made from |source| by |command|."""
    def make(tree):
        tree.build.mkdir()
        (tree.build / "CMakeCache.txt").touch()
        (tree.build / "a.c").write_text(source)
        for step in command:
            subprocess.run(step.split(), cwd=tree.build, check=True)
        assert (tree.build / product).exists()
    return make


def _commands(tree):
    tree.build.mkdir()
    (tree.build / "compile_commands.json").write_text('"cc -DNDEBUG a.c"')


def _compile(archive):
    return ("cc -c a.c -o a.c.o", f"ar rcs {archive} a.c.o")


def _archives(tree):
    """proto/a.c and common/a.c, both exporting a_x."""
    _built("libproto.a", "int a_x;", *_compile("libproto.a"),
           *_compile("libcommon.a"))(tree)


_LONG = "int f(void)\n{\n" + "    x();\n" * 70 + "}\n"

BAD = {
    "layers": {
        "proto includes common": _files(
            proto__a_c='#include "common/b.h"\n', common__b_h=ABOUT),
        "client includes relay": _files(
            client__a_c='#include "relay/b.h"\n', relay__b_h=ABOUT),
        "proto does I/O": _files(proto__a_c="#include <stdio.h>\n"),
        "an include from beside": _files(
            common__a_c='#include "b.h"\n', common__b_h=ABOUT),
    },
    "rooms": {
        "a room that was not granted": _granting(
            "common/b uv the loop", common__a_c="#include <uv.h>\n"),
        "a grant that is not used": _granting(
            "common/a uv the loop", common__a_c=ABOUT),
        "a grant without a reason": _granting(
            "common/a uv", common__a_c="#include <uv.h>\n"),
    },
    "sizes": {
        "a long file": _files(proto__a_c="\n" * 501),
        "a long function": _files(proto__a_c=_LONG),
        "a long line": _files(tests__a_c="/*" + " " * 77 + "*/\n"),
        "seven parameters": _files(
            proto__a_h="int f(int a, int b, int c,\n      int d, "
                       "void (*e)(int, int), int g, int h);\n"),
    },
    "comments": {
        "a file that does not say what for": _files(proto__a_c="int a;\n"),
        "a function without a contract": _files(
            proto__a_h=ABOUT + "\nint a_x(void);\n"),
    },
    "names": {
        "a typedef": _files(proto__a_h="typedef struct a { int b; } a_t;\n"),
        "a util": _files(common__util_c=ABOUT),
    },
    "words": {
        "something left to do": _files(
            relay__a_c="/* TO" "DO: all of it */\n"),
    },
    "formatted": {
        "an indented line": _formatted("   int a;\n"),
    },
    "exports": {
        "a.c exports b_x": _built(
            "libproto.a", "int b_x;", *_compile("libproto.a")),
        "two rooms export a_x": _archives,
    },
    "programs": {
        "a TLS symbol is shown": _built(
            "sallyport", "int SSL_new(void) { return 1; }",
            "cc -shared -fPIC a.c -o sallyport"),
        "libssl is loaded": _built(
            "sallyport", "int a_x;",
            "cc -shared -fPIC a.c -o libssl.so.3",
            "cc -shared -fPIC a.c -o sallyport -Wl,--no-as-needed "
            "./libssl.so.3"),
    },
    "asserts": {
        "NDEBUG is defined": _commands,
    },
}


def of(rule):
    """The bad trees of |rule|: (what is wrong, maker)."""
    return BAD[rule].items()
