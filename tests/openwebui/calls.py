"""A person's part: the page, the microphone, calls of both kinds."""

import os
import time

import stub

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPTS = [os.path.join(HERE, "in_page.js")]
STANDARD = "Listening..."
REALTIME = "Listening"
ANSWER_WORDS = len(f"Answer 1 is here. {stub.WORDS}".split(" "))
GAP_OF_THE_APP_MS = 1000
FRAMES_A_SECOND = 25
TURN_S = 150.0  # at most, and only on a machine that does much else


def open_page(chromium, url):
    """Load the app; its page's own view of where it is."""
    chromium.call("visit", url=url + "/", scripts=SCRIPTS)
    return chromium.call("ready")


def socket_io(seen):
    """The socket.io connections of a page."""
    return [s for s in seen["sockets"] if "/ws/socket.io/" in s["url"]]


def extensions(socket):
    """What the service agreed to for a WebSocket."""
    fields = {name.lower(): value
              for name, value in (socket.get("answered") or {}).items()}
    return fields.get("sec-websocket-extensions", "")


def turns(chromium, count):
    """So many turns of a standard call: a sentence, its answer spoken."""
    chromium.call("turns", count=count, listens=STANDARD,
                  timeout_s=TURN_S * count)


def two_turns(chromium, url):
    """Load the app and hold a standard call; everything that was seen."""
    page = open_page(chromium, url)
    chromium.call("call", listens=STANDARD, sentences=0)
    turns(chromium, 2)
    notes = chromium.call("notes")
    hung_up = chromium.call("hang_up")
    return {"page": page, "notes": notes, "hung_up": hung_up,
            "seen": chromium.call("seen")}


def check_plain(tally, chromium, url):
    """The negative control: the same steps without https."""
    page = open_page(chromium, url)
    tally.check("plain http is no secure context", not page["secure"])
    tally.check("plain http has no navigator.mediaDevices", not page["media"])
    refused = chromium.call("refused")
    tally.check("plain http has no microphone and the app says so",
                not refused["overlay"], refused["text"])


def check_page(tally, run, direct, url):
    """The page and its one WebSocket."""
    tally.check("the page is a secure context with media devices",
                run["page"]["secure"] and run["page"]["media"])
    sockets = socket_io(run["seen"])
    tally.check("one socket.io WebSocket was opened and stayed open",
                len(sockets) == 1 and not sockets[0]["closed_ms"]
                and sockets[0]["url"].startswith(
                    url.replace("https:", "wss:")),
                [(s["url"], s.get("status")) for s in sockets])
    texts = [f["text"] for f in sockets[0]["frames"] if f["way"] == "in"]
    tally.check("it says hello: 0{\"sid\" and then 40",
                texts[0].startswith('0{"sid"') and texts[1].startswith("40"))
    asked, agreed = direct["seen"], run["seen"]
    wanted = extensions(socket_io(asked)[0])
    got = extensions(socket_io(agreed)[0])
    tally.check("permessage-deflate is agreed as on the direct way",
                "permessage-deflate" in got and got == wanted, got)


def check_turns(tally, run, noted):
    """Two turns: what was said, written, shown and heard."""
    notes = run["notes"]
    said, recordings = notes["recordings"], noted["recordings"]
    arrived = [{k: r[k] for k in ("bytes", "sha256")} for r in recordings]
    tally.check("recordings arrive byte for byte at the provider",
                len(said) >= 2 and arrived[-len(said):] == said,
                f"{[r['bytes'] for r in said]} bytes")
    tally.check("they are what MediaRecorder makes (EBML)",
                all(r["magic"] == "1a45dfa3" for r in recordings))
    first = len(recordings) - len(said) + 1
    shown = [f"This is turn {first + i} of the call." for i in range(2)]
    tally.check("the transcripts stand in the user's bubbles",
                all(t in b for t, b in zip(shown, notes["said"])),
                notes["said"])
    tally.check("the answers stand whole in the assistant's bubbles",
                len(notes["answered"]) >= 2 and
                all(stub.WORDS in a for a in notes["answered"][:2]),
                [a[:24] for a in notes["answered"]])
    heard = [s["sha256"] for s in notes["speeches"]]
    spoken = [s["sha256"] for s in noted["speeches"]]
    tally.check("speech arrives byte for byte in the page",
                len(heard) >= 2 and set(heard) <= set(spoken))
    playing = [m for m in notes["media"]
               if m["kind"] == "playing" and m["source"] == "blob:"]
    tally.check("speech is played in both turns", len(playing) >= 2,
                f"{len(playing)} times")
    tally.check("hanging up closes the call and not the socket",
                not run["hung_up"]["overlay"]
                and not socket_io(run["seen"])[0]["closed_ms"])


def check_tokens(tally, chromium, app):
    """
    On the page as it stands: each word of an answer is sent when the one
    before is there, so that a word held back for more would never come.
    """
    begin = int(time.time() * 1000)
    chromium.call("ask", text="Please answer in step")
    seen = []
    for count in range(1, ANSWER_WORDS + 1):
        seen.append(chromium.call("words", after_ms=begin, count=count))
        app.step()
    chromium.call("answered", text=stub.WORDS, timeout_ms=30000)
    tally.check("the words of an answer arrive one by one",
                seen == list(range(1, ANSWER_WORDS + 1)), seen)


def check_realtime(tally, chromium, app, url):
    """A realtime call of two turns."""
    open_page(chromium, url)
    chromium.call("call", listens=REALTIME)
    chromium.call("realtime_turns", count=2, timeout_s=TURN_S * 2)
    bubbles = chromium.call("notes")
    still = [s for s in chromium.call("seen")["sockets"]
             if "/api/v1/audio/realtime" in s["url"]]
    chromium.call("hang_up")
    note = app.noted()["realtime"][-1]
    rate = note["frames_a_second"]
    tally.check("the realtime WebSocket stays open for the call",
                len(still) == 1 and still[0]["status"] == 101
                and not still[0]["closed_ms"],
                [(s["url"], s["closed_ms"]) for s in still])
    tally.check("the microphone reaches the provider in real time",
                abs(rate - FRAMES_A_SECOND) < 4
                and note["gap_ms_max"] < GAP_OF_THE_APP_MS,
                f"{rate:.1f} frames/s, longest gap "
                f"{note['gap_ms_max']:.0f} ms")
    sound = [f for f in still[0]["frames"]
             if f["way"] == "in" and "output_audio.delta" in f["text"]]
    tally.check("two realtime turns are heard, answered and shown",
                note["turns"] >= 2 and note["answers"] >= 2 and sound
                and "Realtime turn 1." in bubbles["said"][0]
                and "Realtime answer 2." in bubbles["answered"][1],
                f"{note['turns']} turns, {len(sound)} pieces of sound")
