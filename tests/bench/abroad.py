"""The other tunnels over a line: their servers and haproxy in `far`, as the
relay is, their clients in `near` beside the services.

Each is a house as tests/net/house.py has them, so that whatever is measured
there of ours can be measured of it.
"""

import os
import tempfile

import children
import house as houses
import netns
import rivals
import targets


class Rival(houses.Tunnelled):
    """One of them, on the line of |ours|, before the same services."""

    def __init__(self, name, ours, given):
        super().__init__(ours.programs, ours.folder, ours.line, ours.ports)
        self.name = name
        self._given = given
        self._running = []
        self._pids = []

    def use(self, link):
        """All of it anew, over a line like |link|."""
        self.rest()
        self.bend(link)
        keep = children.running()
        try:
            self._start(tempfile.mkdtemp(prefix=self.name + "-",
                                         dir=self.folder))
        finally:
            self._running = [c for c in children.running() if c not in keep]

    def _start(self, folder):
        os.chmod(folder, 0o711)
        cert, key, both = targets.certificate(folder)
        rival = rivals.START[self.name](
            rivals.Place(folder, self.ports, cert, key, targets.NAME,
                         netns.FAR, self.line.near), self._given)
        fronts = [(name, children.free_port(), port)
                  for name, port in rival.ports.items()]
        haproxy = targets.start_haproxy(folder, "haproxy", fronts, both)
        self._pids = [haproxy.process.pid, *rival.pids.values()]
        self.ca = cert
        self.urls = {name: f"https://{targets.NAME}:{port}"
                     for name, port, _ in fronts}

    def pids(self):
        """Of haproxy, and of all that came of the two programs."""
        return sorted({*self._pids, *(below for pid in self._pids
                                      for below in children.descendants(pid))})

    def rest(self):
        """End it, until it is used again."""
        for child in reversed(self._running):
            child.kill()
        self._running = []
