"""ClientHellos of every odd size, and cut at every byte.

Each is a real one of OpenSSL's, and each connection comes from an address of
its own, so that no limit of an address is in the way. What must pass is
followed to the end of the handshake, what must not ends with an alert.
"""

import concurrent.futures
import itertools
import socket
import ssl
import time

HELLO_MAX = 16384
SHORTEST = 520
LONG = 2000
THREADS = 8
WAIT_S = 30.0
APART_S = 0.002
DECODE_ERROR = bytes([21, 3, 3, 0, 2, 2, 50])
_turn = itertools.count()


class Hello:
    """One TLS connection to be, whose hello is |size| bytes, or as it is."""

    def __init__(self, house, size=None):
        self.house = house
        self._make(())
        if size is not None:
            # What a long one has beside its protocols: OpenSSL pads others.
            self._make(fill(LONG))
            self._make(fill(size - (len(self.handshake) - LONG)))
            assert len(self.handshake) == size

    def _make(self, protocols):
        context = ssl.create_default_context(cafile=self.house.relay.ca)
        if protocols:
            context.set_alpn_protocols(protocols)
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.into, self.out,
                                    server_hostname=self.house.host)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        self.bytes = self.out.read()
        self.handshake, rest = b"", self.bytes
        while rest:
            end = 5 + int.from_bytes(rest[3:5], "big")
            self.handshake += rest[5:end]
            rest = rest[end:]

    def connect(self):
        """A connection from an address that was not used yet."""
        number = next(_turn)
        raw = socket.create_connection(
            ("127.0.0.1", self.house.relay.port), WAIT_S,
            source_address=(f"127.20.{number // 250}.{1 + number % 250}", 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw

    def passes(self, pieces, gap_s=0.0):
        """Send the hello in |pieces|; whether the handshake is done then."""
        with self.connect() as raw:
            for piece in pieces:
                raw.sendall(piece)
                if gap_s:
                    time.sleep(gap_s)
            while True:
                try:
                    self.tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    data = raw.recv(65536)
                    if not data:
                        return False
                    self.into.write(data)
                except ssl.SSLError:
                    return False
            raw.sendall(self.out.read())
            return True

    def answer(self):
        """What the relay says to a hello it does not take."""
        with self.connect() as raw:
            got = b""
            try:
                raw.sendall(self.bytes)
                while data := raw.recv(65536):
                    got += data
            except ConnectionError:
                pass
            return got


def records(handshake, most=16384):
    """Handshake bytes as records of at most |most| bytes."""
    return b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
        for part in (handshake[i:i + most]
                     for i in range(0, len(handshake), most)))


def fill(length):
    """Protocols that make a hello |length| bytes longer."""
    left = length - 6  # the extension's head and the list's length
    names = []
    while left > 0:
        take = min(left, 256)
        if left - take == 1:
            take -= 1
        names.append("x" * (take - 1))
        left -= take
    return names


def sizes():
    """Odd ones all the way, and all before what may be a border."""
    near = [border + d for border in
            (1024, 2048, 4096, 8192, 12288, HELLO_MAX)
            for d in range(-8, 1)]
    return sorted({s for s in [*range(SHORTEST + 1, HELLO_MAX, 166), *near]
                   if s >= SHORTEST})


def count(cases):
    """How many of the functions |cases| say true; and of how many."""
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        got = list(pool.map(lambda case: case(), cases))
    return sum(got), len(got)


def check(tally, house):
    """All claims about hellos."""
    plain = len(Hello(house).bytes)

    def whole(size):
        hello = Hello(house, size)
        return hello.passes([hello.bytes])

    def cut(at):
        hello = Hello(house)
        return hello.passes([hello.bytes[:at], hello.bytes[at:]], APART_S)

    def split(at):
        hello = Hello(house)
        part = hello.handshake
        return hello.passes([records(part[:at]) + records(part[at:])])

    def bytewise(size):
        hello = Hello(house, size)
        return hello.passes([bytes([b]) for b in hello.bytes])

    def refused(size):
        return Hello(house, size).answer() == DECODE_ERROR

    for claim, case, cases in (
            ("hellos of all sizes up to 16 KiB pass", whole, sizes()),
            ("a hello cut in two at any byte passes", cut, range(1, plain)),
            ("a hello in two records, split at any byte, passes", split,
             range(1, plain - 5)),
            ("a hello one byte at a time passes", bytewise,
             [SHORTEST, 2001, 5003]),
            ("hellos over 16 KiB are refused", refused,
             [HELLO_MAX + 1, HELLO_MAX + 2, HELLO_MAX + 1000, 20001, 33333])):
        passed, all_cases = count(
            [lambda case=case, one=one: case(one) for one in cases])
        tally.check(claim, passed == all_cases, f"{passed} of {all_cases}")
