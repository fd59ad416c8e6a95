"""What visitors see of a line that is cut, and of a machine that is gone.

The hard cut is one during which the client's address changes: what it spoke
with before is a black hole from then on, as after a change of network. In the
easy one TCP lives on.
"""

import os
import threading
import time
import urllib.parse

import house as houses
import traffic
import tunnel

HERE = os.path.dirname(os.path.abspath(__file__))
OUTAGE_S = 3.0
LONG_OUTAGE_S = 5.0
BEFORE_S = 1.0
TALK_S = 9
BODY = 12 * 10**6
LINE = houses.LINKS["100/50"]
RTT_MS = 2 * LINE.delay
GAP_MORE_MS = 4 * RTT_MS + 300
PATIENCE_S = 150.0
AWAY_S = 3.0
KNOCK_S = 0.1
START_S = 20.0


def echo_argv(port):
    """The echo service's command line."""
    return ["/usr/bin/python3",
            os.path.join(os.path.dirname(HERE), "support", "echo_service.py"),
            "--port", str(port)]


def change_address(house, seconds=OUTAGE_S):
    """Cut, a new address in the middle, mend."""
    house.line.cut()
    time.sleep(seconds / 2)
    house.line.move()
    time.sleep(seconds / 2)
    house.line.mend()


def cut_plainly(house, seconds=OUTAGE_S):
    """Cut, mend."""
    house.line.cut()
    time.sleep(seconds)
    house.line.mend()


def long_change(house):
    """As change_address(), for the longer time."""
    change_address(house, LONG_OUTAGE_S)


def outage(house, happens, kinds=()):
    """Traffic of some kinds, or all, while something |happens|; its report."""
    visitors = traffic.start(house.folder, house.urls["files"], house.ca,
                             TALK_S, BODY, kinds)
    try:
        with houses.preferred(house, [visitors]):
            time.sleep(BEFORE_S)
            happens(house)
            visitors.wait(PATIENCE_S)
    finally:
        visitors.kill()
    return traffic.told(visitors)


def get(url, ca, seconds):
    """The status that a visitor gets; 0: none."""
    parts = urllib.parse.urlsplit(url)
    visitor = tunnel.Visitor(url, ca, seconds)
    try:
        visitor.request("GET", "/status", headers={"Host": parts.netloc})
        return visitor.getresponse().status
    except OSError:
        return 0
    finally:
        visitor.close()


def knock(house, is_over, served, clock):
    """Visitors, one each tenth of a second; when one was served first."""
    def one():
        if get(house.urls["files"], house.ca, START_S) == 200:
            served.append(clock())

    threads = []
    while not is_over.is_set():
        threads.append(threading.Thread(target=one, daemon=True))
        threads[-1].start()
        is_over.wait(KNOCK_S)
    for thread in threads:
        thread.join(2 * START_S)


def served_after(house, begun, clock, seconds):
    """
    How long after |begun| somebody who knocks from now on is served; None: not
    within some seconds. By |clock|.
    """
    is_over, served = threading.Event(), []
    knocking = threading.Thread(target=knock, daemon=True,
                                args=(house, is_over, served, clock))
    knocking.start()
    end = clock() + seconds
    while not served and clock() < end:
        time.sleep(0.01)
    is_over.set()
    knocking.join(3 * START_S)
    return served[0] - begun if served else None


def gone(house, clock):
    """
    The client goes without a word, and another with its key comes some
    seconds later; how long after its start it serves somebody, by |clock|;
    None: it does not.
    """
    line = house.line
    line.cut()
    house.client.child.kill()
    line.move()
    line.mend()
    time.sleep(AWAY_S)
    begun = clock()
    house.client.start("start")
    return served_after(house, begun, clock, START_S)
