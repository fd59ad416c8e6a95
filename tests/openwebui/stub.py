#!/usr/bin/python3
"""What Open WebUI takes for an OpenAI-compatible provider, made up by us.

POST /v1/chat/completions       words, WORD_MS apart, as server-sent events;
                                a question with `slowly` waits SLOW_S first,
                                with `in step` each word for a POST /step
POST /v1/audio/transcriptions   notes the recording; a new text each time
POST /v1/audio/speech           a tone that is different for each text
POST /hold, POST /release       ?what=recordings or questions: those that come
                                meanwhile are answered when they are released
WS   /v1/realtime               stub_realtime.py
GET  /v1/models                 one model
GET  /noted                     what came: recordings, speeches, questions
Options: --port N (default: a free one, printed as `port N`), --slow-s N.
"""

import argparse
import asyncio
import hashlib
import io
import json
import math
import os
import struct
import sys
import time
import wave

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "support")]
import stub_realtime  # noqa: E402
import web_server  # noqa: E402

MODEL = "stub-model"
WORD_MS = 60
WORDS = "one two three four five six seven eight nine ten eleven twelve."
STEP_S = 60.0
SPEECH_S = 0.9
SPEECH_RATE = 16000


def tone(text):
    """A WAV of SPEECH_S seconds whose pitch depends on the text."""
    pitch = 200 + hashlib.sha256(text.encode()).digest()[0]
    count = int(SPEECH_S * SPEECH_RATE)
    samples = [int(9000 * math.sin(2 * math.pi * pitch * i / SPEECH_RATE))
               for i in range(count)]
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SPEECH_RATE)
        sound.writeframes(struct.pack(f"<{count}h", *samples))
    return out.getvalue()


def file_part(body, content_type):
    """The bytes of the part named `file` of a multipart body."""
    boundary = content_type.split("boundary=")[1].strip('"').encode()
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            return data[:-2]
    raise web_server.Gone("no part named file")


def last_question(messages):
    """The text of the last message of the user."""
    for message in reversed(messages):
        if message.get("role") == "user":
            content = message.get("content", "")
            if isinstance(content, list):
                content = " ".join(p.get("text", "") for p in content)
            return content
    return ""


class Stub:
    """What the provider remembers, for /noted."""

    def __init__(self, slow_s):
        self.slow_s = slow_s
        self.recordings = []
        self.speeches = []
        self.questions = []
        self.steps = asyncio.Semaphore(0)
        self.gates = {"recordings": asyncio.Event(),
                      "questions": asyncio.Event()}
        for gate in self.gates.values():
            gate.set()
        self.realtime = stub_realtime.Realtime()

    async def noted(self, request):
        """Everything that came."""
        await request.reply_json({
            "recordings": self.recordings, "speeches": self.speeches,
            "questions": self.questions, "realtime": self.realtime.noted()})

    async def hold(self, request):
        """Answer none of these for now."""
        self.gates[request.query["what"]].clear()
        await request.reply_json({})

    async def release(self, request):
        """Answer them again."""
        self.gates[request.query["what"]].set()
        await request.reply_json({})

    async def chat(self, request):
        """An answer, at once or word by word."""
        asked = json.loads(await request.body())
        question = last_question(asked["messages"])
        self.questions.append({"text": question, "at": time.monotonic(),
                               "stream": bool(asked.get("stream"))})
        answer = f"Answer {len(self.questions)} is here. {WORDS}"
        await self.gates["questions"].wait()
        if not asked.get("stream"):
            await request.reply_json({
                "id": "c", "object": "chat.completion", "created": 1,
                "model": MODEL, "choices": [{
                    "index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": answer}}]})
            return
        if "slowly" in question:
            await asyncio.sleep(self.slow_s)
        await request.start_chunked("text/event-stream")
        for word in answer.split(" "):
            await self._chunk(request, {"content": word + " "}, None)
            if "in step" in question:
                await asyncio.wait_for(self.steps.acquire(), STEP_S)
            else:
                await asyncio.sleep(WORD_MS / 1000)
        await self._chunk(request, {}, "stop")
        await request.send(b"data: [DONE]\n\n")
        await request.finish()

    async def step(self, request):
        """Let the answer that is given in step go on."""
        self.steps.release()
        await request.reply_json({})

    async def _chunk(self, request, delta, finish):
        event = {"id": "c", "created": 1, "model": MODEL,
                 "object": "chat.completion.chunk",
                 "choices": [{"index": 0, "delta": delta,
                              "finish_reason": finish}]}
        await request.send(f"data: {json.dumps(event)}\n\n".encode())

    async def transcribe(self, request):
        """Note the recording as it came; say something new."""
        sound = file_part(await request.body(), request.field("content-type"))
        self.recordings.append({
            "bytes": len(sound), "magic": sound[:4].hex(),
            "sha256": hashlib.sha256(sound).hexdigest()})
        text = f"This is turn {len(self.recordings)} of the call."
        await self.gates["recordings"].wait()
        await request.reply_json({"text": text})

    async def speak(self, request):
        """A tone for each text."""
        text = json.loads(await request.body())["input"]
        sound = tone(text)
        self.speeches.append({
            "text": text, "bytes": len(sound),
            "sha256": hashlib.sha256(sound).hexdigest()})
        await request.reply(200, sound, "audio/wav")


async def models(request):
    """The one model."""
    await request.reply_json({"object": "list", "data": [
        {"id": MODEL, "object": "model", "created": 1, "owned_by": "stub"}]})


async def missing(request):
    """Nothing else was ever seen to be asked."""
    await request.reply_json({"error": "not in the stub"}, 404)


def main():
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description="provider for Open WebUI")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--slow-s", type=float, default=120.0)
    options = parser.parse_args()
    stub = Stub(options.slow_s)
    web_server.run(web_server.WebServer({
        ("GET", "/v1/models"): models,
        ("POST", "/v1/chat/completions"): stub.chat,
        ("POST", "/v1/audio/transcriptions"): stub.transcribe,
        ("POST", "/v1/audio/speech"): stub.speak,
        ("GET", "/v1/realtime"): stub.realtime.serve,
        ("GET", "/noted"): stub.noted,
        ("POST", "/step"): stub.step,
        ("POST", "/hold"): stub.hold, ("POST", "/release"): stub.release,
    }, missing, idle_s=75.0), port=options.port)


if __name__ == "__main__":
    main()
