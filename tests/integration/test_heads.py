"""What heads say on the other side of the tunnel.

Goal: the service can trust what we tell it about the visitor, a visitor can
forge none of it, and the answer's fields are the service's own.
Checks: forwarding fields set once and forged ones gone, identity fields and
underscores gone, hop-by-hop fields gone, cookies narrowed, Host kept.
"""

import json

import pytest
import raw_visitor

FORGED = [
    ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Port", "1"),
    ("X-Forwarded-Prefix", "/evil"), ("X-Forwarded-Server", "evil"),
    ("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=6.6.6.6"),
    ("True-Client-IP", "6.6.6.6"), ("X-Client-IP", "6.6.6.6"),
    ("X-Original-URL", "/admin"), ("X-Rewrite-URL", "/admin"),
    ("X-Original-Host", "evil"), ("Front-End-Https", "on"),
    ("Proxy", "http://evil"), ("X-User-Email", "boss@example.com"),
    ("X_User_Email", "boss@example.com"), ("X_Forwarded_For", "6.6.6.6"),
    ("Remote-User", "boss"), ("X-Auth-Request-Email", "boss@example.com"),
]


def seen_by_service(stage, path, fields, host=None):
    """The fields of a GET as the service got them, names in lower case."""
    with raw_visitor.open_to(stage.url, stage.ca) as visitor:
        visitor.host = host or visitor.host
        visitor.ask(path, fields=fields)
        visitor.answer()
        visitor.ask(f"/seen?path={path}")
        seen = json.loads(visitor.answer().body)[-1]
    return [(name.lower(), value) for name, value in seen["fields"]]


def values(fields, name):
    """Every value of a field."""
    return [value for other, value in fields if other == name]


def test_we_say_who_the_visitor_is(shared):
    """Each forwarding field once, and Host as the visitor wrote it."""
    fields = seen_by_service(shared, "/who", [])
    host = shared.url.removeprefix("https://")
    port = host.rsplit(":", 1)[1]
    assert values(fields, "host") == [host]
    assert values(fields, "x-forwarded-for") == ["127.0.0.1"]
    assert values(fields, "x-real-ip") == ["127.0.0.1"]
    assert values(fields, "x-forwarded-proto") == ["https"]
    assert values(fields, "x-forwarded-host") == [host]
    assert values(fields, "x-forwarded-port") == [port]


def test_forged_fields_are_dropped(shared):
    """None of the values a visitor made up arrives."""
    fields = seen_by_service(shared, "/forged", FORGED)
    forged = {value for _, value in FORGED}
    assert [f for f in fields if f[1] in forged] == []
    assert [f for f in fields if "_" in f[0]] == []
    assert values(fields, "x-forwarded-for") == ["127.0.0.1"]


def test_hop_by_hop_fields_end_at_the_relay(shared):
    """Connection, what it names, and its kin."""
    fields = seen_by_service(shared, "/hop", [
        ("Connection", "keep-alive, X-Private"), ("X-Private", "1"),
        ("Keep-Alive", "timeout=5"), ("TE", "trailers"),
        ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")])
    for name in ("x-private", "keep-alive", "te", "upgrade",
                 "http2-settings"):
        assert values(fields, name) == [], name


def test_all_else_passes_in_its_order(shared):
    """Repeated fields, empty ones, bytes beyond ASCII."""
    sent = [("Cookie", "a=1; b=2"), ("X-Many", "one"), ("X-Many", "two"),
            ("X-Empty", ""), ("X-Latin", "caf\xe9"),
            ("Authorization", "Bearer x.y.z"), ("Accept-Encoding", "br"),
            ("Origin", "https://shared.tunnel.test")]
    fields = seen_by_service(shared, "/rest", sent)
    expected = [(name.lower(), value) for name, value in sent]
    assert [f for f in fields if f in expected] == expected


def test_the_path_and_query_are_not_touched(shared):
    """No decoding, no cleaning."""
    target = "/a//b/../c%2Fd%20e?x=1&y=%26;z&&#"[:-1]
    with raw_visitor.open_to(shared.url, shared.ca) as visitor:
        visitor.ask(target)
        visitor.answer()
        visitor.ask("/seen")
        seen = json.loads(visitor.answer().body)
    assert target in [head["target"] for head in seen]


COOKIES = {
    "id=1; Domain=tunnel.test; Path=/": "id=1; Path=/",
    "id=2; domain=.tunnel.test; Secure": "id=2; Secure",
    "id=3; Path=/; HttpOnly": "id=3; Path=/; HttpOnly",
    "id=4; Domain=odd.tunnel.test; Path=/":
        "id=4; Domain=odd.tunnel.test; Path=/",
}


def test_cookies_do_not_reach_neighbours(shared, odd):
    """A Domain above the tunnel's own name goes, the rest stays."""
    head = "".join(f"Set-Cookie: {cookie}\r\n" for cookie in COOKIES)
    odd.begin(lambda peer: peer.head() and peer.say(
        f"HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n".encode()))
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask()
        got = visitor.answer().all("set-cookie")
    assert [c.replace(" ", "") for c in got] == \
        [c.replace(" ", "") for c in COOKIES.values()]


def test_no_field_of_an_answer_is_added_or_changed(shared, odd):
    """What the service said is what the visitor gets, in its order."""
    said = ["Date: Thu, 01 Jan 2026 00:00:00 GMT", "Server: odd",
            "Content-Type: text/plain", "X-Frame-Options: DENY",
            "Strict-Transport-Security: max-age=1", "Vary: a", "Vary: b",
            "Content-Length: 2"]
    odd.begin(lambda peer: peer.head() and peer.say(
        ("HTTP/1.1 200 OK\r\n" + "\r\n".join(said) + "\r\n\r\nok").encode()))
    with raw_visitor.open_to(odd.url, shared.ca) as visitor:
        visitor.ask()
        got = [f"{n.lower()}: {v}" for n, v in visitor.answer().fields]
    expected = [line.split(": ", 1) for line in said]
    expected = [f"{name.lower()}: {value}" for name, value in expected]
    assert sorted(got) == sorted(expected)
    assert [f for f in got if f.startswith("vary")] == ["vary: a", "vary: b"]


@pytest.mark.parametrize("wanted,expected", [
    ("rewrite", "127.0.0.1:{port}"), ("inner.example", "inner.example")])
def test_the_client_may_rewrite_host(stage, wanted, expected):
    """The service's own address, or any, when the developer says so."""
    stage.share("rewritten", ["--host-header", wanted])
    fields = seen_by_service(stage, "/host", [])
    port = stage.direct.rsplit(":", 1)[1]
    assert values(fields, "host") == [expected.format(port=port)]
    host = stage.url.removeprefix("https://")
    assert values(fields, "x-forwarded-host") == [host]
