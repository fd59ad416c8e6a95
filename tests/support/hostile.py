"""Hostile heads through the real programs: visitor, relay, client, service.

    with House(folder) as house:
        wrong = house.run(cases, is_bytewise=True)

Each case is a visitor with an address of its own in 127.0.0.0/8, and so the
service knows by X-Forwarded-For whose bytes it gets; bytes that are nobody's
are an error in themselves. After a case whose connection stays open one more
request is sent on it, so that a difference of opinion about where the last one
ended shows.

A connection without any byte says nothing of whose it is. The client opens one
for an exchange that is cancelled before its head is written, and so there may
be at most one for each such exchange.
"""

import concurrent.futures
import contextlib
import json
import select
import socket
import ssl
import threading
import time

import stage
import tunnel
import wire
from vectors import NAME, NO_HANDSHAKE, OURS, Case, Page

AT_ONCE = 32        # visitors
PIECES_MAX = 1500   # of one case, byte by byte; longer ones in larger pieces
WAIT_S = 20.0
SETTLE_S = 10.0     # for the last bytes to reach the service
READ_BYTES = 65536
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
PROBE = b"GET /probe HTTP/1.1\r\nHost: %s\r\n\r\n"
LABELS = {NAME: "service", "b.test": "neighbour"}
PROBED = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nprobe"


class Run:
    """A case under way: what came to the service of it, and to the visitor."""

    def __init__(self, case, number, is_bytewise):
        self.case = case
        self.address = f"127.{number >> 16 & 255}.{number >> 8 & 255}." \
            f"{number & 255}"
        self.is_bytewise = is_bytewise
        self.requests = 0
        self.at_service = []  # [label, bytes] for each connection
        self.at_visitor = b""
        self.end = None
        self.trouble = None

    def pieces(self, data):
        """|data| as it is sent."""
        if not self.is_bytewise:
            return [data] if data else []
        size = 1 + len(data) // PIECES_MAX
        return [data[at:at + size] for at in range(0, len(data), size)]


# --- the service -------------------------------------------------------------

class Service:
    """Records what arrives, and says what its visitor's case has it say."""

    def __init__(self, house, label):
        self.house = house
        self.label = label
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._threads = []
        self._start(self._accept)

    def _start(self, what, *args):
        self._threads.append(
            threading.Thread(target=what, args=args, daemon=True))
        self._threads[-1].start()

    def stop(self):
        """Listen no more; back when every connection has told its end."""
        # close() alone leaves a thread in accept(), and the port open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(WAIT_S)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._start(self._serve, sock)

    def _serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(WAIT_S * 3)
        record = [self.label, b""]
        run, answered = None, 0
        with sock, contextlib.suppress(OSError):
            while data := sock.recv(READ_BYTES):
                record[1] += data
                if run is None and b"\r\n\r\n" in record[1]:
                    run = self.house.owner_of(record)
                    if run is None:
                        return
                if run is not None:
                    answered = self._answer(sock, run, record, answered)
        if not record[1]:
            self.house.silent.append(self.label)
        elif run is None:
            self.house.strays.append(bytes(record[1]))

    def _answer(self, sock, run, record, answered):
        """Say what is due by now; how many requests have been answered."""
        found, _ = wire.messages(record[1], is_raw_after=is_raw(run.case))
        for message in found[answered:]:
            if message.fields.get("x-forwarded-for") != run.address:
                self.house.strays.append(message.head)
            if " /probe " in message.start:
                sock.sendall(PROBED)
            elif run.case.reply is not None and run.requests == 0:
                run.requests += 1
                say(sock, run)
            elif message.is_whole:
                run.requests += 1
                is_head = message.start.startswith("HEAD ")
                sock.sendall(OK[:-2] if is_head else OK)
            else:
                break
            answered += 1
        return answered


def is_raw(case):
    """Whether the service grants an upgrade."""
    return (case.reply or b"").startswith(b"HTTP/1.1 101")


def say(sock, run):
    """The service's part of a case."""
    sock.setblocking(True)
    parts = run.pieces(run.case.reply)
    for part in parts[:-1] + [b"".join(parts[-1:]) + run.case.behind]:
        sock.sendall(part)
        time.sleep(0)
    if run.case.reply_ends:
        sock.shutdown(socket.SHUT_WR)


# --- the visitor -------------------------------------------------------------

class Visitor:
    """One TLS connection that can read while it sends."""

    def __init__(self, run, port, context):
        self.run = run
        self.raw = socket.socket()
        self.raw.bind((run.address, 0))
        self.raw.settimeout(WAIT_S)
        self.raw.connect(("127.0.0.1", port))
        self.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        name = run.case.server_name
        self._tls = context.wrap_bio(
            self._in, self._out,
            server_hostname=None if name == "none" else name)

    def shake(self):
        """The handshake; SSLError when the relay refuses it."""
        while True:
            try:
                self._tls.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                data = self.raw.recv(READ_BYTES)
                self._in.write(data) if data else self._in.write_eof()

    def _flush(self):
        if self._out.pending:
            self.raw.sendall(self._out.read())

    def _take(self):
        """Read once from the socket, and all that it gives."""
        try:
            data = self.raw.recv(READ_BYTES)
        except ConnectionError:
            self.run.end = "cut"
            return
        self._in.write(data) if data else self._in.write_eof()
        try:
            while text := self._tls.read(READ_BYTES):
                self.run.at_visitor += text
            self.run.end = "closed"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.run.end = "closed"
        except ssl.SSLError:
            self.run.end = "cut"

    def send(self, data):
        """A record for each piece, as long as the relay listens."""
        for part in self.run.pieces(data):
            if self.run.end is not None:
                return
            try:
                self._tls.write(part)
                self._flush()
            except ConnectionError:
                return
            time.sleep(0)
            if select.select([self.raw], [], [], 0)[0]:
                self._take()

    def leave(self):
        """End our half properly; a relay may reset us for its first part."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        with contextlib.suppress(OSError):
            self._flush()
            self.raw.shutdown(socket.SHUT_WR)

    def read_until(self, is_enough):
        """Read to the end, or until |is_enough|."""
        until = time.monotonic() + WAIT_S
        while self.run.end is None and not is_enough():
            left = until - time.monotonic()
            if left < 0 or not select.select([self.raw], [], [], left)[0]:
                self.run.end = "open"
                return
            self._take()


def visit(run, port, context):
    """The visitor's part of a case."""
    case = run.case
    visitor = Visitor(run, port, context)
    with visitor.raw:
        try:
            visitor.shake()
        except (ssl.SSLError, ConnectionError):
            run.end = NO_HANDSHAKE
            return
        visitor.send(case.visitor)
        if case.visitor_ends:
            visitor.leave()
        if case.end == "open":
            visitor.send(PROBE % case.server_name.encode())
            visitor.read_until(lambda: is_probed(run))
        elif case.end == "raw":
            visitor.read_until(lambda: len(run.at_visitor) >=
                               len(case.answers[0]))
            run.end = run.end or "raw"
        else:
            visitor.read_until(lambda: False)


def received(run):
    """The visitor's messages, and what came behind them."""
    return wire.messages(run.at_visitor, is_response=True,
                         is_head=run.case.visitor.startswith(b"HEAD "))


def is_probed(run):
    """Whether the request behind the case's own has been answered."""
    if run.case.server_name.lower() in LABELS:
        return run.at_visitor.endswith(PROBED)
    found, _ = received(run)
    return len(found) > len(run.case.answers) and found[-1].is_whole


# --- what must have come of it -----------------------------------------------

def ours(run, port):
    """Our fields, as the service must get them."""
    host = f"{run.case.server_name.lower()}:{port}"
    return (f"x-forwarded-for: {run.address}\r\nx-real-ip: {run.address}\r\n"
            f"x-forwarded-proto: https\r\nx-forwarded-host: {host}\r\n"
            f"x-forwarded-port: {port}\r\n").encode()


def wrong_answer(run):
    """What is wrong with what the visitor saw; None when nothing is."""
    case = run.case
    if case.answers == [NO_HANDSHAKE]:
        return None if run.end == NO_HANDSHAKE else f"end {run.end}"
    found, rest = received(run)
    forms = [m.form for m in found]
    if case.end == "open":
        probe = forms.pop() if forms else b""
        if case.server_name.lower() not in LABELS:
            if not found or found[-1].status != case.answers[-1].status:
                return f"after it came {probe!r}"
        elif probe != PROBED:
            return f"after it came {probe!r}"
    elif case.end == "left":
        if run.end not in ("closed", "cut"):
            return f"end {run.end}"
    elif run.end != case.end:
        if not (case.end == "cut" and found and found[-1].status == 502):
            return f"end {run.end}"
    return wrong_bytes(case, found, b"".join(forms) + rest)


def wrong_bytes(case, found, seen):
    """The same, of the bytes alone."""
    for answer in case.answers:
        if isinstance(answer, Page):
            at = next((i for i, m in enumerate(found)
                       if seen.startswith(m.form)), None)
            if at is None:
                return f"no answer, but {seen!r}"
            page = found[at]
            if page.status != answer.status or not page.is_whole:
                return f"answer {page.form!r}"
            said = json.loads(page.form[len(page.head):] or b'{"message":""}')
            if answer.sentence not in said["message"]:
                return f"answer {page.form!r}"
            seen = seen[len(page.form):]
        elif case.end == "cut":
            if found and found[-1].status == 502:
                seen = seen[:-len(found[-1].form)]
            return None if answer.startswith(seen) else f"seen {seen!r}"
        elif not seen.startswith(answer):
            return f"seen {seen!r}"
        else:
            seen = seen[len(answer):]
    return f"also seen {seen!r}" if seen else None


def at_service(run, port):
    """What each service got of a case, and what it had to get."""
    case = run.case
    mine = ours(run, port)
    expected = {label: text.replace(OURS, mine)
                for label, text in case.service.items()}
    label = LABELS.get(case.server_name)
    if case.end == "open" and label is not None:
        expected[label] = expected.get(label, b"") + (
            b"GET /probe HTTP/1.1\r\nhost: %s\r\n%s\r\n" % (
                case.server_name.encode(), mine))
    for label in ("service", "neighbour"):
        got = b"".join(
            wire.canonical(data, is_raw_after=is_raw(case))
            for place, data in list(run.at_service) if place == label)
        yield label, got, expected.get(label, b"")


def wrong_at_service(run, port):
    """What is wrong with what reached the service; None when nothing is."""
    for label, got, want in at_service(run, port):
        if got != want and not (
                run.case.is_cut_short and want.startswith(got)):
            return f"{label} got\n    {got!r}\n  not\n    {want!r}"
    return None


def silent(run, port):
    """The services that may have got a connection of it and no byte on it."""
    return [label for label, got, want in at_service(run, port)
            if run.case.is_cut_short
            and len(wire.messages(got)[0]) < len(wire.messages(want)[0])]


# --- all of it ---------------------------------------------------------------

class House:
    """A relay for *.test; a.test and b.test lead to services that record."""

    def __init__(self, folder):
        self.strays = []
        self.silent = []  # labels; see above
        self.runs = {}
        self._number = 0
        self.services = [Service(self, "service"), Service(self, "neighbour")]
        self.relay = tunnel.Relay(folder, base="test")
        self.clients = [tunnel.Client(self.relay, folder, machine)
                        for machine in ("one", "two")]

    def __enter__(self):
        self.relay.start()
        for client, service, name in zip(self.clients, self.services, "ab"):
            client.login()
            client.http("127.0.0.1:1", name=f"gone{name}",
                        options=["--no-probe"])
            client.stop()
            client.http(f"127.0.0.1:{service.port}", name=name,
                        options=["--no-probe"])
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stop()
        self.relay.stop()
        for service in self.services:
            service.stop()
        for child in [self.relay.child, *(c.child for c in self.clients)]:
            stage.check_sound(child)

    def unexplained(self):
        """
        What came to the services and belongs to no visitor: bytes, and
        connections without any beyond those of exchanges that were cancelled.
        """
        may_be = [label for run in self.runs.values()
                  for label in silent(run, self.relay.port)]
        more = {label: self.silent.count(label) - may_be.count(label)
                for label in LABELS.values()}
        return self.strays + [f"{count} silent connections to the {label}"
                              for label, count in more.items() if count > 0]

    def owner_of(self, record):
        """Whose visitor's bytes these are."""
        found, _ = wire.messages(record[1])
        run = self.runs.get(found[0].fields.get("x-forwarded-for"))
        if run is not None:
            run.at_service.append(record)
        return run

    def _attempt(self, run, context):
        try:
            visit(run, self.relay.port, context)
        except Exception as error:  # pylint: disable=broad-except
            run.trouble = repr(error)

    def run(self, cases: list[Case], is_bytewise):
        """Run every case; a line for each that went wrong."""
        context = ssl.create_default_context(cafile=self.relay.ca)
        context.check_hostname = False
        runs = []
        for case in cases:
            self._number += 1
            runs.append(Run(case, 0x010000 + self._number, is_bytewise))
            self.runs[runs[-1].address] = runs[-1]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda run: self._attempt(run, context), runs))

        until = time.monotonic() + SETTLE_S
        while any(wrong_at_service(run, self.relay.port) for run in runs) \
                and time.monotonic() < until:
            time.sleep(0.1)
        return [f"{run.case.name}: {why}" for run in runs
                for why in [run.trouble or wrong_answer(run) or
                            wrong_at_service(run, self.relay.port)] if why]
