#!/usr/bin/python3
"""Speak as a realtime call does: 25 frames of 2.6 kB a second, one way up.

    voice_client.py URL SECONDS [CA.pem]

URL is the /ws/voice of the echo service; its report, with how late our own
frames were at the worst, is printed as one line of JSON. A process of its
own, so that nothing else that a test does makes the frames late.
"""

import asyncio
import json
import random
import ssl
import string
import sys
import time
import urllib.parse

import websockets

FRAME_BYTES = 2607
FRAME_S = 0.04
REPORT_S = 20.0


async def speak(url, seconds, ca):
    """Send frames on time; the service's report."""
    parts = urllib.parse.urlsplit(url)
    options = {"host": "127.0.0.1", "port": parts.port, "compression": None,
               "ping_interval": None, "open_timeout": REPORT_S}
    if parts.scheme == "wss":
        options["ssl"] = ssl.create_default_context(cafile=ca)
        options["server_hostname"] = parts.hostname
    frame = "".join(random.Random(25).choices(
        string.ascii_letters + string.digits + "+/", k=FRAME_BYTES))
    late = 0.0
    async with websockets.connect(url, **options) as socket:
        start = time.monotonic()
        for number in range(int(seconds / FRAME_S)):
            due = start + number * FRAME_S
            await asyncio.sleep(max(0, due - time.monotonic()))
            late = max(late, time.monotonic() - due)
            await socket.send(frame)
        await socket.send("report")
        report = json.loads(await asyncio.wait_for(socket.recv(), REPORT_S))
    report["late_ms_max"] = 1000 * late
    return report


if __name__ == "__main__":
    print(json.dumps(asyncio.run(speak(
        sys.argv[1], float(sys.argv[2]),
        sys.argv[3] if len(sys.argv) > 3 else None))), flush=True)
