"""What goes wrong in real life: forged fields, a killed client, a service
that is down. A call survives what can be survived.
"""

import json
import time

import calls
import tunnel

AWAY_S = 2.0
BACK_S = 6.0
WARNING_S = 10.0
FORGED_ADDRESS = "198.51.100.77"
FORGED = {
    "X-Forwarded-For": FORGED_ADDRESS, "X-Real-IP": FORGED_ADDRESS,
    "True-Client-IP": FORGED_ADDRESS, "X-Client-IP": FORGED_ADDRESS,
    "Forwarded": f"for={FORGED_ADDRESS};proto=http",
    "X-Forwarded-Proto": "http", "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Email": "admin@example.com",
    "X-Forwarded-User": "admin", "X-User-Email": "admin@example.com",
    "Tailscale-User-Login": "admin@example.com",
    "Cf-Access-Authenticated-User-Email": "admin@example.com",
    "X-Original-URL": "/admin", "X_Under_Score": "1",
}
OURS = {"x-forwarded-for", "x-real-ip", "x-forwarded-proto",
        "x-forwarded-host", "x-forwarded-port"}


def forged_options():
    """curl's options for a request full of lies."""
    return [word for name, value in FORGED.items()
            for word in ("-H", f"{name}: {value}")]


def check_forged(tally, app, url, echo_url, ca):
    """Fields that only a proxy may set are not taken from visitors."""
    tunnel.curl(app.url + "/api/version?direct", ca, *forged_options())
    tunnel.curl(url + "/api/version?tunnel", ca, *forged_options())
    app.child.wait_for("line of the access log",
                       lambda: "GET /api/version?tunnel" in app.log(), 5)
    lines = [line for line in app.log().split("\n")
             if "GET /api/version?" in line]
    direct = [line for line in lines if FORGED_ADDRESS in line]
    tally.check("the app believes forged fields on the direct way",
                len(direct) == 1 and "?direct" in direct[0], direct)
    through = [line for line in lines if "?tunnel" in line]
    tally.check("through the tunnel it sees the visitor's own address",
                through and "127.0.0.1" in through[0]
                and FORGED_ADDRESS not in through[0], through)
    tunnel.curl(echo_url + "/status?forged", ca, *forged_options())
    heads = json.loads(tunnel.curl(echo_url + "/seen?path=/status", ca))
    fields = [(name.lower(), value) for name, value in heads[-1]["fields"]]
    names = [name for name, _ in fields]
    forged = {name.lower() for name in FORGED} - OURS
    tally.check("trusted names and odd fields are dropped",
                not forged & set(names), sorted(forged & set(names)) or "")
    host = echo_url.removeprefix("https://")
    values = {name: [v for n, v in fields if n == name] for name in OURS}
    tally.check("forwarding fields are ours, one of each",
                values["x-forwarded-for"] == ["127.0.0.1"]
                and values["x-real-ip"] == ["127.0.0.1"]
                and values["x-forwarded-proto"] == ["https"]
                and values["x-forwarded-port"] == [host.split(":")[1]]
                and len(values["x-forwarded-host"]) == 1
                and values["x-forwarded-host"][0].startswith(
                    host.split(":")[0]), values)


def check_warning(tally, client):
    """This app asks for no login, so the person who shares it is warned."""
    text = client.wait_event("no-login", WARNING_S)["text"]
    tally.check("the client warns that the app asks for no login", text, text)


def check_killed_client(tally, chromium, client, url, share):
    """
    The client dies while a call listens, and comes back. The person is silent
    until then: a turn of which a part falls into the gap is lost, and what the
    app shows of it depends on which part.
    """
    calls.open_page(chromium, url)
    chromium.call("call", listens=calls.STANDARD, sentences=0)
    killed_ms = time.time() * 1000
    client.kill()
    time.sleep(AWAY_S)
    again = share()
    back_ms = time.time() * 1000
    tally.check("the same name is there again", again == url, again)
    at_ms = chromium.call("socket_back", after_ms=killed_ms,
                          timeout_ms=30000)["at_ms"]
    tally.check("socket.io is back within 6 s of the URL being printed",
                at_ms - back_ms <= 1000 * BACK_S,
                f"{(at_ms - back_ms) / 1000:.1f} s")
    calls.turns(chromium, 1)
    notes = chromium.call("notes")
    tally.check("the next turn completes", notes["answered"]
                and notes["speeches"], notes["answered"])
    chromium.call("hang_up")


def check_app_down(tally, chromium, app, url):
    """The service stops and starts; a page says so, then it works again."""
    app.stop()
    answer = chromium.call("visit", url=url + "/")
    tally.check("a service that is down is a page with 502",
                answer["status"] == 502 and "<html" in answer["body"].lower(),
                f"{answer['status']} {answer['title']!r}")
    app.start()
    page = calls.open_page(chromium, url)
    tally.check("once it runs again the page works", page["secure"])
