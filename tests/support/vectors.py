"""The cases of tests/vectors: what is sent, and what must come of it.

tests/vectors/README.md has the format. A Case says all that hostile.py needs
to send it through the real relay and client: the visitor's bytes, the
service's, and what each of the two must see. For the parser's tables the
latter follows from the events; see from_request() and from_response().
"""

import dataclasses
import http.client
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "vectors")
NAME = "a.test"
NO_HANDSHAKE = "no handshake"
OURS = b"{ours}"
LETTERS = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}
ASK = {
    "plain": b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\nHost: a.test\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n"
               b"Upgrade: websocket\r\n\r\n",
}
ASKED = {
    "plain": b"GET / HTTP/1.1\r\nhost: a.test\r\n{ours}\r\n",
    "old": b"GET / HTTP/1.1\r\nhost: a.test\r\n{ours}\r\n",
    "head": b"HEAD / HTTP/1.1\r\nhost: a.test\r\n{ours}\r\n",
    "upgrade": b"GET / HTTP/1.1\r\nhost: a.test\r\n{ours}"
               b"connection: Upgrade\r\nupgrade: websocket\r\n\r\n",
}


@dataclasses.dataclass
class Page:
    """An answer of the relay's own: its status, a part of its message."""
    status: int
    sentence: str = ""


@dataclasses.dataclass
class Case:
    """One exchange, or several on one connection."""
    name: str
    server_name: str = NAME
    expect: str = "plain"
    visitor: bytes = b""
    visitor_ends: bool = False
    reply: bytes = None  # None: "ok" to each request, when it is whole
    behind: bytes = b""  # sent together with the reply's last byte
    reply_ends: bool = False
    answers: list = dataclasses.field(default_factory=list)
    end: str = "open"  # closed, cut, open, raw, left
    service: dict = dataclasses.field(default_factory=dict)
    is_cut_short: bool = False  # the service need not have got all of it


def unescape(text):
    """The bytes that |text| stands for."""
    def one(match):
        text = match.group(1)
        return LETTERS.get(text) or bytes([int(text[1:], 16)])
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)",
                  lambda m: one(re.match(r"\\(.*)", m.group().decode())),
                  text.encode("latin-1"))


def blocks(path):
    """Every case of a file: its name and its lines, as (word, rest)."""
    found = []
    with open(os.path.join(FOLDER, path), encoding="latin-1") as source:
        for line in source.read().split("\n"):
            if not line or line.startswith("#"):
                continue
            word, _, rest = line.partition(" ")
            if word == "case":
                found.append((rest, []))
            else:
                found[-1][1].append((word, rest))
    names = [name for name, _ in found]
    assert len(set(names)) == len(names), "a name stands twice"
    return found


def piece(word, rest):
    """The bytes of an `in` or `times` line."""
    if word == "times":
        count, _, text = rest.partition(" ")
        return unescape(text) * int(count)
    return unescape(rest)


# --- the tables for both programs --------------------------------------------

def hostile(path, is_response):
    """The cases of tests/vectors/hostile."""
    return [_hostile(name, lines, is_response)
            for name, lines in blocks(os.path.join("hostile", path))]


def _hostile(name, lines, is_response):
    case = Case(name)
    into = "reply" if is_response else "visitor"
    if is_response:
        case.reply = b""
    for word, rest in lines:
        if word in ("in", "times", "reply"):
            where = "reply" if word == "reply" else into
            setattr(case, where, (getattr(case, where) or b"")
                    + piece(word, rest))
        elif word == "behind":
            case.behind = unescape(rest)
        elif word == "close":
            setattr(case, into + "_ends", True)
        elif word == "sni":
            case.server_name = rest
        elif word in ("expect", "end"):
            setattr(case, word, rest)
        elif word in ("service", "service-times", "neighbour"):
            place = word.partition("-")[0]
            case.service[place] = case.service.get(place, b"") + \
                piece(word.rpartition("-")[2], rest)
        elif word == "at-most":
            case.service["service"] = unescape(rest)
            case.is_cut_short = True
        elif word == "answer-times":
            case.answers.append(piece("times", rest))
        elif word == "answer" and rest[:3].isdigit():
            case.answers.append(Page(int(rest[:3]), rest[4:]))
        elif word == "answer":
            case.answers.append(NO_HANDSHAKE if rest == NO_HANDSHAKE
                                else unescape(rest))
        else:
            raise ValueError(f"{name}: {word}?")
    if is_response:
        case.visitor = ASK[case.expect]
        case.service["service"] = ASKED[case.expect]
    return case


# --- the parser's tables, end to end -----------------------------------------

class Told:
    """The events of one message, collected."""

    def __init__(self, words):
        self.flags = words
        self.fields, self.trailers, self.body = [], None, b""

    def field(self, text):
        """A line of the head, or of the trailers."""
        name, _, value = text.partition(":")
        line = unescape(f"{name}: {value.strip()}\r\n".replace(":  ", ": "))
        (self.fields if self.trailers is None else self.trailers).append(line)

    def has(self, flag):
        """Whether the head says |flag|."""
        return flag in self.flags

    def framing(self):
        """The framing line and the body, as the next hop writes them."""
        length = next((f for f in self.flags if f.startswith("length=")), None)
        if length:
            return b"content-length: %s\r\n" % length[7:].encode()
        return b"transfer-encoding: chunked\r\n" if self.has("unknown") else b""

    def rest(self, is_whole):
        """The body."""
        if not self.has("unknown"):
            return self.body
        if not is_whole:
            return self.body
        size = b"%x\r\n%s\r\n" % (len(self.body), self.body)
        return (size if self.body else b"") + b"0\r\n" + \
            b"".join(self.trailers or []) + b"\r\n"


def events(lines):
    """The `out` lines as (kind, text, Told)."""
    told = None
    for word, rest in lines:
        if word != "out":
            continue
        kind, _, text = rest.partition(" ")
        if kind == "head":
            told = Told(text.split(" "))
        elif kind == "field":
            told.field(text)
        elif kind == "body":
            told.body += unescape(text)
        elif kind == "trailers":
            told.trailers = []
        yield kind, text, told


def sent(lines):
    """The bytes of a parser's case, and whether their sender ends."""
    text = b"".join(piece(word, rest) for word, rest in lines
                    if word in ("in", "times"))
    return text, ("close", "") in lines


def _request(told, is_whole):
    """What the service gets of the request |told|."""
    method, target, host = (unescape(flag) for flag in told.flags[:3])
    fields = [f for f in told.fields if b"_" not in f.partition(b":")[0]]
    last = told.framing() if not told.has("upgrade") else \
        b"connection: Upgrade\r\nupgrade: websocket\r\n"
    return (b"%s %s HTTP/1.1\r\nhost: %s\r\n" % (
        method, target, host[5:] or NAME.encode())
        + b"".join(fields) + OURS + last + b"\r\n" + told.rest(is_whole))


def keeps(told):
    """Whether the connection goes on: not after an upgrade that is refused."""
    return told.has("keep") and not told.has("upgrade")


def ok(told):
    """What the visitor gets for a request that reached the service."""
    last = b"" if keeps(told) else b"connection: close\r\n"
    if keeps(told) and told.has("1.0"):
        last = b"connection: keep-alive\r\n"
    return (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + last + b"\r\n"
            + (b"" if told.has("HEAD") else b"ok"))


def from_request(name, lines):
    """
    A case of requests.txt: each message that was told reaches the service
    and is answered; what is refused is answered by the relay, and of its
    message no end reaches the service.
    """
    case = Case(name)
    case.visitor, case.visitor_ends = sent(lines)
    got, open_told = b"", None
    for kind, text, told in events(lines):
        if kind == "head":
            open_told = told
            host = told.flags[2][5:].lower()
            if host and host.rpartition(":")[0] != NAME and host != NAME:
                case.answers.append(Page(421))
                case.end = "closed"
                open_told = None
                break
        elif kind == "end":
            got += _request(told, True)
            case.answers.append(ok(told))
            case.end = "open" if keeps(told) else "closed"
            open_told = None
        elif kind == "refused" and not case.visitor_ends:
            status, _, sentence = text.partition(" ")
            case.answers.append(Page(int(status), sentence))
            case.end = "closed"
    if open_told is not None:
        got += _request(open_told, False)
        case.is_cut_short = True
    if case.visitor_ends:
        case.end = "left"
    case.service = {"service": got}
    return case


def _response(told, expect, is_whole):
    """What the visitor gets of the response |told|."""
    status = int(told.flags[0])
    reason = http.client.responses.get(status, "")
    last = told.framing()
    if status == 101:
        last = b"connection: Upgrade\r\nupgrade: websocket\r\n"
    elif expect == "upgrade":
        last += b"connection: close\r\n"
    head = f"HTTP/1.1 {status} {reason}\r\n".encode() + \
        b"".join(told.fields) + last + b"\r\n"
    if expect == "head" or status in (204, 304) or status < 200:
        return head
    return head + told.rest(is_whole)


def from_response(name, lines):
    """
    A case of responses.txt: what was told reaches the visitor; what is refused
    is a 502 before its head was told, and a cut after it.
    """
    case = Case(name)
    case.expect = dict(lines).get("expect", "plain")
    case.visitor = ASK[case.expect]
    case.reply, case.reply_ends = sent(lines)
    case.service = {"service": ASKED[case.expect]}
    whole, last = b"", None
    for kind, _text, told in events(lines):
        if kind == "head" and last is not None:
            whole += _response(last, case.expect, True)  # informational
        last = told
        if kind == "refused" and told is None:
            case.answers.append(Page(502))
            case.end = "closed"
        elif kind == "refused":
            whole += _response(told, case.expect, False)
            case.end = "cut"
        elif kind == "end":
            whole += _response(told, case.expect, True)
            case.end = "closed" if case.expect == "upgrade" else "open"
        elif kind == "raw":
            whole += _response(told, case.expect, True) + b"\x81\x02hi"
            case.end = "raw"
    if whole:
        case.answers.insert(0, whole)
    return case


def tables():
    """Every case, by table."""
    return {
        "requests": [from_request(*block) for block in blocks("requests.txt")],
        "responses": [from_response(*b) for b in blocks("responses.txt")],
        "hostile requests": hostile("requests.txt", False),
        "hostile responses": hostile("responses.txt", True),
    }
