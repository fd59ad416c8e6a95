"""What the relay itself answers.

Goal: when something is missing, the visitor gets the right status, and the
developer a sentence that says what happened and what to do.
Checks: 421, 404, 503, 502, 408, the redirect from plain http, the page of
the bare domain, a page for people and JSON for programs.
"""

import json
import socket

import children
import pytest
import raw_visitor
import stage as stages
import tunnel

NAVIGATION = [("Sec-Fetch-Mode", "navigate")]


def ask(stage, host, server_name=None, fields=(), method="GET"):
    """A GET of / with that Host and SNI; the answer."""
    url = f"https://{host}:{stage.relay.port}"
    with raw_visitor.open_to(url, stage.ca, server_name) as visitor:
        visitor.ask("/", method, fields)
        return visitor.answer(method)


def check_page(answer, status, error, *words):
    """JSON for programs: the status, its short name, and some words."""
    assert answer.status == status, answer.body
    assert answer.field("content-type") == "application/json"
    assert answer.field("cache-control") == "no-store"
    said = json.loads(answer.body)
    assert said["error"] == error
    assert said["message"] and said["hint"]
    for word in words:
        assert word in said["message"] + said["hint"]


def test_an_unknown_name_is_404(shared):
    """It says so, by name."""
    host = f"nobody.{tunnel.BASE}"
    check_page(ask(shared, host), 404, "unknown_name", host)


def test_another_host_than_the_connections_is_421(shared):
    """A browser that merges connections is told to make its own."""
    name = shared.url.removeprefix("https://").split(":")[0]
    check_page(ask(shared, f"other.{tunnel.BASE}", name), 421,
               "misdirected_request")


def test_a_name_whose_client_is_away_is_503(stage):
    """A page may come back by itself: Retry-After."""
    stage.share("away")
    assert stage.get("/status")[0] == 200
    stage.client.stop()
    host = f"away.{tunnel.BASE}"
    answer = stages.eventually("503", lambda: next(
        (a for a in [ask(stage, host)] if a.status == 503), None))
    check_page(answer, 503, "no_client", host, "sallyport")
    assert int(answer.field("retry-after")) > 0


def test_a_service_that_is_down_is_502_until_it_is_up(stage):
    """The client stays, warns once, and finds the service when it starts."""
    port = children.free_port()
    url = stage.client.http(f"127.0.0.1:{port}", name="down")
    stage.client.wait_event("nothing-listens")
    check_page(ask(stage, f"down.{tunnel.BASE}"), 502, "service_down")
    service, _ = stages.start_echo(stage.folder, port)
    try:
        stage.client.wait_event("listens")
        assert stage.get("/status", url)[0] == 200
        assert len(stage.client.events("nothing-listens")) == 1
    finally:
        service.stop()
    assert ask(stage, f"down.{tunnel.BASE}").status == 502


def test_people_get_a_page_and_programs_json(shared):
    """A navigation is answered in HTML, with nothing that could run."""
    answer = ask(shared, f"nobody.{tunnel.BASE}", fields=NAVIGATION)
    assert answer.status == 404
    assert answer.field("content-type") == "text/html; charset=utf-8"
    assert b"<h1>" in answer.body and b"nobody.tunnel.test" in answer.body
    assert b"<script" not in answer.body
    assert "default-src 'none'" in answer.field("content-security-policy")


def test_head_of_an_error_has_no_body(shared):
    """And says how long the page would have been."""
    answer = ask(shared, f"nobody.{tunnel.BASE}", method="HEAD")
    assert answer.status == 404 and int(answer.field("content-length")) > 0


@pytest.mark.parametrize("fields,kind", [(NAVIGATION, "text/html"),
                                         ([], "application/json")])
def test_the_bare_domain_has_a_page(shared, fields, kind):
    """200: this is a relay."""
    answer = ask(shared, tunnel.BASE, fields=fields)
    assert answer.status == 200
    assert answer.field("content-type").startswith(kind)
    assert b"Sallyport relay" in answer.body


def test_a_connection_survives_errors(shared):
    """404 twice and again on one connection."""
    url = f"https://nobody.{tunnel.BASE}:{shared.relay.port}"
    with raw_visitor.open_to(url, shared.ca) as visitor:
        for _ in range(3):
            visitor.ask()
            assert visitor.answer().status == 404


def test_a_head_that_never_ends_is_408(shared):
    """Ten seconds after its first byte; the connection ends."""
    with raw_visitor.open_to(shared.url, shared.ca, timeout_s=20) as visitor:
        visitor.send(b"GET / HTTP/1.1\r\nHost: ")
        answer = visitor.answer()
        assert answer.status == 408
        assert answer.field("connection") == "close"
        assert visitor.ends() == "closed"


def test_an_unknown_server_name_gets_no_connection(shared):
    """No certificate, no name: an alert before anything is said."""
    url = f"https://example.org:{shared.relay.port}"
    with pytest.raises((OSError, raw_visitor.Cut)):
        raw_visitor.open_to(url, shared.ca).ask()


@pytest.fixture(name="plain", scope="module")
def relay_with_redirect():
    """A relay that redirects plain http as well."""
    port = children.free_port()
    with stages.Stage([f"redirect-listen: 127.0.0.1:{port}"]) as house:
        house.plain = port
        yield house


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_plain_http_is_redirected(plain, method):
    """308 keeps the method; path and query stay."""
    host = f"demo.{tunnel.BASE}"
    with raw_visitor.open_plain(plain.plain, host) as visitor:
        visitor.ask("/a/b?c=d&e=%20", method)
        answer = visitor.answer(method)
    assert answer.status == 308
    assert answer.field("location") == \
        f"https://{host}:{plain.relay.port}/a/b?c=d&e=%20"


def test_plain_http_redirects_to_names_of_ours_only(plain):
    """Nobody is sent anywhere else."""
    with raw_visitor.open_plain(plain.plain, "evil.example") as visitor:
        visitor.ask("/")
        answer = visitor.answer()
    assert answer.status == 404 and answer.field("location") is None


def test_plain_http_on_the_tls_port_is_refused(shared):
    """Something is closed; nothing of ours is said in plain text."""
    with socket.create_connection(("127.0.0.1", shared.relay.port), 10) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 200" not in raw.recv(4096)
