#!/usr/bin/python3
"""tests/fuzz/text_seeds.py: write corpus/{login,invitation,settings,tls_hello,
log}/seed-* anew, each built by hand, not by the code under test.

Files that a fuzzer found keep other names and are left alone.
"""

import base64
import hashlib
import struct

from seeds import login, string8, string16, welcome, write

LOGINS = {
    "login": b"\0" + login(),
    "login-enrol": b"\0" + login(2, enrol=b"E" * 32, signatures=b"S" * 128),
    "login-resume": b"\0" + login(1, 0, b"I" * 16, 2**40),
    "login-slot": b"\0" + login(0, 1, b"I" * 16),
    "login-long": b"\0" + login(signatures=b"S" * 65),
    "welcome": b"\1" + welcome(),
    "welcome-resumed": b"\1" + welcome(1, 2**40),
    "denied": b"\2\0\4" + string8(b"no such key") + b"R" * 64,
    "denied-unknown": b"\2\x7f\xff" + string8(b"") + b"R" * 64,
    "denied-escape": b"\2\0\4" + string8(b"\x1b[2J") + b"R" * 64,
}


def packed(host=b"relay.example.com", port=8443, version=1, key=b"K" * 32):
    return struct.pack(">BH", version, port) + key + b"S" * 32 + string8(host)


def invitation(body):
    body += hashlib.blake2b(body, digest_size=32).digest()[:4]
    return b"sallyport:" + base64.urlsafe_b64encode(body).rstrip(b"=")


GOOD = invitation(packed())
INVITATIONS = {
    "good": b"\0" + GOOD,
    "wrapped": b"\0  " + GOOD[:60] + b"\r\n\t" + GOOD[60:] + b"\n",
    "cut": b"\0" + GOOD[:-1],
    "padded": b"\0" + GOOD + b"=",
    "trailing-bits": b"\0" + GOOD[:-1] + b"B",
    "no-head": b"\0" + GOOD[10:],
    "packed": b"\1" + packed(),
    "packed-address": b"\1" + packed(b"2001:db8::1", 443),
    "packed-long": b"\1" + packed(b"h" * 253),
    "packed-too-long": b"\1" + packed(b"h" * 254),
    "packed-no-host": b"\1" + packed(b""),
    "packed-no-port": b"\1" + packed(port=0),
    "packed-later": b"\1" + packed(version=2),
    "packed-zero": b"\1" + packed(b"a\0b"),
    "packed-escape": b"\1" + packed(b"a\x1b[2Jb"),
}

SETTINGS = {
    "empty": b"",
    "all": b"domain: t.example.com\npublic_port: 8443\ngrace: 90s\n"
           b"local_ca: true\nlisten:\n  - 0.0.0.0:443\n  - \"[::]:443\"\n",
    "map": b"tunnels:\n  web:\n    target: 8080\n    streams: 5\n"
           b"  api: {target: http://localhost:9000}\n",
    "repeated": b"domain: a\ndomain: b\n",
    "repeated-item": b"tunnels: {a: {target: b}, a: {target: b}}\n",
    "unknown": b"domian: a\n",
    "flag-only": b"config: /x\n",
    "anchor": b"domain: &a x\nlisten: [*a]\n",
    "tag": b"domain: !!str x\n",
    "two": b"---\ndomain: a\n---\ndomain: b\n",
    "directive": b"%YAML 1.1\n---\ndomain: a\n",
    "null": b"domain: ~\n",
    "zero": b'domain: "a\\0b"\n',
    "letters": "domain: \"caf\u00e9 \\\"\\\\ \U0001f600\"\n".encode(),
    "line-separator": b'domain: "a\\Lb\\Pc\\Nd"\n',
    "control": b'domain: "a\\x9bb"\n',
    "mark": b'domain: "\\uFEFFb"\n',
    "blanks": b'domain: "  a  "\n',
    "folded": b"domain: >\n  a\n  b\n",
    "literal": b"domain: |-\n  a\n",
    "list-one": b"listen: 0.0.0.0:1\n",
    "list-none": b"listen: []\n",
    "list-deep": b"listen: [[a]]\n",
    "number": b"public_port: 99999999999999999999\n",
    "duration": b"grace: 1ms\n",
    "utf-16": "domain: a\n".encode("utf-16"),
    "bad-utf-8": b"domain: \xff\xfe\n",
    "open-quote": b"domain: \"a\n",
    "tab": b"tunnels:\n\tweb: {}\n",
    "deep": b"[" * 200,
    "comment": b"# only a comment\n",
}


def extension(kind, data):
    return struct.pack(">H", kind) + string16(data)


def server_name(*names):
    return extension(0, string16(b"".join(b"\0" + string16(n) for n in names)))


def alpn(*names):
    return extension(16, string16(b"".join(string8(n) for n in names)))


def hello(*extensions, session=bytes(32)):
    body = b"\3\3" + bytes(32) + string8(session) + string16(b"\x13\1")
    body += string8(b"\0") + string16(b"".join(extensions))
    return b"\1" + struct.pack(">I", len(body))[1:] + body


def records(message, piece=16384):
    out = b""
    for at in range(0, len(message), piece):
        out += b"\x16\3\1" + string16(message[at:at + piece])
    return out


NAME = server_name(b"Demo.T.example-1.com")
HELLOS = {
    "name": records(hello(NAME, alpn(b"h2", b"http/1.1"))),
    "link": records(hello(NAME, alpn(b"sallyport/1"))),
    "both": records(hello(alpn(b"sallyport/1", b"http/1.1"))),
    "none": records(hello()),
    "cut-1": records(hello(NAME), 1),
    "cut-3": records(hello(NAME), 3),
    "cut-50": records(hello(NAME, alpn(b"h2")), 50),
    "two-names": records(hello(server_name(b"a.b", b"c.d"))),
    "twice": records(hello(NAME, NAME)),
    "alpn-twice": records(hello(alpn(b"h2"), alpn(b"h2"))),
    "alpn-empty": records(hello(alpn(b""))),
    "dot": records(hello(server_name(b"a.b."))),
    "zero": records(hello(server_name(b"a\0b"))),
    "long-name": records(hello(server_name(b"a" * 256))),
    "longest-name": records(hello(server_name(b"a" * 255))),
    "long-session": records(hello(NAME, session=bytes(33))),
    "padding": records(hello(NAME, extension(21, bytes(1200)))),
    "more": records(hello(NAME)) + b"\x14\3\3\0\1\1",
    "more-in-record": records(hello(NAME) + b"x"),
    "http": b"GET / HTTP/1.1\r\n",
    "alert": b"\x15\3\1\0\2\2\x28",
    "empty-record": b"\x16\3\1\0\0",
    "half": records(hello(NAME))[:70],
    "huge": b"\x16\3\1\0\4\1\xff\xff\xff",
}

TEXTS = {
    "plain": b"\xffplain",
    "empty": b"\xff",
    "blank": b"\xff two words=\"x\"",
    "escape": b"\xff\x1b[2J\x9b\x7f",
    "line": b"\xffa\nlevel=error b\r",
    "backslash": b"\xff\\x41\\",
    "utf-8": b"\xff" + "caf\u00e9 \u202e".encode(),
    "cut": b"\x04ab\n",
    "one": b"\x00abc",
    "long": b"\x20" + b"v" * 513,
    "long-escaped": b"\xff" + b"\x00" * 600,
    "longest-kept": b"\xff" + b"w" * 512,
}

if __name__ == "__main__":
    write("login", LOGINS)
    write("invitation", INVITATIONS)
    write("settings", SETTINGS)
    write("tls_hello", HELLOS)
    write("log", TEXTS)
