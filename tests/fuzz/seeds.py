#!/usr/bin/python3
"""tests/fuzz/seeds.py: write corpus/frame and corpus/head anew.

Each seed is built here by hand from PROTOCOL.md, not by the code under test.
Files that a fuzzer found keep other names and are left alone.
"""

import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


def string8(text):
    return struct.pack(">B", len(text)) + text


def string16(text):
    return struct.pack(">H", len(text)) + text


def head(kind, rest, fields=()):
    """A block: its kind, what comes before the fields, the fields."""
    out = bytes([kind]) + rest + struct.pack(">H", len(fields))
    for name, value in fields:
        out += string8(name) + string16(value)
    return out


def common(flags=0, framing=0, body_len=0):
    return struct.pack(">BBQ", flags, framing, body_len)


def request(method, target, authority, fields=(), **how):
    rest = common(**how)
    rest += string8(method) + string16(target) + string8(authority)
    return head(1, rest, fields)


def response(status, fields=(), **how):
    return head(2, common(**how) + struct.pack(">H", status), fields)


BROWSER = [
    (b"accept", b"text/html,*/*;q=0.8"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64)"),
    (b"sec-fetch-mode", b"navigate"),
    (b"cookie", b"token=abc; oui-session=\"x y\""),
    (b"x-forwarded-for", b"192.0.2.1"),
]

HEADS = {
    "get": request(b"GET", b"/", b"a.b"),
    "get-browser": request(b"GET", b"/a?b=%20&c", b"demo.t.example.com:8443",
                           BROWSER),
    "post-length": request(b"POST", b"/up", b"a.b", BROWSER[:1], framing=1,
                           body_len=5),
    "post-unknown": request(b"POST", b"/up", b"[::1]:80", framing=2),
    "upgrade": request(b"GET", b"/ws/socket.io/?EIO=4", b"a.b",
                       [(b"sec-websocket-version", b"13")], flags=1),
    "options": request(b"OPTIONS", b"*", b"a.b"),
    "head": request(b"HEAD", b"/", b"a.b"),
    "fragment": request(b"GET", b"/a#b", b"a.b"),
    "absolute": request(b"GET", b"http://a.b/", b"a.b"),
    "user-info": request(b"GET", b"/", b"u@a.b"),
    "newline": request(b"GET", b"/", b"a.b", [(b"a", b"b\r\nc: d")]),
    "upper": request(b"GET", b"/", b"a.b", [(b"Accept", b"*/*")]),
    "length-field": request(b"GET", b"/", b"a.b", [(b"content-length", b"5")]),
    "blank-end": request(b"GET", b"/", b"a.b", [(b"a", b"b ")]),
    "obs-text": request(b"GET", b"/", b"a.b", [(b"a", b"caf\xc3\xa9\tx")]),
    "200": response(200, [(b"content-type", b"text/event-stream")], framing=2),
    "206": response(206, [(b"etag", b'W/"1"')], framing=1, body_len=2**40),
    "103": response(103, [(b"link", b"</a.css>; rel=preload")]),
    "101": response(101, [(b"sec-websocket-accept", b"s3pPLMBiTxaQ9k=")],
                    flags=1),
    "101-not-upgraded": response(101),
    "304": response(304, framing=1, body_len=7),
    "cookies": response(200, [(b"set-cookie", b"a=1"),
                              (b"set-cookie", b"b=2")]),
    "600": response(600),
    "trailers": head(3, b"", [(b"server-timing", b"a;dur=1")]),
    "no-trailers": head(3, b""),
    "many": head(3, b"", [(b"n", b"v")] * 100),
    "too-many": head(3, b"", [(b"n", b"v")] * 101),
    "kind": head(4, b""),
    "empty": b"",
}

CLIENT, RELAY = b"\0", b"\1"
FIN, END_HEAD, BLOCKED = 1, 2, 4
V4 = b"\4" + bytes([192, 0, 2, 1]) + struct.pack(">H", 443)
V6 = b"\6" + bytes.fromhex("20010db8000000000000000000000001") + b"\0\1"


def frame(who, stream, kind, payload=b"", flags=0):
    header = struct.pack(">IHBB", stream, len(payload), kind, flags)
    return who + header + payload


def opened(window=262144, kind=1, address=V4, http=11, block=b""):
    fixed = struct.pack(">HIBI", 1, window, kind, 7)
    return fixed + address + bytes([http]) + block


def login(flags=0, slot=0, session=bytes(16), received=0, enrol=b"",
          signatures=b"S" * 64):
    body = struct.pack(">BBBBQ", 0, 0, flags, slot, 0) + b"K" * 32
    body += struct.pack(">IIII", 262144, 4096, 20, 0)
    body += session + struct.pack(">IQ", 1, received)
    return body + enrol + string8(b"sallyport/0.1.0") + signatures


def welcome(flags=0, received=0):
    body = struct.pack(">BBBQ", 0, flags, 0, 0)
    body += struct.pack(">IIII", 262144, 4096, 20, 45)
    body += b"I" * 16 + struct.pack(">IQ", 1, received)
    return body + string8(b"sallyport/0.1.0") + b"R" * 64


FRAMES = {
    "login": frame(CLIENT, 0, 0x01, login()),
    "login-enrol": frame(CLIENT, 0, 0x01,
                         login(2, enrol=b"E" * 32, signatures=b"S" * 128)),
    "login-resume": frame(CLIENT, 0, 0x01, login(1, 0, b"I" * 16, 2**40)),
    "login-slot": frame(CLIENT, 0, 0x01, login(0, 1, b"I" * 16)),
    "welcome": frame(RELAY, 0, 0x02, welcome()),
    "welcome-resumed": frame(RELAY, 0, 0x02, welcome(1, 2**40)),
    "denied": frame(RELAY, 0, 0x03, b"\0\4" + string8(b"no such key")
                    + b"R" * 64),
    "denied-ok": frame(RELAY, 0, 0x03, b"\0\0\0" + b"R" * 64),
    "ping": frame(CLIENT, 0, 0x04, struct.pack(">Q", 1)),
    "pong": frame(RELAY, 0, 0x05, struct.pack(">Q", 1)),
    "ack": frame(RELAY, 0, 0x06, struct.pack(">Q", 2**63)),
    "open": frame(RELAY, 2, 0x10, opened(block=HEADS["get"]), FIN | END_HEAD),
    "open-v6": frame(RELAY, 4, 0x10, opened(address=V6, http=20)),
    "open-raw": frame(RELAY, 6, 0x10, opened(kind=2, http=10), END_HEAD),
    "open-window": frame(RELAY, 6, 0x10, opened(window=2**24 + 1), END_HEAD),
    "open-fin": frame(RELAY, 6, 0x10, opened(), FIN),
    "open-odd": frame(RELAY, 7, 0x10, opened(), END_HEAD),
    "open-client": frame(CLIENT, 8, 0x10, opened(), END_HEAD),
    "head-request": frame(RELAY, 2, 0x11, b"rest", FIN | END_HEAD),
    "head-informational": frame(CLIENT, 2, 0x11, HEADS["103"],
                                0x10 | END_HEAD),
    "head-final": frame(CLIENT, 2, 0x11, HEADS["200"], 0x20 | END_HEAD),
    "head-trailers": frame(CLIENT, 2, 0x11, HEADS["trailers"],
                           0x30 | FIN | END_HEAD),
    "head-final-relay": frame(RELAY, 2, 0x11, HEADS["200"], 0x20 | END_HEAD),
    "data": frame(CLIENT, 2, 0x12, b"hello", BLOCKED),
    "data-fin": frame(RELAY, 2, 0x12, b"", FIN),
    "data-empty": frame(RELAY, 2, 0x12),
    "window": frame(CLIENT, 2, 0x13, struct.pack(">I", 65536)),
    "window-zero": frame(CLIENT, 2, 0x13, bytes(4)),
    "reset": frame(RELAY, 2, 0x14, b"\0\6"),
    "reset-unknown": frame(RELAY, 2, 0x14, b"\x7f\xff"),
    "stop": frame(CLIENT, 2, 0x15),
    "bind": frame(CLIENT, 0, 0x20, b"\0\1" + string8(b"demo") + b"T" * 16),
    "bind-any": frame(CLIENT, 0, 0x20, b"\0\2" + string8(b"") + b"T" * 16),
    "bound": frame(RELAY, 0, 0x21,
                   b"\0\1" + string16(b"https://demo.t.example.com")),
    "refused": frame(RELAY, 0, 0x22, b"\0\1\0\x0c" + string8(b"taken")),
    "unbind": frame(CLIENT, 0, 0x23, b"\0\1"),
    "unbound": frame(RELAY, 0, 0x24, b"\0\1\0\x0a" + string8(b"replaced")),
    "unbound-escape": frame(RELAY, 0, 0x24, b"\0\1\0\x0a" + string8(b"\x1b[2J")),
    "goaway": frame(RELAY, 0, 0x25, b"\0\x0f" + string8(b"bye")),
    "goaway-escape": frame(RELAY, 0, 0x25, b"\0\x0f" + string8(b"\x9b2J")),
    "bound-blank": frame(RELAY, 0, 0x21, b"\0\1" + string16(b"https://a b")),
    "next-key": frame(RELAY, 0, 0x80, b"K" * 32 + b"S" * 64),
    "unknown": frame(CLIENT, 0, 0x7f),
    "optional": frame(CLIENT, 3, 0xff, b"whatever", 0xff),
    "too-long": CLIENT + struct.pack(">IHBB", 2, 16377, 0x12, 0),
    "short": b"\0\0\0",
}


def write(room, seeds):
    folder = CORPUS / room
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (folder / f"seed-{name}").write_bytes(data)
    print(f"{room}: {len(seeds)} seeds")


if __name__ == "__main__":
    write("frame", FRAMES)
    write("head", HEADS)
