"""Whether the tunnel changes anything that the app answers.

Statuses are compared as the same browser saw them on both ways; the raw
bytes and fields of every asset are compared for each content coding.
"""

import collections
import http.client
import json
import re
import urllib.parse

import tunnel

CODINGS = ("identity", "br", "zstd")
ASSETS = ("script", "stylesheet", "image", "font", "manifest", "document",
          "media", "other")
OF_THE_MOMENT = {"date", "x-process-time"}
FRAMING = {"transfer-encoding", "connection", "keep-alive"}
IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BY_THE_CLOCK = ("/_app/version.json",)
SIGN_IN = "/api/v1/auths/signin"
CHALLENGE = "/api/v1/auths/mfa/challenge"


def local_part(url):
    """Path and query, without what is different in every chat."""
    parts = urllib.parse.urlsplit(url)
    path = parts.path + ("?" + parts.query if parts.query else "")
    return IDS.sub("ID", path)


def statuses(seen):
    """For each method and path, the statuses that came."""
    found = collections.defaultdict(set)
    for response in seen["responses"]:
        if urllib.parse.urlsplit(response["url"]).scheme.startswith("http"):
            path = local_part(response["url"])
            if path not in BY_THE_CLOCK:
                found[response["method"], path].add(response["status"])
    return found


def check_statuses(tally, direct, tunneled):
    """Compare two runs of the same steps in the same browser."""
    near, far = statuses(direct), statuses(tunneled)
    differ = [f"{key}: {sorted(near[key])} {sorted(far[key])}"
              for key in sorted(set(near) & set(far)) if near[key] != far[key]]
    tally.check("no status differs from the direct run", not differ,
                "; ".join(differ) or f"{len(far)} different requests")
    missing = sorted(set(near) - set(far))
    tally.check("every request of the direct run was made here too",
                not missing, str(missing) if missing else "")
    bad = [f"{r['status']} {r['url']}" for r in tunneled["responses"]
           if r["status"] >= 400]
    tally.check("every response is below 400", not bad,
                str(bad) if bad else f"{len(tunneled['responses'])} responses")
    tally.check("no request failed", not tunneled["failed"],
                tunneled["failed"] or "")
    tally.check("the console shows no error", not tunneled["errors"],
                tunneled["errors"] or "")


def check_bodies(tally, direct, tunneled):
    """The assets as the browser got them, decoded."""
    def hashes(seen):
        return {local_part(r["url"]): r["sha256"] for r in seen["responses"]
                if r["kind"] in ASSETS and "sha256" in r
                and r["url"].startswith("http")}

    near, far = hashes(direct), hashes(tunneled)
    differ = [path for path in near if far.get(path) != near[path]]
    tally.check("the browser got every asset as it is",
                near and not differ, differ or f"{len(near)} assets")


def assets(seen):
    """The paths of everything static that the page loaded."""
    return sorted({local_part(r["url"]) for r in seen["responses"]
                   if r["kind"] in ASSETS and r["status"] == 200
                   and r["method"] == "GET" and r["url"].startswith("http")
                   and "/api/" not in r["url"]})


def ask(connection, method, path, fields, body=None):
    """One request on a connection that is kept; status, fields, body."""
    connection.request(method, path, body=body, headers=fields)
    reply = connection.getresponse()
    data = reply.read()
    return reply.status, reply.getheaders(), data


def lasting(fields):
    """The fields that must be the same on both ways."""
    return sorted((name.lower(), value) for name, value in fields
                  if name.lower() not in OF_THE_MOMENT | FRAMING)


def without_length(fields):
    """For replies of which one is chunked: the length is framing."""
    return [field for field in fields if field[0] != "content-length"]


def same(near, far):
    """Whether two replies are the same; why not, if not."""
    if near[0] != far[0]:
        return f"status {near[0]} {far[0]}"
    if near[2] != far[2]:
        return f"{len(near[2])} and {len(far[2])} bytes differ"
    a, b = lasting(near[1]), lasting(far[1])
    names = {name for name, _ in a}, {name for name, _ in b}
    if ("content-length" in names[0]) != ("content-length" in names[1]):
        a, b = without_length(a), without_length(b)
    if a != b:
        return f"fields {sorted(set(a) ^ set(b))}"
    return None


def check_assets(tally, app, url, ca, paths):
    """Every asset raw, in each coding, directly and through the tunnel."""
    direct = http.client.HTTPConnection("127.0.0.1", app.port, timeout=30)
    far = tunnel.Visitor(url, ca)
    for coding in CODINGS:
        differ, total, coded = [], 0, 0
        for path in paths:
            fields = {"Accept-Encoding": coding}
            one = ask(direct, "GET", path, fields)
            other = ask(far, "GET", path, fields)
            why = same(one, other)
            total += len(other[2])
            coded += ("content-encoding", coding) in lasting(other[1])
            if why:
                differ.append(f"{path}: {why}")
        tally.check(f"assets are byte-identical in {coding}",
                    paths and not differ and (coding == "identity" or coded),
                    "; ".join(differ[:5]) or f"{len(paths)} assets, "
                    f"{total} bytes, {coded} coded")
    direct.close()
    far.close()


def check_cookies(tally, app, url, ca):
    """The log-in's cookie passes as it was set."""
    def cookie(connection):
        reply = ask(connection, "POST", SIGN_IN,
                    {"Content-Type": "application/json"},
                    json.dumps({"email": "", "password": ""}))
        value = dict(lasting(reply[1])).get("set-cookie", "none")
        return re.sub(r"(token=)[^;]*|expires=[^;]*", r"\1", value)

    near = cookie(http.client.HTTPConnection("127.0.0.1", app.port))
    far = cookie(tunnel.Visitor(url, ca))
    tally.check("the log-in cookie keeps its attributes",
                near == far and "token=" in far, far)


def check_challenge(tally, url, ca):
    """The app's own test of Host and scheme, and that it can say no."""
    def status(origin):
        return ask(tunnel.Visitor(url, ca), "POST", CHALLENGE,
                   {"Content-Type": "application/json", "Origin": origin},
                   "{}")[0]

    tally.check("the app takes the public origin for its own (401)",
                status(url) == 401, status(url))
    other = url.replace("://demo.", "://other.")
    tally.check("the app refuses another origin (403)",
                status(other) == 403, status(other))
