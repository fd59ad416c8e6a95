"""HTTP/1.1 through the tunnel, where it is easy to get wrong.

Goal: visitor and service have the conversation that they would have had
without us: same order, same heads, same ends.
Checks: keep-alive, pipelining, HEAD, 204 and 304, 1xx, trailers, answers
that come early, cuts that must be seen as cuts, visitors that leave.
"""

import json
import threading
import time

import pytest
import raw_visitor
import stage as stages
import tunnel

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def talk(stage, service):
    """A connection to the odd service's public name."""
    return raw_visitor.open_to(service.url, stage.ca)


def test_keep_alive_serves_many_requests(shared):
    """One connection, twenty requests, one connection to the service."""
    visitor = shared.visitor()
    for _ in range(20):
        visitor.request("GET", "/seen?path=/keep")
        assert visitor.getresponse().read() is not None
        visitor.request("GET", "/keep")
        assert visitor.getresponse().read() == b"nothing at /keep\n"
    visitor.request("GET", "/seen?path=/keep")
    seen = json.loads(visitor.getresponse().read())
    visitor.close()
    assert len({head["peer_port"] for head in seen[-20:]}) == 1


def test_two_visitors_share_no_connection(shared):
    """Even one after the other, each has its own to the service."""
    ports = set()
    for number in range(3):
        visitor = shared.visitor()
        visitor.request("GET", f"/alone-{number}")
        visitor.getresponse().read()
        visitor.request("GET", f"/seen?path=/alone-{number}")
        ports.add(json.loads(
            visitor.getresponse().read())[-1]["peer_port"])
        visitor.close()
    assert len(ports) == 3


def test_pipelined_requests_are_answered_in_order(shared):
    """The first is slow, and still first."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.send(b"".join(
            f"GET {target} HTTP/1.1\r\nHost: {visitor.host}\r\n\r\n".encode()
            for target in ["/slow?ms=300", "/one", "/two", "/three"]))
        assert visitor.answer().body == b"at last\n"
        for name in (b"one", b"two", b"three"):
            assert visitor.answer().body == b"nothing at /" + name + b"\n"


def test_a_pipelined_request_behind_a_body(shared):
    """The body's bytes are the body's, the next request's are its own."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.send(
            f"POST /echo HTTP/1.1\r\nHost: {visitor.host}\r\n"
            "Content-Length: 5\r\n\r\nfirst"
            f"POST /echo HTTP/1.1\r\nHost: {visitor.host}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n"
            f"GET /third HTTP/1.1\r\nHost: {visitor.host}\r\n\r\n".encode())
        assert visitor.answer().body == b"first"
        assert visitor.answer().body == b"second"
        assert visitor.answer().body == b"nothing at /third\n"


def test_head_has_the_length_and_no_body(shared):
    """And the connection goes on after it."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.ask("/download?bytes=12345", "HEAD")
        answer = visitor.answer("HEAD")
        assert (answer.status, answer.field("content-length")) == \
            (200, "12345")
        visitor.ask("/next")
        assert visitor.answer().body == b"nothing at /next\n"


@pytest.mark.parametrize("code", [204, 304])
def test_answers_without_a_body(shared, code):
    """Neither body nor chunk follows, and the connection goes on."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.ask(f"/status?code={code}")
        answer = visitor.answer()
        assert answer.status == code
        assert answer.field("transfer-encoding") is None
        visitor.ask("/next")
        assert visitor.answer().body == b"nothing at /next\n"


def test_a_304_may_say_a_length(shared, odd):
    """The length of what was not sent (RFC 9110 8.6) stays."""
    odd.begin(lambda peer: peer.head() and peer.say(
        b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n"
        b"Content-Length: 99\r\n\r\n"))
    with talk(shared, odd) as visitor:
        visitor.ask()
        answer = visitor.answer()
        assert (answer.status, answer.field("etag")) == (304, '"x"')


def test_informational_heads_come_through(shared):
    """A 103 and its field, then the answer."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.ask("/early")
        hint = visitor.head()
        assert hint.status == 103
        assert hint.field("link") == "</style.css>; rel=preload"
        assert visitor.answer().body == b"after hints\n"


def test_expect_100_continue_end_to_end(shared, odd):
    """The service decides when the body may come, and it does not before."""
    body = b"x" * 1000
    seen = {}

    def service(peer):
        seen["head"] = peer.head().lower()
        peer.socket.settimeout(0.3)
        try:
            seen["early"] = peer.socket.recv(1)
        except TimeoutError:
            seen["early"] = b""
        peer.socket.settimeout(10)
        peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen["body"] = peer.exactly(len(body))
        peer.say(OK)

    odd.begin(service)
    with talk(shared, odd) as visitor:
        visitor.ask("/", "POST", [("Expect", "100-continue"),
                                  ("Content-Length", str(len(body)))])
        assert visitor.head().status == 100
        visitor.send(body)
        assert visitor.answer().body == b"ok"
    assert "expect: 100-continue" in seen["head"]
    assert (seen["early"], seen["body"]) == (b"", body)


def test_a_refused_expectation(shared, odd):
    """417 instead of 100: the body is never sent, the answer is whole."""
    odd.begin(lambda peer: peer.head() and peer.say(
        b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno"))
    with talk(shared, odd) as visitor:
        visitor.ask("/", "POST", [("Expect", "100-continue"),
                                  ("Content-Length", "1000")])
        answer = visitor.answer()
        assert (answer.status, answer.body) == (417, b"no")


def test_trailers_of_a_response(shared):
    """A field after the body reaches the visitor."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.ask("/trailers", fields=[("TE", "trailers")])
        answer = visitor.answer()
        assert answer.body == b"body\n"
        assert ("x-sum", "5") in [(n.lower(), v) for n, v in answer.trailers]


def test_trailers_of_a_request(shared, odd):
    """And one after an upload's body reaches the service."""
    got = []

    def service(peer):
        peer.head()
        got.append(peer.chunked())
        peer.say(OK)

    odd.begin(service)
    with talk(shared, odd) as visitor:
        visitor.send(f"POST / HTTP/1.1\r\nHost: {visitor.host}\r\n"
                     "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                     "4\r\nbody\r\n0\r\nX-Sum: 5\r\n\r\n".encode())
        assert visitor.answer().body == b"ok"
    body, trailers = got[0]
    assert body == b"body"
    assert [line.lower() for line in trailers] == ["x-sum: 5"]


def test_an_early_final_response_reaches_the_visitor(shared, odd):
    """
    An answer before the upload's end is sent on at once and closes the
    connection; the service's end of it is not waited for.
    """
    odd.begin(lambda peer: peer.head() and peer.say(
        b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n"
        b"Connection: close\r\n\r\nno\n"))
    with talk(shared, odd) as visitor:
        visitor.ask("/", "POST", [("Content-Length", "100000000")])
        visitor.send(b"x" * 1000)
        answer = visitor.answer()
        assert (answer.status, answer.body) == (413, b"no\n")
        assert answer.field("connection") == "close"
        assert visitor.ends() == "closed"


def test_an_upload_may_go_on_after_an_early_answer(shared, odd):
    """A service that answers first and reads on gets the whole body."""
    got = []

    def service(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"5\r\nearly\r\n")
        got.append(peer.exactly(100000))
        peer.say(b"4\r\nlate\r\n0\r\n\r\n")

    odd.begin(service)
    with talk(shared, odd) as visitor:
        visitor.ask("/", "POST", [("Content-Length", "100000")])
        answer = visitor.head()
        assert answer.status == 200
        visitor.send(b"x" * 100000)
        assert visitor.body_of(answer).body == b"earlylate"
    assert got == [b"x" * 100000]


def test_a_body_that_ends_with_the_connection(shared, odd):
    """No length, no chunks: the visitor gets it all and sees a proper end."""
    odd.begin(lambda peer: peer.head() and peer.say(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
        + b"y" * 200000))
    with talk(shared, odd) as visitor:
        visitor.ask()
        assert visitor.answer().body == b"y" * 200000


def test_http_1_0_visitor(shared):
    """Told no chunks, and ended by a proper close."""
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.send(b"GET /download?bytes=100000&chunked=1 HTTP/1.0\r\n"
                     b"Host: %b\r\n\r\n" % visitor.host.encode())
        answer = visitor.head()
        assert answer.field("transfer-encoding") is None
        assert len(visitor.body_of(answer).body) == 100000


BROKEN = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"4\r\nhalf\r\n",
    "inside a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"ff\r\nhalf",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                   b"4\r\nhalf\r\nzz\r\n",
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_broken_answer_is_never_a_whole_one(shared, odd, how, version):
    """The visitor has read half of it, then sees a cut."""
    half_is_read = threading.Event()

    def service(peer):
        peer.head()
        before, _, after = BROKEN[how].partition(b"half")
        peer.say(before + b"half")
        assert half_is_read.wait(30)
        peer.say(after)

    odd.begin(service)
    with talk(shared, odd) as visitor:
        visitor.send(f"GET / HTTP/{version}\r\nHost: {visitor.host}\r\n\r\n"
                     .encode())
        assert visitor.until(b"half").startswith(b"HTTP/1.1 200")
        half_is_read.set()
        assert visitor.ends() == "cut"


@pytest.mark.parametrize("how", BROKEN)
def test_an_answer_broken_at_once_is_never_a_whole_one(shared, odd, how):
    """The cut may overtake what came before it; a 502 is as good."""
    odd.begin(lambda peer: peer.head() and peer.say(BROKEN[how]))
    with talk(shared, odd) as visitor:
        visitor.ask()
        try:
            answer = visitor.head()
        except raw_visitor.Cut:
            return
        if answer.status != 502:
            with pytest.raises(raw_visitor.Cut):
                visitor.body_of(answer)


def test_a_service_that_breaks_off_before_its_head(shared, odd):
    """502, and the visitor learns that the service did it."""
    odd.begin(lambda peer: peer.head() and peer.reset())
    with talk(shared, odd) as visitor:
        visitor.ask()
        answer = visitor.answer()
        assert answer.status == 502
        assert json.loads(answer.body)["error"] == "service_broke"


def test_an_answer_that_is_no_http(shared, odd):
    """502 as well: nothing of it reaches the visitor."""
    odd.begin(lambda peer: peer.head() and peer.say(b"220 mail ready\r\n"))
    with talk(shared, odd) as visitor:
        visitor.ask()
        answer = visitor.answer()
        assert answer.status == 502
        assert b"mail" not in answer.body


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_visitor_that_leaves_cancels_at_the_service(shared, odd, how):
    """Within a second, so that a language model stops generating."""
    left = threading.Event()

    def service(peer):
        peer.head()
        peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"4\r\nword\r\n")
        peer.wait_end()
        left.set()

    odd.begin(service)
    visitor = talk(shared, odd)
    visitor.ask()
    assert visitor.until(b"word\r\n")
    (visitor.close if how == "close" else visitor.leave_by_reset)()
    stages.eventually("word of it at the service", left.is_set, 1)


def test_a_visitor_that_leaves_before_the_head_cancels(shared, odd):
    """The same while the service still thinks."""
    left, asked = threading.Event(), threading.Event()

    def service(peer):
        peer.head()
        asked.set()
        peer.wait_end()
        left.set()

    odd.begin(service)
    visitor = talk(shared, odd)
    visitor.ask()
    assert asked.wait(30)
    visitor.close()
    stages.eventually("word of it at the service", left.is_set, 1)


def test_an_answer_without_haste_is_waited_for(shared):
    """Nothing of ours times out a service that thinks."""
    begin = time.monotonic()
    assert shared.get("/slow?ms=3000") == (200, b"at last\n")
    assert time.monotonic() - begin >= 3


def test_a_reused_connection_that_died_is_replaced(shared, odd):
    """A GET after the service closed an idle connection is sent again."""
    def service(peer):
        peer.head()
        peer.say(OK)
        if peer.number > 1:
            peer.head()

    odd.begin(service)
    visitor = tunnel.Visitor(odd.url, shared.ca)
    for _ in range(3):
        visitor.request("GET", "/")
        assert visitor.getresponse().read() == b"ok"
    visitor.close()
