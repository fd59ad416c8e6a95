"""Services in `near`, who asks for them in `far`, a line and a tunnel between.

Ours is a House. Others are told how to be one in tests/bench/abroad.py.
"""

import collections
import json
import os
import subprocess
import urllib.parse

import calm
import children
import netns
import tunnel

PATIENCE_S = 60.0
CONGESTION = "bbr"  # of a link where the kernel has it, so of what it is beside

# rate in Mbit/s, delay one way in ms, queue in KB, loss in percent
Link = collections.namedtuple("Link", "rate delay queue loss")
LINKS = {
    "20/40": Link(20, 20, 500, 0),
    "5/40": Link(5, 20, 250, 0),
    "2/40": Link(2, 20, 125, 0),
    "100/50": Link(100, 25, 625, 0),
    "100/50 0.1%": Link(100, 25, 625, 0.1),
    "100/50 1%": Link(100, 25, 625, 1),
    "300/20": Link(300, 10, 400, 0),
    "300/50": Link(300, 25, 1875, 0),
}


def build():
    """The folder of our programs, with the probes made there."""
    folder = os.environ.setdefault(
        "SALLYPORT_BUILD", os.path.join(tunnel.ROOT, "build", "release"))
    subprocess.run(["cmake", "--build", folder, "--target", "net"],
                   check=True, stdout=subprocess.DEVNULL)
    return os.path.join(os.path.abspath(folder), "tests", "net")


class Relay(tunnel.Relay):
    """One that near can reach, and visitors in far at 127.0.0.1."""

    LISTEN, INVITE = "0.0.0.0", netns.FAR


class Tunnelled:
    """
    A tunnel over a line: names with the ports of their services, the URL that
    each has in far, the authority that visitors trust.
    """

    def __init__(self, programs, folder, line, ports):
        self.programs = programs
        self.folder = folder
        self.line = line
        self.ports = ports
        self.urls = None
        self.ca = None
        self._runs = 0

    def bend(self, link):
        """Have the line be as |link| says, both ways."""
        self.line.set(rate=int(link.rate * 1e6), delay=int(link.delay * 1e3),
                      queue=int(link.queue * 1e3), loss=int(link.loss * 1e4))

    def door(self, name):
        """Where visitors find a name: words for our probes."""
        parts = urllib.parse.urlsplit(self.urls[name])
        return ["127.0.0.1", str(parts.port), parts.hostname]

    def use(self, link):
        """Serve all names over a line like |link|; anew: TCP would believe
        for seconds in the round trip it had."""
        raise NotImplementedError

    def rest(self):
        """Nothing of it is on the line until it is used again."""
        raise NotImplementedError

    def pids(self):
        """Of those whose speed counts."""
        raise NotImplementedError

    def _probe(self, program, name, is_direct, words):
        """Start one of our probes."""
        self._runs += 1
        port = str(self.ports[name])
        where = ([self.line.address, port, "-"] if is_direct
                 else self.door(name))
        return children.Child(
            f"{program}-{self._runs}",
            [os.path.join(self.programs, program), self.line.network, port,
             *where, *words], self.folder)

    def bulk(self, way, seconds, is_direct=False, name="bulk"):
        """Start a transfer: `get` or `put`; one for each name at a time."""
        congestion = [CONGESTION] if is_direct else []
        return self._probe("net_bulk", name, is_direct,
                           [way, str(seconds), *congestion])

    def call(self, seconds, is_direct=False, frames=()):
        """Start a call; |frames|: least and most bytes, ms between."""
        return self._probe("net_voice", "voice", is_direct,
                           [str(seconds), *map(str, frames)])


class House(Tunnelled):
    """Our tunnel. Names are shared by one client, in one session."""

    def __init__(self, programs, folder, names=("voice", "bulk"), settings=(),
                 options=()):
        """|settings| are the relay's, |options| the client's."""
        super().__init__(
            programs, folder,
            netns.Line(os.path.join(programs, "net_link"), folder),
            {name: children.free_port() for name in names})
        self.relay = Relay(folder, settings)
        self.relay.start()
        self.ca = self.relay.ca
        self.client = self.machine("machine")
        self.client.login()
        self.options = options

    def machine(self, name):
        """One more machine in near."""
        client = tunnel.Client(self.relay, self.folder, name)
        client.place = self.line.near
        return client

    def share(self, client):
        """`sallyport start` with all names; their URLs."""
        # Nothing but what we ask for comes to a service.
        client.configure("probe: false", tunnels={
            name: {"target": f"127.0.0.1:{port}", "name": name}
            for name, port in self.ports.items()})
        client.start("start", *self.options)
        events = client.child.wait_for(
            "a URL for each", lambda: len(client.events("url"))
            == len(self.ports) and client.events("url"), tunnel.START_S)
        urls = [event["url"].rstrip("/") for event in events]
        return {name: next(u for u in urls if f"//{name}." in u)
                for name in self.ports}

    def use(self, link):
        """Share all names over it."""
        self.rest()
        self.bend(link)
        self.urls = self.share(self.client)

    def rest(self):
        """The client ends."""
        self.client.stop()

    def pids(self):
        """Relay and client."""
        return [self.relay.child.process.pid, self.client.child.process.pid]

    def told(self):
        """The last that relay and client have told."""
        return "\n".join(f"{child.name}: {(child.errors())[-1500:]}"
                         for child in (self.relay.child, self.client.child))

    def stop(self):
        """End everything."""
        self.rest()
        self.relay.stop()
        self.line.stop()


def said(probe, seconds):
    """What a probe has said, when it has ended."""
    if probe.wait(seconds + PATIENCE_S) != 0:
        raise children.Died(f"{probe.name}: {probe.errors()}")
    return json.loads(probe.output())


def goodput(report, from_s, to_s):
    """Mbit/s that arrived between two times."""
    each_s = report["slot_ms"] / 1000
    slots = report["slots"][round(from_s / each_s):round(to_s / each_s)]
    return sum(slots) * 8 / 1e6 / (len(slots) * each_s)


def transferred(house, way, from_s, to_s, is_direct=False):
    """A transfer by itself; Mbit/s between two times."""
    probe = house.bulk(way, to_s, is_direct)
    with preferred(house, [probe]):
        return goodput(said(probe, to_s), from_s, to_s)


def called(house, seconds, is_direct=False, frames=()):
    """A call by itself; what it says."""
    probe = house.call(seconds, is_direct, frames)
    with preferred(house, [probe]):
        return said(probe, seconds)


def preferred(house, probes):
    """While this lasts, what is measured runs before all else."""
    return calm.preferred(house.pids() + [p.process.pid for p in probes])
