"""What is claimed over a long line, whatever else the machine does."""

import hashlib
import json
import math
import os
import socket
import statistics
import subprocess
import threading
import time

import calm
import children
import house as houses
import netns
import outages
import pattern
import stage
import traffic
import tunnel

NAMES = ("voice", "bulk", "files", "small")
MIB = 1024 * 1024
START_S = 15.0

# The line itself.
RATE = 40
DELAY_MS = 30
LOSS = 2
# A program that is asked for late is late: half as much again, and a tick.
LATE_MS = 25

# A window of 256 KiB alone gives 0.42 of this line.
GOODPUT_LEAST = 0.65
GOODPUT_TRIES = 4
FROM_S, TO_S = 1, 3

BODY = 20 * MIB

# A reader that stops, and the others.
OTHERS = 99
BLOCK_S = 2
ORDER = "ABBAABBA"  # B: with the reader that does not read
STOPPED_TRIES = 3
RATE_LEAST = 0.8
WINDOW = 16 * MIB
MORE = 8 * MIB
ENDLESS = 10**12

# A third of a second on a quiet machine; 8 to 12 s if only the PING finds out.
FOUND_S = 5
# Half a second on a quiet machine.
GONE_S = 3


def near_service(house, name, argv):
    """Start a service behind |name|."""
    return children.Child(name, [*house.line.near, *argv], house.folder)


def check_line(tally, house):
    """The line is as slow, as long and as bad as it was told to be."""
    line = house.line
    house.use(houses.Link(RATE, DELAY_MS, 1000, 0))
    rate = houses.transferred(house, "get", 1, 3, True)
    tally.check(f"a line of {RATE} Mbit/s carries no more, and most of it",
                0.5 * RATE <= rate <= RATE, f"{rate:.1f} Mbit/s")
    call = houses.called(house, 2, True)
    p50 = call["get"]["p50_ms"], call["put"]["p50_ms"]
    tally.check(f"what is sent is there {DELAY_MS} ms later",
                all(DELAY_MS <= ms <= DELAY_MS + LATE_MS for ms in p50),
                f"{p50[0]:.1f} and {p50[1]:.1f} ms")
    before = line.counts()["up"]
    line.set("up", rate=0, loss=LOSS * 10000)
    houses.said(house.bulk("get", 2, True), 2)
    after = line.counts()["up"]
    packets = after["packets"] - before["packets"]
    lost = after["lost"] - before["lost"]
    due = LOSS * packets / 100
    # Six times as far off as chance is: never.
    tally.check(f"{LOSS}% of the packets are lost",
                abs(lost - due) <= 6 * math.sqrt(due),
                f"{lost} of {packets}")
    line.set(rate=RATE * 10**6, loss=0)
    check_refusals(tally, house)


def is_refused(line, **settings):
    """Whether the line will not have it."""
    try:
        line.set(**settings)
    except netns.Refused:
        return True
    return False


def check_refusals(tally, house):
    """What the line does not do."""
    again = subprocess.run([os.path.join(house.programs, "net_link")],
                           stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False, timeout=START_S)
    tally.check("a line keeps out of a network that has devices",
                again.returncode == 1 and "not ours" in again.stderr,
                again.stderr.strip())
    tally.check("it refuses what it does not know",
                is_refused(house.line, colour=1)
                and is_refused(house.line, lane="sideways", rate=1)
                and is_refused(house.line, delay=-1))


def serve_files(house):
    """The echo service."""
    echo = near_service(house, "files",
                        outages.echo_argv(house.ports["files"]))
    echo.wait_for_line("port ", START_S)
    return echo


def curl_sha(url, ca, *options):
    """The hash of what curl gets."""
    return hashlib.sha256(tunnel.curl(url, ca, *options)).hexdigest()


def check_whole(tally, house):
    """Bodies arrive as they were sent, both ways, also when packets do not."""
    echo = serve_files(house)
    path = os.path.join(house.folder, "body")
    pattern.write_file(path, BODY)
    right = pattern.sha256(BODY)
    for name in ("100/50", "100/50 1%"):
        house.use(houses.LINKS[name])
        url = house.urls["files"]
        got = curl_sha(f"{url}/download?bytes={BODY}", house.ca)
        tally.check(f"a download over {name} is what was sent", got == right)
        said = json.loads(tunnel.curl(f"{url}/upload", house.ca, "-T",
                                      path, "-H", "Expect:"))
        tally.check(f"an upload over {name} is what was sent",
                    said == {"bytes": BODY, "sha256": right})
    echo.stop()


def check_goodput(tally, house):
    """One stream beside one TCP connection, the best of some tries."""
    house.use(houses.LINKS["100/50"])
    for way in ("get", "put"):
        best = 0.0
        for _ in range(GOODPUT_TRIES):
            direct, ours = (houses.transferred(house, way, FROM_S, TO_S,
                                               is_direct)
                            for is_direct in (True, False))
            tally.say(f"direct {direct:.1f}, tunnel {ours:.1f} Mbit/s")
            best = max(best, ours / direct)
            if best >= GOODPUT_LEAST:
                break
        tally.check(f"windows grow until one stream fills the line ({way})",
                    best >= GOODPUT_LEAST or stage.is_sanitized(),
                    f"{best:.2f} of one TCP connection")


class Stopped:
    """A visitor that asks for all there is and does not read it."""

    def __init__(self, house):
        url = house.urls["small"]
        self.visitor = tunnel.Visitor(url, house.ca, START_S)
        self.visitor.connect()
        self.visitor.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                     64 * 1024)
        self.visitor.request("GET", f"/{ENDLESS}")

    def close(self):
        """It goes away."""
        self.visitor.close()


def resident(pid):
    """Its memory, in bytes."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def others(house, seconds):
    """The other visitors' requests a second, and p99 in ms."""
    done = subprocess.run(
        [os.path.join(house.programs, "..", "bench", "bench_probe"),
         *house.door("small"), "get", "1024", str(OTHERS), str(seconds)],
        capture_output=True, text=True, check=True,
        timeout=seconds + START_S)
    said = json.loads(done.stdout)
    if said["failed"]:
        raise children.Died(f"the others: {done.stdout}")
    return said["requests"] / said["seconds"], said["p99_us"] / 1000


def blocks(house, order, seconds, kept, grown):
    """Blocks with and without the one that stops: (rate, p99) of each into
    |kept|, and by how much each of house.pids() grew at the most."""
    pids = house.pids()
    before = [resident(pid) for pid in pids]
    stopped = None
    for letter in order:
        if letter == "B" and stopped is None:
            stopped = Stopped(house)
            time.sleep(1)
        if letter == "A" and stopped is not None:
            stopped.close()
            stopped = None
        kept[letter].append(others(house, seconds))
        for i, pid in enumerate(pids):
            grown[i] = max(grown[i], resident(pid) - before[i])
    if stopped is not None:
        stopped.close()


def serve_small(house):
    """The service of the others and of the one that stops."""
    return near_service(house, "small", [
        os.path.join(house.programs, "..", "bench", "bench_service"),
        str(house.ports["small"])])


def check_stopped(tally, house):
    """99 visitors beside one that has stopped reading."""
    house.use(houses.LINKS["100/50"])
    service = serve_small(house)
    others(house, 1)  # what is allocated at first is no growth
    kept, grown = {"A": [], "B": []}, [0, 0]
    for _ in range(STOPPED_TRIES):
        with houses.preferred(house, [service]):
            blocks(house, ORDER, BLOCK_S, kept, grown)
        rates = {letter: statistics.median(rate for rate, _ in found)
                 for letter, found in kept.items()}
        ratio = rates["B"] / rates["A"]
        if ratio >= RATE_LEAST:
            break
    tally.check("one that stops reading holds up nobody else",
                ratio >= RATE_LEAST,
                f"{rates['B']:.0f} beside {rates['A']:.0f} requests a second:"
                f" {ratio:.2f}")
    for name, bytes_more in zip(("relay", "client"), grown):
        tally.check(f"what waits for it in the {name} is within its window",
                    bytes_more <= WINDOW + MORE or stage.is_sanitized(),
                    f"{bytes_more / MIB:.1f} MiB more")
    service.stop()


def check_cut(tally, house):
    """Traffic of all kinds through a cut, and requests through a longer one."""
    echo = serve_files(house)
    for words, happens, kinds, seconds in (
            ("a cut of 3 s", outages.cut_plainly, (), outages.OUTAGE_S),
            ("such a cut and a new address", outages.change_address, (),
             outages.OUTAGE_S),
            ("5 s and a new address, while visitors come",
             outages.long_change, ["requests"], outages.LONG_OUTAGE_S)):
        house.use(outages.LINE)
        report = outages.outage(house, happens, kinds)
        tally.check(f"nobody notices more of {words} than that it is slow",
                    traffic.is_whole(report), traffic.show(report))
        gap_s = max(kind["gap_ms"] for kind in report.values()) / 1000
        tally.check(f"{words}: the client does not wait for its PING",
                    gap_s <= seconds + FOUND_S, f"{gap_s:.2f} s")
    echo.stop()


def check_gone(tally, house):
    """A client without FIN, and the next one."""
    echo = serve_files(house)
    house.use(outages.LINE)
    after = outages.gone(house, calm.now)
    tally.check("another one with the key of one that is gone serves at once",
                after is not None and after <= GONE_S,
                f"after {after:.2f} s" if after else "never")
    echo.stop()


def check_black_hole(tally, house):
    """Near moves: what it spoke with before hears no more of it."""
    line = house.line
    house.use(houses.Link(RATE, DELAY_MS, 1000, 0))
    left = line.address
    accepted, old = connect_to_relay(house)
    line.move()
    tally.check("near has another address", line.address != left,
                f"{left}, then {line.address}")
    tally.check("nothing comes from where it was", not says(old, accepted))
    accepted, new = connect_to_relay(house)
    tally.check("something comes from where it is", says(new, accepted))
    line.cut()
    tally.check("nothing comes through a cut", not says(new, accepted))
    line.mend()
    tally.check("what was lost in the cut comes after it",
                hears(accepted, START_S))


def connect_to_relay(house):
    """A TCP connection from near to far: (far's end, near's end)."""
    found = []

    def near_end():
        with open(house.line.network, "rb") as there:
            netns.into(there.fileno())
        found.append(socket.create_connection((netns.FAR, port), START_S))

    with socket.create_server((netns.FAR, 0)) as listener:
        port = listener.getsockname()[1]
        listener.settimeout(START_S)
        # A thread of its own goes there, and ends there.
        thread = threading.Thread(target=near_end)
        thread.start()
        accepted = listener.accept()[0]
        thread.join(START_S)
    return accepted, found[0]


def hears(end, seconds):
    """Whether a byte comes within some time."""
    end.settimeout(seconds)
    try:
        return end.recv(1) != b""
    except OSError:
        return False


def says(near, far):
    """Whether what near says is heard in far."""
    try:
        near.send(b"x")
    except OSError:
        return False
    return hears(far, 1.0)


def check_sound(tally, house):
    """Nothing of ours has died."""
    house.stop()
    for child in (house.relay.child, house.client.child):
        try:
            stage.check_sound(child)
            is_sound, why = True, ""
        except AssertionError as error:
            is_sound, why = False, str(error)
        tally.check(f"{child.name} ended well", is_sound, why)


PARTS = {
    "line": check_line,
    "moves": check_black_hole,
    "whole": check_whole,
    "goodput": check_goodput,
    "stopped": check_stopped,
    "cut": check_cut,
    "gone": check_gone,
}
