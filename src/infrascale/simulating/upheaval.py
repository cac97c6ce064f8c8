"""What the analytic queue says while something befalls the replicas: deaths, late starts, crowds.

In: one replica, the rate of all, the Circumstances.    Out: Instants, by uniformisation; empty where it does not apply.
Idea: between two events each replica that is alive has an equal share of a steady rate. So the time is a list of
spells, and the chances of one replica's states are carried through them.
"""

from __future__ import annotations

from itertools import pairwise

from infrascale.serving.queueing import Replica
from infrascale.serving.transient import Instant, Spell, course
from infrascale.simulating.circumstances import Circumstances

#: How long after the last event it is followed, and how many looks are taken.
AFTER_S, LOOKS = 900.0, 80
#: Moves times states beyond which it would take longer than the simulation.
MOST_WORK = 1.5e9


def upheaval(
    replica: Replica, request_per_s: float, told: Circumstances, replicas: int, end_s: float
) -> tuple[Instant, ...]:
    pattern = told.pattern
    shaped = pattern.profile or pattern.turns > 1 or pattern.replay or pattern.clients or pattern.lengths
    if shaped or told.autoscaler or told.speculation or told.prefill_replicas:
        return ()
    events = sorted(at_s for at_s in _events(told) if at_s < end_s)
    if not events or (events == [0.0] and told.late is None):
        return ()
    edges = sorted({events[0], *events, min(end_s, events[-1] + AFTER_S)})
    begin = 0.0 if told.late is not None else events[0]
    before = _share(request_per_s, told, replicas, -1.0 if told.late is not None else events[0] - 1e-6)
    spells = [Spell(seconds=1e-3, request_per_s=before or 0.0)]
    for start, stop in pairwise(sorted({begin, *edges})):
        share = _share(request_per_s, told, replicas, start)
        if share is None:
            return ()  # nobody is alive
        spells.append(Spell(seconds=stop - start, request_per_s=share))
    if spells[0].request_per_s >= replica.most_request_per_s:
        spells[0] = Spell(seconds=1e-3, request_per_s=0.0)
    most = replica.most_request_per_s
    whole_s = sum(spell.seconds for spell in spells)
    piled = sum(max(0.0, spell.request_per_s - most) * spell.seconds for spell in spells)
    states = replica.places + 2 * piled + 8 * (request_per_s * whole_s / replicas) ** 0.5
    if states * whole_s * (most + max(spell.request_per_s for spell in spells)) > MOST_WORK:
        return ()
    found = course(replica, spells, every_s=max(1.0, whole_s / LOOKS))
    return tuple(
        Instant(at_s=begin + one.at_s, in_flight=one.in_flight, waits=one.waits, wait_s=one.wait_s, tpot_s=one.tpot_s)
        for one in found
    )


def _events(told: Circumstances) -> list[float]:
    """Seconds at which the share of a replica changes."""
    found = [flash.at_s for flash in told.pattern.flashes]
    found += [flash.at_s + flash.seconds for flash in told.pattern.flashes]
    for death in told.deaths:
        found += [death.at_s, *([death.at_s + death.back_after_s] if death.back_after_s is not None else [])]
    return found + ([0.0, told.late.until_s] if told.late is not None else [])


def _share(request_per_s: float, told: Circumstances, replicas: int, at_s: float) -> float | None:
    """Of one replica at a moment, or None when nobody is there. Before second 0 nothing comes."""
    if at_s < 0:
        return 0.0
    gone = sum(d.at_s <= at_s and (d.back_after_s is None or at_s < d.at_s + d.back_after_s) for d in told.deaths)
    gone += told.late.replicas if told.late is not None and at_s < told.late.until_s else 0
    times = 1.0
    for flash in told.pattern.flashes:
        times *= flash.times if flash.at_s <= at_s < flash.at_s + flash.seconds else 1.0
    return request_per_s * times / (replicas - gone) if gone < replicas else None
