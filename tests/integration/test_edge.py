"""The relay's edge and HTTP/1.1, byte by byte.

Goal: whatever a visitor or a service writes within the rules arrives on the
other side with the same meaning, and every end is the right one.
Checks: framing, trailers, 1xx, HEAD, 204 and 304, pipelining, upgrades with
half-close, early answers, and the relay's own 4xx and 5xx.
"""

import json
import os
import socket
import ssl
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))), "support"))
import calm  # noqa: E402
import children  # noqa: E402
import tunnel  # noqa: E402
from raw_service import (RawService, read_all, read_exactly,  # noqa: E402
                         read_head, visit)

NAME = "edge.tunnel.test"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Place:
    """A relay, a client, and the service behind it."""

    def __init__(self, folder):
        self.folder = folder
        self.service = RawService().__enter__()
        self.relay = tunnel.Relay(folder)
        self.relay.start()
        self.client = tunnel.Client(self.relay, folder)
        self.client.login()
        self.client.http(f"127.0.0.1:{self.service.port}", name="edge")

    def visit(self, name=NAME):
        """A visitor's connection."""
        return visit(self.relay.port, self.relay.ca, name)

    def ask(self, text, name=NAME):
        """Send |text| on a connection of its own; all that comes back."""
        with self.visit(name) as sock:
            sock.sendall(text.encode() if isinstance(text, str) else text)
            return read_all(sock)

    def close(self):
        """End all three."""
        self.client.stop()
        self.relay.stop()
        self.service.__exit__()


@pytest.fixture(scope="module", name="place")
def _place(tmp_path_factory):
    place = Place(str(tmp_path_factory.mktemp("edge")))
    yield place
    place.close()


def get(path, *fields, method="GET", host=NAME):
    """A request's head."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {host}",
                        *fields, "", ""])


def status(answer):
    """The status of an answer."""
    return int(answer.split(b" ", 2)[1])


def fields(answer):
    """The fields of an answer, lower case."""
    lines = answer.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")[1:]
    return {n.lower(): v.strip() for n, v in
            (line.split(":", 1) for line in lines)}


# --- framing -----------------------------------------------------------------

def test_a_request_arrives_with_our_fields_and_no_forged_ones(place):
    """Checks: Host and X-Forwarded-*, identity and underscore fields."""
    place.service.answers["/fields"] = lambda s, r: s.sendall(OK)
    answer, _ = place.ask(get(
        "/fields?a=b", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http",
        "X-Real-IP: 6.6.6.6", "Forwarded: for=6.6.6.6", "X_User: root",
        "Tailscale-User-Login: root@example", "X-Kept: yes",
        "Connection: close, x-gone", "X-Gone: 1"))
    assert status(answer) == 200 and answer.endswith(b"ok")
    request = place.service.last("/fields")
    assert request.target == "/fields?a=b"
    assert request.get("host").split(":")[0] == NAME
    assert request.get("x-forwarded-for") == "127.0.0.1"
    assert request.get("x-real-ip") == "127.0.0.1"
    assert request.get("x-forwarded-proto") == "https"
    assert request.get("x-forwarded-host") == f"{NAME}:{place.relay.port}"
    assert request.get("x-forwarded-port") == str(place.relay.port)
    assert request.get("x-kept") == "yes"
    for name in ("forwarded", "x_user", "tailscale-user-login", "x-gone"):
        assert request.get(name) is None


def test_a_chunked_request_arrives_whole_with_its_trailers(place):
    """Checks: chunks in, chunks out, trailer fields."""
    got = {}

    def answer(sock, request):
        body = request.rest
        while not body.endswith(b"\r\n\r\n"):
            body += sock.recv(65536)
        got["body"] = body
        sock.sendall(OK)

    place.service.answers["/chunked-in"] = answer
    with place.visit() as sock:
        sock.sendall(get("/chunked-in", "Transfer-Encoding: chunked",
                         "Trailer: X-Sum", method="POST").encode())
        for part in (b"5\r\nhello\r\n", b"1\r\n \r\n", b"5\r\nworld\r\n",
                     b"0\r\nX-Sum: 42\r\n\r\n"):
            sock.sendall(part)
            time.sleep(0.05)
        head, rest = read_head(sock)
        assert status(head) == 200
        assert read_exactly(sock, 2, rest) == b"ok"
    request = place.service.last("/chunked-in")
    assert request.get("transfer-encoding") == "chunked"
    assert request.get("content-length") is None
    assert b"hello" in got["body"] and b"world" in got["body"]
    assert got["body"].lower().endswith(b"\r\n0\r\nx-sum: 42\r\n\r\n")


def test_a_chunked_response_arrives_with_its_trailers(place):
    """Checks: chunked out, trailers, and the connection goes on."""
    def answer(sock, _request):
        sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n"
                     b"trailer: x-sum\r\n\r\n")
        for part in (b"a\r\n0123456789\r\n", b"0\r\nx-sum: 7\r\n\r\n"):
            time.sleep(0.05)
            sock.sendall(part)

    place.service.answers["/chunked-out"] = answer
    place.service.answers["/next"] = lambda s, r: s.sendall(OK)
    with place.visit() as sock:
        sock.sendall(get("/chunked-out", "TE: trailers").encode())
        head, body = read_head(sock)
        assert fields(head)["transfer-encoding"] == "chunked"
        while not body.endswith(b"\r\n\r\n"):
            body += sock.recv(65536)
        assert b"0123456789" in body
        assert body.lower().endswith(b"0\r\nx-sum: 7\r\n\r\n")
        sock.sendall(get("/next").encode())
        head, rest = read_head(sock)
        assert status(head) == 200
        assert read_exactly(sock, 2, rest) == b"ok"


@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_a_body_have_none(place, code):
    """Checks: 204 and 304 and the next request on the same connection."""
    place.service.answers["/none"] = lambda s, r: s.sendall(
        f"HTTP/1.1 {code} X\r\netag: \"a\"\r\n\r\n".encode())
    place.service.answers["/next"] = lambda s, r: s.sendall(OK)
    with place.visit() as sock:
        for _ in range(2):
            sock.sendall(get("/none").encode())
            head, rest = read_head(sock)
            assert status(head) == code and rest == b""
            assert fields(head)["etag"] == '"a"'
            assert "transfer-encoding" not in fields(head)
            sock.sendall(get("/next").encode())
            head, rest = read_head(sock)
            assert read_exactly(sock, 2, rest) == b"ok"


def test_head_has_the_length_and_no_body(place):
    """Checks: HEAD keeps Content-Length, sends no byte of a body."""
    place.service.answers["/head"] = lambda s, r: s.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n")
    with place.visit() as sock:
        for _ in range(2):
            sock.sendall(get("/head", method="HEAD").encode())
            head, rest = read_head(sock)
            assert fields(head)["content-length"] == "1234"
            assert rest == b""


def test_a_close_delimited_response_becomes_chunks(place):
    """Checks: a service that ends its body by closing."""
    def answer(sock, _request):
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
        return "close"

    place.service.answers["/until"] = answer
    answer, is_clean = place.ask(get("/until", "Connection: close"))
    assert is_clean
    assert fields(answer)["transfer-encoding"] == "chunked"
    assert b"until the end" in answer and answer.endswith(b"0\r\n\r\n")


def test_an_old_visitor_gets_no_chunks(place):
    """Checks: HTTP/1.0 gets a body that ends with the connection."""
    place.service.answers["/old"] = lambda s, r: s.sendall(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        b"3\r\nold\r\n0\r\n\r\n")
    answer, is_clean = place.ask(f"GET /old HTTP/1.0\r\nHost: {NAME}\r\n\r\n")
    assert is_clean and answer.endswith(b"\r\n\r\nold")
    assert "transfer-encoding" not in fields(answer)


def test_pipelined_requests_are_answered_in_order(place):
    """Checks: three at once, one with a body, the first slow."""
    def slow(sock, _request):
        time.sleep(0.3)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1")

    def body(sock, request):
        data = read_exactly(sock, 5, request.rest)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + data)

    place.service.answers["/slow"] = slow
    place.service.answers["/body"] = body
    place.service.answers["/next"] = lambda s, r: s.sendall(OK)
    text = (get("/slow") + get("/body", "Content-Length: 5", method="POST")
            + "hello" + get("/next", "Connection: close"))
    answer, is_clean = place.ask(text)
    assert is_clean
    assert answer.count(b"HTTP/1.1 200") == 3
    assert [answer.find(b) for b in (b"\r\n\r\n1", b"hello", b"ok")] == sorted(
        answer.find(b) for b in (b"\r\n\r\n1", b"hello", b"ok"))
    assert answer.endswith(b"ok")


# --- 1xx ---------------------------------------------------------------------

def test_expect_100_goes_to_the_service_and_back(place):
    """Checks: the 100 is the service's, the body waits for it."""
    def answer(sock, request):
        assert request.get("expect") == "100-continue"
        assert request.rest == b""
        time.sleep(0.1)
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert read_exactly(sock, 4) == b"body"
        sock.sendall(OK)

    place.service.answers["/expect"] = answer
    with place.visit() as sock:
        sock.sendall(get("/expect", "Content-Length: 4",
                         "Expect: 100-continue", method="PUT").encode())
        head, rest = read_head(sock)
        assert status(head) == 100 and rest == b""
        sock.sendall(b"body")
        head, rest = read_head(sock)
        assert status(head) == 200
        assert read_exactly(sock, 2, rest) == b"ok"


def test_early_hints_come_before_the_answer(place):
    """Checks: several 1xx heads, with their fields."""
    def answer(sock, _request):
        for _ in range(2):
            sock.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
        sock.sendall(OK)

    place.service.answers["/hints"] = answer
    answer, _ = place.ask(get("/hints", "Connection: close"))
    assert answer.count(b" 103 ") == 2 and answer.lower().count(b"link:") == 2
    assert answer.endswith(b"ok")


# --- upgrades ----------------------------------------------------------------

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket",
           "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAA",
           "Sec-WebSocket-Extensions: permessage-deflate")
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n"
          b"upgrade: websocket\r\n\r\n")


def test_an_upgrade_is_raw_both_ways_with_half_close(place):
    """Checks: bytes untouched, early bytes kept, each direction ends alone."""
    got = {}

    def answer(sock, request):
        got["fields"] = request
        time.sleep(0.2)
        sock.sendall(SWITCH + b"hi\r\n\r\n")
        data, _ = read_all(sock, request.rest)
        got["data"] = data
        sock.sendall(b"after your end")
        return "close"

    place.service.answers["/raw"] = answer
    blob = bytes(range(256)) * 400
    with place.visit() as sock:
        sock.sendall(get("/raw", *UPGRADE).encode() + b"early")
        head, rest = read_head(sock)
        assert status(head) == 101
        assert fields(head)["upgrade"] == "websocket"
        assert read_exactly(sock, 6, rest) == b"hi\r\n\r\n"
        sock.sendall(blob)
        end_writing(sock)
        assert read_exactly(sock, 14) == b"after your end"
    assert got["fields"].get("sec-websocket-extensions") == \
        "permessage-deflate"
    place.service.wait(lambda: "data" in got)
    assert got["data"] == b"early" + blob


def end_writing(sock):
    """End our direction of TCP; TLS 1.3 allows to read on."""
    socket.socket.shutdown(sock, socket.SHUT_WR)


def test_a_refused_upgrade_is_an_ordinary_answer(place):
    """Checks: 403 with its body."""
    place.service.answers["/no-raw"] = lambda s, r: s.sendall(
        b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno")
    with place.visit() as sock:
        sock.sendall(get("/no-raw", *UPGRADE).encode())
        head, rest = read_head(sock)
        assert status(head) == 403
        assert read_exactly(sock, 2, rest) == b"no"


def test_a_101_that_nobody_asked_for_is_a_502(place):
    """Checks: the client does not believe the service."""
    place.service.answers["/odd"] = lambda s, r: s.sendall(SWITCH)
    answer, _ = place.ask(get("/odd", "Connection: close"))
    assert status(answer) == 502


def test_other_upgrade_tokens_do_not_pass(place):
    """Checks: h2c is dropped, the request goes on as HTTP/1.1."""
    place.service.answers["/h2c"] = lambda s, r: s.sendall(OK)
    answer, _ = place.ask(get("/h2c", "Connection: Upgrade, close",
                              "Upgrade: h2c"))
    assert status(answer) == 200
    assert place.service.last("/h2c").get("upgrade") is None


# --- ends --------------------------------------------------------------------

def test_a_visitor_that_leaves_cancels_at_the_service(place):
    """Checks: the service's connection ends while it still answers."""
    def answer(sock, _request):
        sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                sock.sendall(b"1\r\nx\r\n")
                time.sleep(0.05)
        except OSError:
            place.service.note_end("/endless")
            raise

    place.service.answers["/endless"] = answer
    with place.visit() as sock:
        sock.sendall(get("/endless").encode())
        read_head(sock)
    place.service.wait(lambda: "/endless" in place.service.ended)


def test_a_visitor_that_leaves_before_the_head_cancels_too(place):
    """Checks: the wait for a response's head ends with the visitor."""
    def answer(sock, _request):
        try:
            assert sock.recv(1) == b""
        finally:
            place.service.note_end("/thinking")
        return "close"

    place.service.answers["/thinking"] = answer
    with place.visit() as sock:
        sock.sendall(get("/thinking").encode())
        place.service.last("/thinking")
    place.service.wait(lambda: "/thinking" in place.service.ended)


def test_a_body_that_is_too_short_cuts_the_visitor(place):
    """Checks: no clean end, and no last chunk."""
    def short(sock, _request):
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort")
        return "close"

    def half(sock, _request):
        sock.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
                     b"5\r\nshort\r\n")
        return "close"

    place.service.answers["/short"] = short
    place.service.answers["/half"] = half
    for path in ("/short", "/half"):
        answer, is_clean = place.ask(get(path))
        assert not is_clean
        assert not answer.endswith(b"0\r\n\r\n")


def test_an_answer_before_the_requests_end_is_sent_on_at_once(place):
    """Checks: the early 413 arrives, says close, and the connection ends."""
    def answer(sock, _request):
        sock.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n"
                     b"connection: close\r\n\r\nbig")
        return "close"

    place.service.answers["/early"] = answer
    with place.visit() as sock:
        sock.sendall(get("/early", "Content-Length: 100000000",
                         method="POST").encode() + b"x" * 20000)
        head, rest = read_head(sock)
        assert status(head) == 413
        assert fields(head)["connection"].lower() == "close"
        data, _ = read_all(sock, rest)
        assert data == b"big"


def test_a_service_that_answers_nothing_is_a_502(place):
    """Checks: a page for a navigation, JSON otherwise, then it goes on."""
    place.service.answers["/mute"] = lambda s, r: "close"
    answer, _ = place.ask(get("/mute", "Connection: close", method="POST"))
    assert status(answer) == 502
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"] == \
        "service_broke"
    answer, _ = place.ask(get("/mute", "Sec-Fetch-Mode: navigate",
                              "Connection: close", method="POST"))
    assert fields(answer)["content-type"].startswith("text/html")
    assert fields(answer)["cache-control"] == "no-store"


# --- the relay's own answers ---------------------------------------------------

def test_another_host_than_the_connections_is_misdirected(place):
    """Checks: 421; case, port and a trailing dot make no difference."""
    place.service.answers["/next"] = lambda s, r: s.sendall(OK)
    answer, _ = place.ask(get("/next", host="other.tunnel.test"))
    assert status(answer) == 421
    for host in (NAME.upper(), NAME + ".", f"{NAME}:{place.relay.port}"):
        answer, _ = place.ask(get("/next", "Connection: close", host=host))
        assert status(answer) == 200, host
    answer, _ = place.ask("GET https://other.tunnel.test/next HTTP/1.1\r\n"
                          f"Host: {NAME}\r\n\r\n")
    assert status(answer) in (400, 421)


def test_an_unknown_name_is_a_404(place):
    """Checks: status, and that the connection may go on."""
    host = "nobody.tunnel.test"
    answer, _ = place.ask(get("/", host=host)
                          + get("/", "Connection: close", host=host), host)
    assert answer.count(b"HTTP/1.1 404") == 2


def test_a_name_without_a_client_is_a_503(place):
    """Checks: known, not served: 503 with Retry-After; then served again."""
    client = tunnel.Client(place.relay, place.folder, "other")
    client.login()
    client.http(f"127.0.0.1:{place.service.port}", name="sleepy")
    client.stop()
    host = "sleepy.tunnel.test"
    answer, _ = place.ask(get("/", "Connection: close", host=host), host)
    assert status(answer) == 503
    assert "retry-after" in fields(answer)


def test_a_service_that_is_down_is_a_502(place):
    """Checks: nothing listens at the local port."""
    client = tunnel.Client(place.relay, place.folder, "down")
    client.login()
    client.http(f"127.0.0.1:{children.free_port()}", name="down")
    host = "down.tunnel.test"
    answer, _ = place.ask(get("/", "Connection: close", host=host), host)
    client.stop()
    assert status(answer) == 502
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"] == \
        "service_down"


def test_the_base_domain_has_a_page(place):
    """Checks: 200 and HTML for a browser."""
    answer, _ = place.ask(get("/", "Sec-Fetch-Mode: navigate",
                              "Connection: close", host="tunnel.test"),
                          "tunnel.test")
    assert status(answer) == 200 and b"Sallyport relay" in answer


@pytest.mark.parametrize("head,code", ids=[
    "no-host", "version", "two-lengths", "space", "target", "fields"
], argvalues=[
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    (f"GET / HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: 1\r\n"
     "Transfer-Encoding: chunked\r\n\r\n", 400),
    (f"GET / HTTP/1.1\r\nHost: {NAME}\r\nX : y\r\n\r\n", 400),
    (f"GET /{'a' * 20000} HTTP/1.1\r\nHost: {NAME}\r\n\r\n", 414),
    (f"GET / HTTP/1.1\r\nHost: {NAME}\r\n" + "X: y\r\n" * 120 + "\r\n", 431),
])
def test_a_malformed_head_is_refused(place, head, code):
    """Checks: the parser's status, and the connection ends."""
    answer, is_clean = place.ask(head)
    assert status(answer) == code and is_clean
    assert fields(answer)["connection"] == "close"


def test_a_head_that_comes_too_slowly_is_a_408(place):
    """Checks: 408 ten seconds after the first byte."""
    with place.visit() as sock:
        sock.settimeout(30)
        sock.sendall(b"GET / HTTP/1.1\r\n")
        start = time.monotonic()
        begin = calm.now()
        answer, _ = read_all(sock)
        assert status(answer) == 408
        assert 9 < time.monotonic() - start
        assert calm.now() - begin < 12


def test_without_a_server_name_there_is_no_connection(place):
    """Checks: a TLS alert, no answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", place.relay.port), 10)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw)


def test_plain_http_on_the_port_gets_no_answer(place):
    """Checks: bytes that are no ClientHello end the connection."""
    with socket.create_connection(("127.0.0.1", place.relay.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer, _ = read_all(sock)
        assert not answer.startswith(b"HTTP")
