"""A relay, a client and a service whose programs fail as a test orders.

    with FaultHouse() as house:
        house.orders["relay"].arm("write", "EPIPE")
        house.exchange()

At its end no descriptor may be left that was not there at the beginning, and
no memory held.
"""

import contextlib
import hashlib
import http.client
import json
import os

import faults
import pattern
import stage as stages

BODY = 400_000
# A client that loses its link again and again waits up to 15 s.
BACK_S = 60.0
VISIT_S = 20.0
# It is dialled with the first stream, and stays: one descriptor at either end.
SECOND_LINK = 1


def descriptors(child):
    """What |child| holds open, without what it closes meanwhile."""
    folder = f"/proc/{child.process.pid}/fd"
    held = []
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            held.append(os.readlink(os.path.join(folder, fd)))
    return held


class FaultHouse:
    """A stage whose programs do as they are told to."""

    def __init__(self):
        self.stage = stages.Stage()
        self.orders = {
            "relay": faults.Faults(self.stage.folder, "sallyport-relay"),
            "client": faults.Faults(self.stage.folder, "sallyport")}
        self.before = []

    def __enter__(self):
        self.stage.relay.prefix = self.orders["relay"].prefix
        self.stage.__enter__()
        self.stage.client.prefix = self.orders["client"].prefix
        self.stage.share("faults", ["--no-probe"])
        self.before = [len(descriptors(child)) + SECOND_LINK
                       for child in self._children()]
        return self

    def __exit__(self, *_):
        try:
            for orders in self.orders.values():
                orders.disarm()
            # The idle connections to the service go after some seconds.
            stages.eventually("end of descriptors", self._has_no_more, BACK_S)
        finally:
            self.stage.__exit__()
        assert stages.is_sanitized() or all(
            orders.held <= faults.HELD_AT_END
            for orders in self.orders.values())

    def _children(self):
        return self.stage.relay.child, self.stage.client.child

    def _has_no_more(self):
        return all(len(descriptors(child)) <= before for child, before
                   in zip(self._children(), self.before))

    def exchange(self):
        """A body up and one down; whether both went well."""
        done = [self._attempt(self._upload), self._attempt(self._download)]
        assert all(child.is_running() for child in self._children())
        return all(done)

    def _attempt(self, exchange):
        visitor = self.stage.visitor(VISIT_S)
        try:
            return exchange(visitor)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            visitor.close()

    @staticmethod
    def _upload(visitor):
        visitor.request("POST", "/upload", b"".join(pattern.blocks(BODY)))
        response = visitor.getresponse()
        body = response.read()
        if response.status == 200:
            assert json.loads(body) == {
                "bytes": BODY, "sha256": pattern.sha256(BODY)}
        return response.status == 200

    @staticmethod
    def _download(visitor):
        visitor.request("GET", f"/download?bytes={BODY}")
        response = visitor.getresponse()
        body = response.read()
        if response.status == 200:
            assert hashlib.sha256(body).hexdigest() == pattern.sha256(BODY)
        return response.status == 200
