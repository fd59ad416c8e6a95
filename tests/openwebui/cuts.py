"""The way from the client to its relay leads nowhere while somebody waits for
the answer of a call: for 3 s all that was under way is swallowed, without a
FIN or RST, as after a change of network; then connections come through that
are new, and from another address. Nobody in the call may notice more than a
longer pause.

The link is cut twice: while the page says "Thinking...", where the transcript
of what was said is lost on its way back, and while the answer is given, whose
words are lost on the call's WebSocket.
"""

import time

import calls
import calm
import stub

AWAY_S = 3.0
ARRIVES_S = 30.0
GRACE_S = 45.0  # so long the relay waits
BACK_S = 5.0  # it takes a tenth of a second
THINKING = "Thinking..."
RESUMED = " link-resumed "
# What the provider has got but not answered before the link is away, and from
# where the client comes back.
MOMENTS = (("recordings", "127.0.0.2"), ("questions", "127.0.0.3"))


def lead(house, network):
    """Restart the client so that it reaches its relay through |network|."""
    house.client.kill()  # told to end, it would wait for the page
    network.lead(house.client)
    return house.share()


def outage(network, address, during):
    """Swallow everything for AWAY_S, in which |during| happens; when it ends
    the client is at |address|."""
    begin = time.monotonic()
    network.freeze()
    during()
    time.sleep(max(0.0, begin + AWAY_S - time.monotonic()))
    network.address = address
    network.heal()


def came_back(relay):
    """From which addresses the client went on with its session, in order;
    once each, however often it did."""
    return list(dict.fromkeys(
        word.removeprefix("peer=").rsplit(":", 1)[0]
        for line in relay.child.errors().split("\n") if RESUMED in line
        for word in line.split() if word.startswith("peer=")))


def await_one(app, what, known):
    """The provider holds one more of |what| than the |known|."""
    app.stub.wait_for(f"one of the {what} held",
                      lambda: len(app.noted()[what]) > len(known[what]),
                      ARRIVES_S)


def cut_turn(chromium, house, network, held, address):
    """A turn whose answer the provider gives while the link is away; how long
    after that the client is back with its session."""
    app, known = house.app, house.app.noted()
    app.hold("recordings")  # or the page would think too short to be seen
    app.hold(held)
    before = chromium.call("half_turn", thinking=THINKING)
    await_one(app, "recordings", known)
    if held != "recordings":
        app.release("recordings")
        await_one(app, held, known)
    outage(network, address, lambda: app.release(held))
    healed = calm.now()
    house.relay.child.wait_for(f"a session that went on from {address}",
                               lambda: address in came_back(house.relay),
                               GRACE_S)
    back_s = calm.now() - healed
    chromium.call("other_half", before=before, listens=calls.STANDARD,
                  timeout_s=calls.TURN_S)
    return back_s


def check_call(tally, chromium, house, network):
    """A call of two turns, in each of which the link is cut."""
    again = lead(house, network)
    tally.check("over another network the name is the same",
                again == house.url, again)
    calls.open_page(chromium, house.url)
    chromium.call("call", listens=calls.STANDARD, sentences=0)
    spoken = len(house.app.noted()["speeches"])
    back_s = [cut_turn(chromium, house, network, held, address)
              for held, address in MOMENTS]
    notes, noted = chromium.call("notes"), house.app.noted()
    seen = chromium.call("seen")
    tally.check("the answers are spoken, byte by byte what the provider gave",
                len(notes["answered"]) == len(MOMENTS)
                and all(stub.WORDS in a for a in notes["answered"])
                and sorted(s["sha256"] for s in notes["speeches"])
                == sorted(s["sha256"] for s in noted["speeches"][spoken:]),
                [a[:24] for a in notes["answered"]])
    sockets = calls.socket_io(seen)
    tally.check("all on the same WebSocket",
                len(sockets) == 1 and not sockets[0]["closed_ms"],
                [(s["url"], s["closed_ms"]) for s in sockets])
    tally.check(f"it was back within {BACK_S:g} s of the outage",
                max(back_s) <= BACK_S,
                " and ".join(f"{s:.1f} s" for s in back_s))
    wanted = [address for _, address in MOMENTS]
    tally.check("the session went on, each time from another address",
                [a for a in came_back(house.relay) if a in wanted] == wanted,
                wanted)
    chromium.call("hang_up")
