"""Two whole houses, and crowds of strangers that are sent to one of them.

Each house is a relay with its client and its service; both run the same
programs on the same machine. The first is the one that is measured, the
second is the other victim: what an attack on it costs the machine, it costs
the visitors of the first house as well.
"""

import json
import os
import subprocess
import urllib.parse

import children
import tunnel

PAGE = os.sysconf("SC_PAGE_SIZE")
STRANGER = ("tests", "attacks", "attacks_stranger")
SERVICE = ("tests", "bench", "bench_service")
# All that is here shares one kernel's memory for TCP. What it would keep of
# answers for the service, megabytes each, is not the tunnel's, and would be
# missed by everybody, whosever visitors stall.
SERVICE_KEPT = 16384
OURS = "0100007F:"  # from where the clients come
START_S = 10.0
LINK_WORDS = (" link-up ", " link-lost ", " link-fenced ", " link-resumed ",
              " session-")


def build():
    """The folder of the programs, with ours made there."""
    folder = os.environ.setdefault(
        "SALLYPORT_BUILD", os.path.join(tunnel.ROOT, "build", "release"))
    subprocess.run(["cmake", "--build", folder, "--target", "attacks"],
                   check=True, stdout=subprocess.DEVNULL)
    return folder


class House:
    """A relay, a client whose name is measured, and one that is idle."""

    def __init__(self, folder, name, prefix=()):
        """|prefix| are words before its programs' own."""
        self.name = name
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        port = children.free_port()
        self.service = children.Child(
            "service", [os.path.join(os.environ["SALLYPORT_BUILD"], *SERVICE),
                        str(port), str(SERVICE_KEPT)], self.folder)
        self.relay = tunnel.Relay(self.folder)
        self.relay.prefix = list(prefix)
        self.relay.start()
        self.client = tunnel.Client(self.relay, self.folder, "busy")
        self.idle = tunnel.Client(self.relay, self.folder, "idle")
        for client, label in ((self.client, name), (self.idle, "idle-" + name)):
            client.prefix = list(prefix)
            client.login()
            client.http(f"127.0.0.1:{port}", name=label,
                        options=["--no-probe"])
        self.url = self.client.url()
        self.links = self.link_lines()

    @property
    def host(self):
        """The name that visitors and strangers ask for."""
        return urllib.parse.urlsplit(self.url).hostname

    def memory(self):
        """(relay, client): resident bytes now."""
        return tuple(resident(child) for child in
                     (self.relay.child, self.client.child))

    def kept(self):
        """What the kernel keeps for the relay's visitors, in bytes: sent and
        not acknowledged, or still to be sent."""
        at, total = f":{self.relay.port:04X}", 0
        with open("/proc/net/tcp", encoding="ascii") as table:
            for line in table:
                words = line.split()
                if words[1].endswith(at) and not words[2].startswith(OURS):
                    total += int(words[4].split(":")[0], 16)
        return total

    def live(self):
        """How many requests of the busy client the relay says to be live."""
        lines = self.relay.command("sessions").stdout.split("\n")
        return int(next(line for line in lines
                        if f" {self.client.machine} " in line).split()[6])

    def troubles(self):
        """What happened to its links, as the programs tell it."""
        said = [f"{self.name} {client.machine} client: {event}"
                for client in (self.client, self.idle)
                for event in ("lost", "retry", "denied")
                if f'"event":"{event}"' in client.child.output()]
        return said + [f"{self.name} relay: {line}" for line in
                       self.link_lines()[len(self.links):]]

    def link_lines(self):
        """
        What the relay says of links that were there, and of sessions. A dial
        that the client gave up (link-dropped) is none: it dials beside a link
        that it has not heard for 2 s, and has it still when it hears it.
        """
        return [line for line in self.relay.child.errors().split("\n")
                if any(word in line for word in LINK_WORDS)]


def share_a_core(*all_houses):
    """
    Put the relays on one core and all others, us and who is started later too,
    on the others: an attack costs the same core whichever relay is attacked,
    and it is not the scheduler's choice of cores that is measured. Nothing
    where there is one core.
    """
    cores = os.sched_getaffinity(0)
    relays = {max(cores)}
    if len(cores) == 1:
        return
    os.sched_setaffinity(0, cores - relays)
    for house in all_houses:
        _move(house.relay.child, relays)
        for child in (house.service, house.client.child, house.idle.child):
            _move(child, cores - relays)


def _move(child, cores):
    for thread in os.listdir(f"/proc/{child.process.pid}/task"):
        os.sched_setaffinity(int(thread), cores)


def resident(child):
    """The memory of a child, in bytes."""
    with open(f"/proc/{child.process.pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE


class Crowd:
    """Strangers, or visitors, of one kind at one house's door."""

    def __init__(self, house, kind, count, address, addresses):
        argv = [os.path.join(os.environ["SALLYPORT_BUILD"], *STRANGER), kind,
                str(house.relay.port), house.host, str(count), address,
                str(addresses)]
        # pylint: disable-next=consider-using-with
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def tell(self):
        """Its counters now."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())
