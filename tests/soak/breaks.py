"""A link that breaks at random, and those who must not notice.

Moments, kinds and lengths are drawn from a seed: a connection that ends, that
is reset, that ends one way only, and one that swallows all from then on.
"""

import random
import threading
import time

import cutter
import stage
import traffic

# How long nothing new gets through, at most; mostly far less.
AWAY_S = 1.0
# Who is late makes up for it, but not without a pause.
SOON_S = 0.3
BACK_S = 60.0
HOLE = "hole"
# A hole needs somebody who sends: without traffic it is found by PING only.
KINDS = ("cut", "cut", "reset", "half to relay", "half to client")
# Beside the exchanges: what lasts from the first to the last second.
BODY = 12 * 10**6
LASTING = ("events=6", "sockets=3", "echoes=6", "transfers=2", "requests")


class Lines:
    """How many lines of a file that grows have a word in them."""

    def __init__(self, path, word):
        self._file = open(path, encoding="utf-8", errors="replace")
        self._word = word
        self._rest = ""
        self._count = 0

    def count(self):
        """So far."""
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        self._count += sum(self._word in line for line in lines)
        return self._count

    def close(self):
        """Done with it."""
        self._file.close()


def kinds_of(dice, count, holes):
    """What happens, in its order."""
    kinds = [HOLE] * holes + [dice.choice(KINDS)
                              for _ in range(count - holes)]
    dice.shuffle(kinds)
    return kinds


class Breaker:
    """Breaks |network| so many times in so many seconds, in the background."""

    def __init__(self, network, show, options):
        self.network = network
        self.done = 0      # cuts from which the client came back
        self.in_time = 0   # of these, while there was traffic
        self.back_s = []   # from the moment at which it could
        self.error = None
        self._resumed = Lines(show.relay.child.err_path, " link-resumed ")
        self._dice = random.Random(options.seed)
        self._kinds = kinds_of(self._dice, options.cuts, options.holes)
        self._each_s = options.seconds / options.cuts
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            begin = time.monotonic()
            for number, kind in enumerate(self._kinds):
                due = begin + (number + self._dice.random()) * self._each_s
                now = time.monotonic()
                self._is_over.wait(max(
                    due - now, self._dice.uniform(0, SOON_S)))
                self._one(kind)
        except (AssertionError, OSError) as error:
            self.error = error

    def _one(self, kind):
        """Break, wait, heal, wait until the client is back."""
        is_over = self._is_over.is_set()
        before = self._resumed.count()
        if kind == "reset":
            self.network.reset()
        elif kind == HOLE and not is_over:
            self.network.freeze()
        elif kind.startswith("half"):
            self.network.half_close(cutter.TO_RELAY if kind.endswith("relay")
                                    else cutter.TO_CLIENT)
        else:
            self.network.cut()
        time.sleep(AWAY_S * self._dice.random() ** 2)
        self.network.heal()
        begin = time.monotonic()
        stage.eventually(f"link after a {kind}",
                         lambda: self._resumed.count() > before, BACK_S)
        self.back_s.append((time.monotonic() - begin, kind))
        self.done += 1
        self.in_time += not is_over

    def finish(self):
        """There is no more traffic: do what is left at once."""
        self._is_over.set()
        self._thread.join()
        self._resumed.close()

    def told(self):
        """How it went, for people."""
        if not self.back_s:
            return "none"
        times = sorted(self.back_s)
        holes = [s for s, kind in times if kind == HOLE]
        plain = [s for s, kind in times if kind != HOLE] or holes
        return (f"back after {plain[len(plain) // 2]:.2f} s, "
                f"at most {plain[-1]:.2f} s" + (
                    f"; after {len(holes)} holes {holes[len(holes) // 2]:.1f}"
                    f" s, at most {holes[-1]:.1f} s" if holes else ""))


def start_lasting(show, seconds):
    """Streams that last so long; the program that looks at them."""
    return traffic.start(show.folder, show.urls["lasting"], show.ca, seconds,
                         BODY, LASTING)


def check(checks, breaker, show, lasting, options):
    """Everyone who lasted got all of it, on one session."""
    for line in lasting.errors().split("\n")[-5:-1]:
        print(f"      {line}")
    report = traffic.told(lasting)
    for name, kind in report.items():
        checks.check(f"{name}: each has all of it, in its order, on the "
                     "connection that it began with",
                     kind["whole"] == kind["count"],
                     traffic.show({name: kind}))
    checks.check("the client came back from every cut",
                 breaker.done == options.cuts and breaker.error is None,
                 f"{breaker.done} of {options.cuts}; "
                 f"{breaker.error or breaker.told()}")
    checks.check("half of the cuts at least came in the traffic",
                 2 * breaker.in_time >= options.cuts, f"{breaker.in_time}")
    with open(show.relay.child.err_path, encoding="utf-8") as log:
        up = sum(" link-up " in line for line in log)
    # The enrolment, and this one.
    checks.check("to one and the same session", up == 2, f"{up - 1}")
