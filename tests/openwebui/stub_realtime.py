"""The realtime half of the provider: a WebSocket that hears and answers.

It listens for loudness only: sound and then half a second of silence is a
turn. It speaks a short tone in reply. No more of OpenAI's realtime protocol
is here than a call in Open WebUI needs.
"""

import array
import base64
import itertools
import json
import math
import time

RATE = 24000
LOUD = 1500
SILENCE_S = 0.5
REPLY_S = 0.8
REPLY_PIECES = 8


def loudness(samples):
    """The largest sample, as a number from 0 to 32768."""
    return max((abs(s) for s in samples), default=0)


def reply_pieces():
    """A tone, cut as a provider would send it: faster than it plays."""
    count = int(RATE * REPLY_S)
    tone = array.array("h", (int(8000 * math.sin(2 * math.pi * 330 * i / RATE))
                             for i in range(count)))
    size = count // REPLY_PIECES
    for start in range(0, count, size):
        yield base64.b64encode(tone[start:start + size].tobytes()).decode()


class Call:
    """One WebSocket's conversation."""

    def __init__(self, socket, note):
        self.socket = socket
        self.note = note
        self.numbers = itertools.count(1)
        self.heard_s = 0.0
        self.loud_at_s = None

    async def send(self, kind, **fields):
        """Send one event."""
        await self.socket.send_json(
            {"type": kind, "event_id": f"event_{next(self.numbers)}",
             **fields})

    async def take(self, event):
        """Act on one event of the app."""
        kind = event.get("type")
        if kind == "session.update":
            await self.send("session.updated",
                            session=event.get("session", {}))
        elif kind == "input_audio_buffer.append":
            await self.hear(base64.b64decode(event["audio"]))
        elif kind == "response.create":
            await self.answer(event.get("response") or {})
        elif kind == "conversation.item.create":
            await self.send("conversation.item.added",
                            item=event.get("item", {}))

    async def hear(self, sound):
        """Count a piece of sound; a turn ends after enough silence."""
        samples = array.array("h")
        samples.frombytes(sound)
        self.note["times"].append(time.monotonic())
        self.note["bytes"] += len(sound)
        self.heard_s += len(samples) / RATE
        if loudness(samples) > LOUD:
            if self.loud_at_s is None:
                self.note["item"] = f"item_{next(self.numbers)}"
                await self.send(
                    "input_audio_buffer.speech_started",
                    item_id=self.note["item"],
                    audio_start_ms=int(1000 * self.heard_s))
            self.loud_at_s = self.heard_s
        elif self.loud_at_s is not None and \
                self.heard_s - self.loud_at_s > SILENCE_S:
            self.loud_at_s = None
            await self.end_turn(self.note["item"])

    async def end_turn(self, item):
        """Say that the user has finished, and what was understood."""
        self.note["turns"] += 1
        await self.send("input_audio_buffer.speech_stopped", item_id=item,
                        audio_end_ms=int(1000 * self.heard_s))
        await self.send("input_audio_buffer.committed", item_id=item,
                        previous_item_id=None)
        await self.send("conversation.item.added", item={
            "id": item, "type": "message", "role": "user",
            "status": "completed", "content": [{"type": "input_audio"}]})
        await self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item, content_index=0,
            transcript=f"Realtime turn {self.note['turns']}.")

    async def answer(self, wanted):
        """Speak: a tone, its transcript, and the end."""
        number = next(self.numbers)
        response, item = f"resp_{number}", f"answer_{number}"
        text = f"Realtime answer {self.note['turns']}."
        where = {"response_id": response, "item_id": item,
                 "output_index": 0, "content_index": 0}
        shell = {"id": response, "object": "realtime.response",
                 "metadata": wanted.get("metadata")}
        message = {"id": item, "type": "message", "role": "assistant"}
        await self.send("response.created", response={
            **shell, "status": "in_progress", "output": []})
        await self.send("response.output_item.added", response_id=response,
                        output_index=0, item={**message, "content": [],
                                              "status": "in_progress"})
        await self.send("response.content_part.added", **where,
                        part={"type": "audio", "transcript": ""})
        for piece in reply_pieces():
            await self.send("response.output_audio.delta", **where,
                            delta=piece)
        await self.send("response.output_audio_transcript.delta", **where,
                        delta=text)
        await self.send("response.output_audio_transcript.done", **where,
                        transcript=text)
        await self.send("response.output_audio.done", **where)
        done = {**message, "status": "completed", "content": [
            {"type": "output_audio", "transcript": text}]}
        await self.send("response.output_item.done", response_id=response,
                        output_index=0, item=done)
        await self.send("response.done", response={
            **shell, "status": "completed", "output": [done]})
        self.note["answers"] += 1


class Realtime:
    """All calls so far."""

    def __init__(self):
        self.calls = []

    def noted(self):
        """For each call: its frames and their pace, turns, answers."""
        out = []
        for note in self.calls:
            times = note["times"]
            gaps = [1000 * (b - a) for a, b in zip(times, times[1:])]
            out.append({"frames": len(times), "bytes": note["bytes"],
                        "gap_ms_max": max(gaps, default=0),
                        "frames_a_second": 1000 * len(gaps) / max(1, sum(gaps)),
                        "turns": note["turns"], "answers": note["answers"],
                        "closed": note["closed"]})
        return out

    async def serve(self, request):
        """One call, from upgrade to close."""
        note = {"times": [], "bytes": 0, "turns": 0, "answers": 0,
                "item": None, "closed": False}
        self.calls.append(note)
        socket = await request.websocket()
        call = Call(socket, note)
        try:
            await call.send("session.created", session={"id": "stub"})
            while (message := await socket.receive()) is not None:
                await call.take(json.loads(message))
        finally:
            note["closed"] = True
