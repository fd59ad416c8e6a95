"""Frames of sallyport/1 as bytes, written from PROTOCOL.md and nothing else.

Nothing here is checked: a test puts in what it wants, right or wrong.
"""

import struct

LOGIN, WELCOME, DENIED, PING, PONG, ACK = range(1, 7)
OPEN, HEAD, DATA, WINDOW, RESET, STOP = range(0x10, 0x16)
BIND, BOUND, REFUSED, UNBIND, UNBOUND, GOAWAY = range(0x20, 0x26)
NEXT_KEY = 0x80

FIN, END_HEAD, BLOCKED = 1, 2, 4
INFORMATIONAL, FINAL, TRAILERS = 0x10, 0x20, 0x30

PAYLOAD_MAX = 16376
HEADER_LEN = 8
FIRST_WINDOW = 262144
WINDOW_MAX = 16777216

CODES = ("OK PROTOCOL FLOW LIMIT AUTH NOMEM CANCEL REFUSED SERVICE_DOWN "
         "SERVICE_BROKE REPLACED REVOKED NAME_TAKEN NAME_BAD RENEW SHUTDOWN "
         "VERSION TIMEOUT HEAD STALE BINDING EXPIRED").split()
CODE = {name: number for number, name in enumerate(CODES)}


def string8(text):
    """A length of one byte and |text|."""
    return bytes([len(text)]) + text


def string16(text):
    """A length of two bytes and |text|."""
    return struct.pack(">H", len(text)) + text


def frame(kind, stream=0, payload=b"", flags=0):
    """Header and payload."""
    return struct.pack(">IHBB", stream, len(payload), kind, flags) + payload


def login_body(key, flags=0, enrol_key=b"", **other):
    """LOGIN without its signatures."""
    values = {"minor_min": 0, "minor_max": 0, "slot": 0, "features": 0,
              "window": FIRST_WINDOW, "streams": 4096, "tunnels": 20,
              "grace": 0, "session": bytes(16), "epoch": 1, "received": 0,
              "software": b"hostile", **other}
    if enrol_key:
        flags |= 2
    return struct.pack(
        ">BBBBQ32sIIII16sIQ", values["minor_min"], values["minor_max"], flags,
        values["slot"], values["features"], key, values["window"],
        values["streams"], values["tunnels"], values["grace"],
        values["session"], values["epoch"], values["received"]) \
        + enrol_key + string8(values["software"])


def login_epoch(payload):
    """The epoch of a LOGIN that came."""
    return struct.unpack(">I", payload[76:80])[0]


def welcome_body(epoch=1, flags=0, **other):
    """WELCOME without its signature."""
    values = {"minor": 0, "slot": 0, "features": 0, "window": FIRST_WINDOW,
              "streams": 4096, "tunnels": 20, "grace": 45,
              "session": b"s" * 16, "received": 0, "software": b"liar",
              **other}
    return struct.pack(
        ">BBBQIIII16sIQ", values["minor"], flags, values["slot"],
        values["features"], values["window"], values["streams"],
        values["tunnels"], values["grace"], values["session"], epoch,
        values["received"]) + string8(values["software"])


def denied_body(code, sentence=b""):
    """DENIED without its signature."""
    return struct.pack(">H", code) + string8(sentence)


def number(kind, value, stream=0):
    """PING, PONG and ACK: 8 bytes."""
    return frame(kind, stream, struct.pack(">Q", value))


def window(stream, credit):
    """WINDOW."""
    return frame(WINDOW, stream, struct.pack(">I", credit))


def reset(stream, code=6):
    """RESET."""
    return frame(RESET, stream, struct.pack(">H", code))


def data(stream, payload=b"", flags=0):
    """DATA."""
    return frame(DATA, stream, payload, flags)


def bind(tunnel, name=b"", tag=bytes(16)):
    """BIND."""
    return frame(BIND, 0, struct.pack(">H", tunnel) + string8(name) + tag)


def unbind(tunnel):
    """UNBIND."""
    return frame(UNBIND, 0, struct.pack(">H", tunnel))


def bound(tunnel, url):
    """BOUND."""
    return frame(BOUND, 0, struct.pack(">H", tunnel) + string16(url))


def verdict(kind, tunnel, code, sentence=b""):
    """REFUSED and UNBOUND."""
    return frame(kind, 0, struct.pack(">HH", tunnel, code)
                 + string8(sentence))


def goaway(code, sentence=b""):
    """GOAWAY."""
    return frame(GOAWAY, 0, struct.pack(">H", code) + string8(sentence))


def fields(pairs):
    """The fields of a head block."""
    return struct.pack(">H", len(pairs)) + b"".join(
        string8(name) + string16(value) for name, value in pairs)


def request(target=b"/", pairs=(), method=b"GET", **other):
    """A request's head block."""
    values = {"flags": 0, "framing": 0, "length": 0, "authority": b"a.b",
              **other}
    return struct.pack(">BBBQ", 1, values["flags"], values["framing"],
                       values["length"]) + string8(method) \
        + string16(target) + string8(values["authority"]) + fields(pairs)


def response(status=200, pairs=(), flags=0, framing=2, length=0):
    """A response's head block."""
    return struct.pack(">BBBQH", 2, flags, framing, length, status) \
        + fields(pairs)


def trailers(pairs=()):
    """A block of trailers."""
    return b"\3" + fields(pairs)


def open_fixed(tunnel=1, credit=FIRST_WINDOW, kind=1, conn=1, family=4):
    """OPEN's payload in front of the head."""
    address = b"\xc0\0\2\1" if family == 4 else bytes(16)
    return struct.pack(">HIBIB", tunnel, credit, kind, conn, family) \
        + address + struct.pack(">HB", 443, 11)


def open_stream(stream, head=None, flags=FIN | END_HEAD, **fixed):
    """OPEN with a whole head."""
    return frame(OPEN, stream, open_fixed(**fixed)
                 + (request() if head is None else head), flags)


def head(stream, block, flags=FINAL | END_HEAD):
    """HEAD."""
    return frame(HEAD, stream, block, flags)
