"""A realtime voice call while the line is full.

Goal: speech does not wait behind files.
Checks: 25 frames a second of 2.6 kB go up while uploads and downloads of
50 MB run back to back on the same session; the longest gap at the service is
at most the larger of 300 ms and that of the direct way + 150 ms. The direct
call is held at the same time, with the same busy machine.
"""

import json
import os
import threading

import children
import pattern
import stage as stages
import tunnel

SECONDS = 15
BULK = (10 if stages.is_sanitized() else 50) * 1000 * 1000
FRAMES = int(SECONDS / 0.04)
GAP_MS = 300
MORE_MS = 150


def keep_busy(stage, url, path, is_over, rounds):
    """Uploads and downloads in turn, until told to stop."""
    while not is_over.is_set():
        tunnel.curl(url + "/upload", stage.ca, "-T", path, "-H", "Expect:")
        rounds.append("up")
        tunnel.curl(f"{url}/download?bytes={BULK}", stage.ca,
                    "-o", os.devnull)
        rounds.append("down")


def speak(name, url, stage, *ca):
    """A process that speaks to |url|'s service."""
    script = os.path.join(tunnel.ROOT, "tests", "support", "voice_client.py")
    return children.Child(
        name, ["/usr/bin/python3", script,
               url.replace("http", "ws", 1) + "/ws/voice", str(SECONDS), *ca],
        stage.folder)


def report(child):
    """What the service counted."""
    assert child.wait(SECONDS + 60) == 0, child.errors()
    return json.loads(child.output())


def test_speech_does_not_wait_behind_files(stage):
    """The longest gap between two frames, tunnelled and direct."""
    path = os.path.join(stage.folder, "bulk")
    pattern.write_file(path, BULK)
    # Voice and files have a service each: what is measured is the tunnel,
    # not how one echo service shares its time.
    listener, port = stages.start_echo(stage.folder, name="listener")
    urls = stage.share_many({"voice": port, "files": stage.serve()})
    is_over, rounds = threading.Event(), []
    files = threading.Thread(target=keep_busy, args=(
        stage, urls["files"], path, is_over, rounds))
    files.start()
    try:
        ways = [speak("direct", f"http://127.0.0.1:{port}", stage),
                speak("tunneled", urls["voice"], stage, stage.ca)]
        direct, tunneled = [report(way) for way in ways]
    finally:
        is_over.set()
        files.join(60)
        listener.stop()
    print(f"direct {direct}, tunneled {tunneled}, bulk {rounds}")
    assert len(rounds) >= 2
    assert direct["messages"] == tunneled["messages"] == FRAMES
    assert tunneled["bytes"] == direct["bytes"]
    assert tunneled["gap_ms_max"] <= max(GAP_MS,
                                         direct["gap_ms_max"] + MORE_MS)
