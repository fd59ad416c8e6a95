"""A call beside a transfer: how late it is, and what the transfer gets."""

import collections
import time

import children
import house as houses

# A transfer is under way for so long before anything is counted.
WARM_S = 2

# ms: the call alone, and beside the transfer; Mbit/s: beside it, and alone.
Round = collections.namedtuple(
    "Round", "base_p50 base_p99 p50 p99 most rate alone")


def _at_once(house, way, seconds, frames):
    """Call and transfer; (what the call says, Mbit/s)."""
    bulk = house.bulk(way, 2 * WARM_S + seconds)
    with houses.preferred(house, [bulk]):
        time.sleep(WARM_S)
        call = house.call(seconds, frames=frames)
        with houses.preferred(house, [call]):
            report = houses.said(call, seconds)
        rate = houses.goodput(houses.said(bulk, WARM_S + seconds), WARM_S,
                              WARM_S + seconds)
    return report[way], rate


def one_round(house, way, seconds, frames=()):
    """Each alone, then both; |way| is the transfer's, `get` or `put`."""
    base = houses.called(house, seconds, frames=frames)[way]
    alone = houses.transferred(house, way, WARM_S, WARM_S + seconds)
    call, rate = _at_once(house, way, seconds, frames)
    if call["missing"] or base["missing"]:
        raise children.Died(f"frames are missing: {base}, {call}")
    return Round(base["p50_ms"], base["p99_ms"], call["p50_ms"],
                 call["p99_ms"], call["max_ms"], rate, alone)
