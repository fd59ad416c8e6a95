"""The parts that take their time. They run at once: an idle page whose
question is answered late, a realtime voice beside bulk, and visitors who ask
just when the service closes idle connections.
"""

import collections
import http.client
import json
import os
import subprocess
import threading
import time

import calls
import children
import identity
import pattern
import stub
import tunnel

SUPPORT = os.path.dirname(os.path.abspath(tunnel.__file__))
BULK_BYTES = 50_000_000
UPLOAD_BYTES = 25_000_000
GAP_MS_MAX = 300
GAP_MS_MORE = 150
VOICE_DIRECT_S = 30
VOICE_S = 60
IDLE_S = 90
PINGS = 3
PING_S = 25
KEEP_VISITORS = 10
KEEP_REQUESTS = 6
KEEP_GAP_S = 5.0


class Bulk(threading.Thread):
    """Uploads and downloads of 50 MB, back to back, until told to stop."""

    def __init__(self, url, ca, file):
        super().__init__(daemon=True)
        self.url, self.ca, self.file = url, ca, file
        self.wrong, self.done = [], 0
        self.enough = threading.Event()

    def run(self):
        """Upload, download, and so on; hashes are checked."""
        wanted = pattern.sha256(BULK_BYTES)
        while not self.enough.is_set():
            try:
                reply = json.loads(tunnel.curl(
                    self.url + "/upload", self.ca, "-T", self.file))
                if reply["sha256"] != wanted:
                    self.wrong.append(f"upload {reply}")
                got = self.download()
                if got != wanted:
                    self.wrong.append(f"download {got}")
                self.done += 1
            except (OSError, ValueError) as error:
                self.wrong.append(str(error))
                self.enough.wait(1)

    def download(self):
        """One download; the hash of what came."""
        out = self.file + ".back"
        tunnel.curl(f"{self.url}/download?bytes={BULK_BYTES}", self.ca,
                    "-o", out)
        done = subprocess.run(["sha256sum", out], capture_output=True,
                              text=True, timeout=60, check=True)
        return done.stdout.split()[0]


def voice(url, ca, seconds, folder):
    """A realtime voice beside bulk on the same way; report and bulk."""
    bulk = Bulk(url, ca, os.path.join(folder, "bulk"))
    bulk.start()
    speaker = children.Child(
        "voice", ["/usr/bin/python3", os.path.join(SUPPORT, "voice_client.py"),
                  url.replace("http", "ws", 1) + "/ws/voice", str(seconds),
                  ca], folder)
    try:
        code = speaker.wait(seconds + 60)
    finally:
        bulk.enough.set()
        bulk.join(60)
        speaker.kill()
    if code != 0:
        raise children.Died("voice client: " + speaker.errors()[-600:])
    return json.loads(speaker.output()), bulk


def check_voice(tally, url, near_url, ca, folder):
    """Voice directly, through the tunnel, and directly again."""
    pattern.write_file(os.path.join(folder, "bulk"), BULK_BYTES)
    before, _ = voice(near_url, ca, VOICE_DIRECT_S, folder)
    report, bulk = voice(url, ca, VOICE_S, folder)
    after, _ = voice(near_url, ca, VOICE_DIRECT_S, folder)
    direct = max(before["gap_ms_max"], after["gap_ms_max"])
    limit = max(GAP_MS_MAX, direct + GAP_MS_MORE)
    wanted = int(VOICE_S / 0.04)
    tally.check("every frame of the voice arrives",
                report["messages"] == wanted,
                f"{report['messages']} of {wanted}")
    tally.check("realtime voice beside bulk has no long gap",
                report["gap_ms_max"] <= limit,
                f"longest {report['gap_ms_max']:.0f} ms, direct "
                f"{direct:.0f} ms, limit {limit:.0f} ms, our own frames late "
                f"by {report['late_ms_max']:.0f} ms at most")
    tally.check("uploads and downloads of 50 MB beside it are right",
                bulk.done >= 2 and not bulk.wrong,
                bulk.wrong or f"{bulk.done} of each")


def check_idle(tally, chromium, url, slow_s):
    """A question answered late, on a page where nothing else happens."""
    calls.open_page(chromium, url)
    asked = chromium.call("ask", text="Please answer slowly")["at_ms"]
    done = chromium.call("answered", text=stub.WORDS,
                         timeout_ms=1000 * (slow_s + 40),
                         timeout_s=slow_s + 60)["at_ms"]
    waited = (done - asked) / 1000
    tally.check(f"an answer that takes {slow_s:g} s arrives",
                waited >= slow_s, f"{waited:.1f} s")
    sockets = calls.socket_io(chromium.call("seen"))
    frames = sockets[0]["frames"]
    quiet = [f for f in frames if asked < f["at_ms"] < done]
    pings = sum(f["way"] == "in" and f["text"] == "2" for f in quiet)
    pongs = sum(f["way"] == "out" and f["text"] == "3" for f in quiet)
    due = PINGS if slow_s >= IDLE_S else int(slow_s / PING_S)
    tally.check(f"the same WebSocket lives through {min(IDLE_S, slow_s):g} s "
                "without work", len(sockets) == 1
                and not sockets[0]["closed_ms"] and pings >= due
                and pongs >= due, f"{pings} pings, {pongs} pongs")


def keep_asking(url, ca, found):
    """One visitor whose requests come 5.0 s apart; statuses to |found|."""
    visitor = tunnel.Visitor(url, ca)
    for number in range(KEEP_REQUESTS):
        if number:
            time.sleep(KEEP_GAP_S)
        try:
            found.append(identity.ask(visitor, "GET", "/api/version", {})[0])
        except (OSError, http.client.HTTPException) as error:
            found.append(type(error).__name__)
            visitor.close()
    visitor.close()


def check_keep_alive(tally, url, ca):
    """Requests that meet the service closing its idle connections."""
    found = []
    visitors = [threading.Thread(target=keep_asking, args=(url, ca, found),
                                 daemon=True) for _ in range(KEEP_VISITORS)]
    for visitor in visitors:
        visitor.start()
        time.sleep(0.1)
    for visitor in visitors:
        visitor.join()
    gaps = KEEP_VISITORS * (KEEP_REQUESTS - 1)
    tally.check(f"{gaps} requests 5.0 s after the last one: none fails",
                found == [200] * (gaps + KEEP_VISITORS),
                dict(collections.Counter(found)))


def check_files(tally, app, url, ca, folder):
    """A file goes up to the app and comes back down."""
    file = os.path.join(folder, "upload.bin")
    pattern.write_file(file, UPLOAD_BYTES)
    bearer = ["-H", "Authorization: Bearer " + app.token]
    reply = json.loads(tunnel.curl(
        url + "/api/v1/files/?process=false", ca, *bearer,
        "-F", f"file=@{file};type=application/octet-stream"))
    tally.check("the app takes an upload of 25 MB",
                reply.get("meta", {}).get("size") == UPLOAD_BYTES,
                reply.get("meta"))
    got = file + ".back"
    tunnel.curl(f"{url}/api/v1/files/{reply['id']}/content", ca, *bearer,
                "-o", got)
    done = subprocess.run(["cmp", file, got], capture_output=True, text=True,
                          timeout=60, check=False)
    tally.check("it comes back byte for byte", done.returncode == 0,
                done.stdout)


def check_api_stream(tally, app, url, ca):
    """An API client's answer: server-sent events over plain HTTP."""
    visitor = tunnel.Visitor(url, ca)
    visitor.request("POST", "/api/chat/completions", headers={
        "Authorization": "Bearer " + app.token,
        "Content-Type": "application/json"}, body=json.dumps({
            "model": stub.MODEL, "stream": True,
            "messages": [{"role": "user", "content": "Hello"}]}))
    reply = visitor.getresponse()
    times = []
    while line := reply.readline():
        if b'"content"' in line:
            times.append(time.monotonic())
    visitor.close()
    spread = 1000 * (times[-1] - times[0]) if times else 0
    due = (calls.ANSWER_WORDS - 1) * stub.WORD_MS
    tally.check("an API client gets its event stream word by word",
                len(times) == calls.ANSWER_WORDS and spread > 0.85 * due,
                f"{len(times)} events in {spread:.0f} ms, sent in {due} ms")
