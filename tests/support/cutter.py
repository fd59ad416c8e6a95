"""A network between a client and its relay that can break.

Carries TCP connections to the relay as they are. cut() ends them, as a router
that restarts; reset() does so with RST, half_close() one way only; freeze()
lets them stand and swallows what comes, as after a change of network, where
the old flows lead nowhere; heal() lets new ones through again. Some break the
oldest or the newest one only, and let new ones pass. With |rate| it is slow:
so many bytes a second each way. New connections come from |address|: the
client has moved when that changes.
"""

import contextlib
import os
import socket
import struct
import threading
import time

READ_BYTES = 65536
TO_RELAY, TO_CLIENT = 0, 1


class Cutter:
    """Listens on |port| until it is left."""

    def __init__(self, relay_port):
        self.relay_port = relay_port
        self.rate = None
        self.address = "127.0.0.1"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._flows = []
        self._is_open = True

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # close() alone leaves a thread in accept(), and the port open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def lead(self, client):
        """From now on |client| reaches its relay through here."""
        path = os.path.join(client.folder, "state", "sallyport", "relays")
        with open(path, encoding="ascii") as source:
            text = source.read()
        with open(path, "w", encoding="ascii") as out:
            out.write(text.replace(f" {self.relay_port} ", f" {self.port} "))

    def _close(self):
        """Refuse new connections; those that there were."""
        with self._lock:
            self._is_open = False
            flows, self._flows = self._flows, []
        return flows

    def cut(self):
        """End every connection, and refuse new ones."""
        for flow in self._close():
            flow.end()

    def reset(self):
        """As cut(), without a chance to hear what is under way."""
        for flow in self._close():
            flow.reset()

    def half_close(self, way):
        """As cut(), but only TO_RELAY or TO_CLIENT; what comes that way is
        swallowed."""
        for flow in self._close():
            flow.half_close(way)

    def freeze(self):
        """Swallow what comes on all connections, for ever, and refuse new
        ones."""
        for flow in self._close():
            flow.is_frozen = True

    def _pop(self, at):
        with self._lock:
            return self._flows.pop(at)

    def cut_first(self):
        """End the oldest connection only."""
        self._pop(0).end()

    def cut_last(self):
        """End the newest connection only."""
        self._pop(-1).end()

    def freeze_last(self):
        """Swallow what comes on the newest connection only."""
        self._pop(-1).is_frozen = True

    def standing(self):
        """The connections that neither end has closed."""
        with self._lock:
            return [flow for flow in self._flows if not flow.is_over]

    def refuse(self):
        """What stands stays; nothing new passes."""
        with self._lock:
            self._is_open = False

    def heal(self):
        """Let new connections through."""
        with self._lock:
            self._is_open = True

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with self._lock:
                    if self._is_open:
                        self._flows.append(Flow(near, self))
                    else:
                        near.close()


class Flow:
    """One connection, carried both ways."""

    def __init__(self, near, network):
        self.is_frozen = self.is_over = False
        self._network = network
        self._closed_way = None
        self._ends = [near, socket.create_connection(
            ("127.0.0.1", network.relay_port),
            source_address=(network.address, 0))]
        for way in (TO_RELAY, TO_CLIENT):
            threading.Thread(target=self._carry, args=(way,),
                             daemon=True).start()

    def _carry(self, way):
        source, sink = self._ends[way], self._ends[1 - way]
        with contextlib.suppress(OSError):
            while data := source.recv(READ_BYTES):
                if not self.is_frozen and way != self._closed_way:
                    sink.sendall(data)
                if rate := self._network.rate:
                    time.sleep(len(data) / rate)
        if not self.is_frozen:
            self.end()

    def end(self):
        """No byte more either way."""
        self.is_over = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def half_close(self, way):
        """No byte more |way|, and who listens there is told so."""
        self._closed_way = way
        with contextlib.suppress(OSError):
            self._ends[1 - way].shutdown(socket.SHUT_WR)

    def reset(self):
        """No byte more, nor any that was not read yet."""
        self.is_frozen = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
                # Who reads from it would keep it open.
                end.shutdown(socket.SHUT_RD)
            end.close()
